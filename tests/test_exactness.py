"""What must not change a run's numbers does not: evaluation, resuming, accumulation bookkeeping."""

import json
import re
import shutil
import subprocess
import warnings

import pytest
import torch
from same_run import assert_same_run, equal, weights
from small_run import SMALL, only_run

from diffmem import evaluate, fit
from diffmem.callbacks import provenance
from diffmem.config.parser import CLI
from diffmem.data.subset import Batch
from diffmem.errors import EXIT_UNEXPECTED
from diffmem.files import read_table
from diffmem.models import DDPM
from diffmem.networks import UNet


def run(run_root, *overrides):
    assert fit.main([*SMALL, f"--run_root={run_root}", *overrides]) == 0
    return only_run(run_root)


def test_evaluation_is_passive(tmp_path, finished_run):
    quiet = run(tmp_path, "--evaluation.steps=[]", "--evaluation.num_samples=2", "--losses.num_draws=1")
    assert equal(weights(quiet), weights(finished_run))
    both = [read_table(folder / "metrics.csv") for folder in (quiet, finished_run)]
    assert [row["loss"] for row in both[0]] == [row["loss"] for row in both[1]]


def test_a_budget_leaves_rows_out_and_changes_none(tmp_path, finished_run, capsys):
    thinned = run(tmp_path, "--evaluation.budget=0.0001")
    assert re.search(r"\d:\d\d, \d+% of it for evaluations", capsys.readouterr().out)
    measured, all_rows = (read_table(folder / "evaluations.csv") for folder in (thinned, finished_run))
    assert [row["step"] for row in measured] == ["0", "6"]
    named_apart = {"setting", "config_hash"}
    for row, whole in zip(measured, (all_rows[0], all_rows[-1]), strict=True):
        assert {key for key in whole if row[key] != whole[key]} <= named_apart
    seconds = [(float(row["seconds"]), float(row["seconds_evaluating"])) for row in read_table(thinned / "metrics.csv")]
    assert all(0 <= evaluating <= whole for whole, evaluating in seconds)


def test_the_module_is_back_in_its_modes_after_an_evaluation(tmp_path, monkeypatch):
    from diffmem.callbacks import Evaluation

    seen = []
    original = Evaluation.evaluate

    def evaluate(self, trainer, module):
        module.network.middle[0].eval()
        before = [each.training for each in module.modules()]
        original(self, trainer, module)
        seen.append([each.training for each in module.modules()] == before)
        module.train()

    monkeypatch.setattr(Evaluation, "evaluate", evaluate)
    run(tmp_path)
    assert seen == [True] * 4


def test_another_seed_or_subset_is_another_run(tmp_path, finished_run):
    seed = run(tmp_path / "seed", "--seed=1")
    index = run(tmp_path / "index", "--data.index=1")
    names = {folder.name for folder in (finished_run, seed, index)}
    assert len(names) == 3
    assert not equal(weights(seed)[0], weights(finished_run)[0])
    settings = {read_table(folder / "evaluations.csv")[0]["setting"] for folder in (finished_run, seed, index)}
    assert len(settings) == 1


def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(tmp_path, finished_run, monkeypatch):
    from diffmem.models import DDPM

    original = DDPM.training_step

    def stop_at_step_6(self, batch, k):
        if batch.number == 5:
            raise RuntimeError("power cut")
        return original(self, batch, k)

    monkeypatch.setattr(DDPM, "training_step", stop_at_step_6)
    assert fit.main([*SMALL, f"--run_root={tmp_path}"]) == EXIT_UNEXPECTED
    monkeypatch.undo()
    folder = only_run(tmp_path)
    last = folder / "checkpoints/last.ckpt"
    assert last.resolve().name == "step-00000004.ckpt"
    contents = bytearray(last.read_bytes())
    contents[len(contents) // 2] ^= 1
    last.write_bytes(contents)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert fit.main([*SMALL, f"--run_root={tmp_path}"]) == 0
    assert any("step-00000004.ckpt is damaged" in str(each.message) for each in caught)
    assert json.loads((folder / "provenance.json").read_text())["starts"][1]["step"] == 2
    assert_same_run(folder, finished_run)


def test_only_damaged_checkpoints_are_no_silent_restart(tmp_path, capsys):
    folder = run(tmp_path)
    (folder / "status.json").unlink()
    for path in (folder / "checkpoints").glob("step-*.ckpt"):
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged"):
        assert fit.main([*SMALL, f"--run_root={tmp_path}"]) == 3
    assert "3 checkpoints, all damaged" in capsys.readouterr().err


def test_accumulated_batches_count_as_one_update(tmp_path):
    folder = run(tmp_path, "--trainer.accumulate_grad_batches=2")
    rows = read_table(folder / "evaluations.csv")
    assert [(row["step"], row["images_seen"]) for row in rows] == [("0", "0"), ("2", "32"), ("4", "64"), ("6", "96")]
    assert [row["step"] for row in read_table(folder / "metrics.csv")] == ["3", "6"]
    quiet = run(tmp_path / "quiet", "--trainer.accumulate_grad_batches=2", "--evaluation.steps=[]")
    assert equal(weights(quiet), weights(folder))


def test_a_run_takes_one_device_unless_it_is_told(tmp_path):
    arguments = [each for each in SMALL if "accelerator" not in each]
    assert CLI([*arguments, f"--run_root={tmp_path}"]).config["trainer"]["devices"] == 1


def test_a_mac_computes_on_its_cpu(tmp_path, monkeypatch):
    """Apple's GPUs have no float64; Lightning would choose one."""
    monkeypatch.setattr("lightning.pytorch.accelerators.MPSAccelerator.is_available", staticmethod(lambda: True))
    arguments = [each for each in SMALL if "accelerator" not in each]
    trainer = CLI([*arguments, f"--run_root={tmp_path}"]).trainer
    assert type(trainer.accelerator).__name__ == "CPUAccelerator"


def test_the_commit_of_another_project_is_not_recorded(tmp_path, monkeypatch):
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x", "--allow-empty"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    installed = tmp_path / "provenance.py"
    installed.write_text("")
    monkeypatch.setattr(provenance, "__file__", str(installed))
    assert provenance._commit() is None
    subprocess.run(["git", "-C", str(tmp_path), "add", "provenance.py"], check=True)
    assert provenance._commit().endswith("-dirty")


def test_a_finished_run_without_its_table_is_not_taken_for_done(tmp_path, finished_run, capsys):
    folder = tmp_path / "digits" / finished_run.name
    shutil.copytree(finished_run, folder)
    (folder / "evaluations.csv").unlink()
    assert fit.main([*SMALL, f"--run_root={tmp_path}"]) == 3
    assert "a finished run without evaluations.csv" in capsys.readouterr().err


def test_evaluating_a_run_that_cannot_be_written_names_out(finished_run, monkeypatch, capsys):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(evaluate, "locked", refuse)
    assert evaluate.main([str(finished_run)]) == 2
    assert capsys.readouterr().err.endswith("expected a file to write; set --out\n")


def test_a_schedule_of_the_rate_counts_updates(tmp_path):
    schedule = ["--lr_scheduler=LinearLR", "--lr_scheduler.start_factor=0.2", "--lr_scheduler.total_iters=4"]
    folder = run(tmp_path, *schedule, "--training_loss.every_n_steps=1")
    rates = [float(row["lr"]) / 0.001 for row in read_table(folder / "metrics.csv")]
    assert rates == pytest.approx([0.4, 0.6, 0.8, 1, 1, 1])


def test_dropout_does_not_depend_on_the_number_of_ranks(monkeypatch):
    model, images = DDPM(UNet(1, 8, (1,), (False,), 1, dropout=0.5)), torch.randn(8, 1, 8, 8)
    whole = model.training_step(Batch(3, images, torch.arange(8)), 0)
    halves = []
    for rank in (0, 1):
        monkeypatch.setattr("diffmem.ranks.rank_and_world", lambda rank=rank: (rank, 2))
        half = slice(4 * rank, 4 * rank + 4)
        halves.append(model.training_step(Batch(3, images[half], torch.arange(8)[half]), 0))
    torch.testing.assert_close(sum(halves) / 2, whole)


def test_two_processes_cannot_share_a_run(tmp_path, capsys, finished_run):
    from diffmem.runs.identity import locked

    folder = tmp_path / "digits" / finished_run.name
    with locked(folder):
        assert fit.main([*SMALL, f"--run_root={tmp_path}"]) == 2
    printed = capsys.readouterr()
    assert "a second process of this run" in printed.err
    assert f"run {folder}\n" in printed.out, "status finds the run that is refused"


def test_wandb_offline_mirrors_the_rows(tmp_path):
    folder = run(tmp_path, "--wandb.mode=offline", "--wandb.tags=[a,b]")
    (log,) = folder.glob("wandb/offline-run-*/*.wandb")
    assert log.stem.endswith(folder.name)
    contents = log.read_bytes()
    for row in read_table(folder / "evaluations.csv"):
        assert row["loss_test"][:12].encode() in contents


def test_the_state_of_a_run_is_plain_values(finished_run):
    checkpoint = torch.load(finished_run / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 6
