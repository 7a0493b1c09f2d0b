"""The stopping rule in a run; its decisions are tested with the window's."""

import json

import pytest
import torch
from small_run import ROOT, SMALL, only_run
from synthetic_runs import evaluations, write_run

from diffmem import fit
from diffmem.callbacks import EarlyStopping, Frechet, Memorization
from diffmem.callbacks.early_stopping import predict_from
from diffmem.errors import ConfigError, DataError
from diffmem.files import read_table, write_table


@pytest.fixture
def copies_from_step_4(monkeypatch):
    """f_mem is 0 before the third evaluation and 1 from then on."""
    original = Memorization.measure

    def measure(self, snapshot):
        share = float(snapshot.step >= 4)
        return {**original(self, snapshot), "f_mem": share, "f_mem_low": share}

    monkeypatch.setattr(Memorization, "measure", measure)


def set_qualities(monkeypatch, by_step):
    original = Frechet.measure
    set_to = {"frechet_pixels_std": 0.0}
    monkeypatch.setattr(
        Frechet,
        "measure",
        lambda self, now: {**original(self, now), **set_to, "frechet_pixels": by_step[now.step]},
    )


def run(run_root, *overrides):
    code = fit.main([*SMALL, f"--run_root={run_root}", "--early_stopping.quality_level=null", *overrides])
    assert code == 0
    return only_run(run_root)


def test_stop_ends_the_run_at_the_onset_and_leaves_it_finished(tmp_path, copies_from_step_4, capsys):
    overrides = ("--early_stopping.mode=stop", "--early_stopping.plateau_factor=1e9")
    folder = run(tmp_path, *overrides)
    assert [row["step"] for row in read_table(folder / "evaluations.csv")] == ["0", "2", "4"]
    report = json.loads((folder / "generalization.json").read_text())
    assert report["onset"] == 4
    assert report["best"] in (0, 2)
    kept = torch.load(folder / "checkpoints/generalization.ckpt", weights_only=True)
    assert kept["global_step"] == report["best"]
    assert (folder / "checkpoints/last.ckpt").resolve().name == "step-00000004.ckpt"
    assert f"early stopping: use step {report['best']}" in capsys.readouterr().out
    run(tmp_path, *overrides)
    assert "finished before" in capsys.readouterr().out


def test_mark_trains_on_with_the_numbers_of_a_run_without(tmp_path, copies_from_step_4, finished_run):
    folder = run(tmp_path, "--early_stopping.mode=mark", "--early_stopping.plateau_factor=1e9")
    marked, plain = (read_table(each / "evaluations.csv") for each in (folder, finished_run))
    assert [row["step"] for row in marked] == ["0", "2", "4", "6"]
    assert [row["loss_test"] for row in marked] == [row["loss_test"] for row in plain]
    assert json.loads((folder / "generalization.json").read_text())["onset"] == 4


def test_without_a_window_no_checkpoint_is_kept(tmp_path, copies_from_step_4, monkeypatch):
    set_qualities(monkeypatch, {0: 8.0, 2: 4.0, 4: 1.0, 6: 1.0})
    folder = run(tmp_path, "--early_stopping.mode=mark")
    report = json.loads((folder / "generalization.json").read_text())
    assert (report["onset"], report["best"]) == (4, None)
    assert not (folder / "checkpoints/generalization.ckpt").exists()


def test_a_checkpoint_that_was_cut_off_is_saved_by_the_next_start(tmp_path, monkeypatch):
    set_qualities(monkeypatch, {0: 8.0, 2: 4.0, 4: 1.0, 6: 1.2})
    folder = run(tmp_path, "--early_stopping.mode=mark")
    kept = folder / "checkpoints/generalization.ckpt"
    for path in (kept, folder / "status.json", folder / "checkpoints/step-00000006.ckpt"):
        path.unlink()
    run(tmp_path, "--early_stopping.mode=mark")
    assert json.loads((folder / "generalization.json").read_text())["best"] == 4
    assert torch.load(kept, weights_only=True)["global_step"] == 4


def test_off_leaves_no_trace(finished_run):
    assert not list(finished_run.rglob("generalization.*"))


def test_two_runs_predict_the_time_of_a_third(tmp_path):
    for n in (100, 200):
        steps = [round(n * 10 ** (k / 10)) for k in range(20)]
        rows = [
            {"step": step, "n": n, "num_samples": 1000, "f_mem": round(min(1, 0.01 * (step / (10 * n)) ** 2), 3)}
            for step in steps
        ]
        (tmp_path / str(n)).mkdir()
        write_table(tmp_path / str(n) / "evaluations.csv", rows)
    prediction = predict_from([tmp_path / "100", tmp_path / "200"], 800)
    assert prediction.low < 8000 < prediction.high
    assert prediction.value == pytest.approx(8000, rel=0.3)
    later = predict_from([tmp_path / "100", tmp_path / "200"], 800, level=0.04)  # f_mem grows as the square of the step
    assert later.value / prediction.value == pytest.approx(2, rel=0.1)


def test_runs_of_other_settings_predict_nothing(tmp_path):
    a, b = (write_run(tmp_path, evaluations(n, 0, setting=setting)) for n, setting in ((64, "a"), (128, "b")))
    with pytest.raises(DataError, match="runs of 2 settings"):
        predict_from([a, b], 256)
    with pytest.raises(DataError, match="runs of 2 settings"):
        predict_from([a, a], 256, setting="c")


def test_a_rule_that_cannot_work_makes_no_run_folder(tmp_path, capsys):
    model = ["--config", str(ROOT / "configs/gaussian/random_features.yaml"), "--data.n=16", "--data.num_test=16"]
    assert fit.main([*SMALL, *model, f"--run_root={tmp_path / 'runs'}", "--early_stopping.mode=stop"]) == 2
    assert "early_stopping.rule: got f_mem" in capsys.readouterr().err
    assert fit.main([*SMALL, f"--run_root={tmp_path / 'runs'}", "--early_stopping.mode=stop",
                     "--early_stopping.previous=[none,nowhere]"]) == 3  # fmt: skip
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ("--early_stopping.level=0.01", "early_stopping.level: got 0.01 with 24 samples"),
        ("--frechet.features=null", "early_stopping.rule: got clocks without a measure of quality"),
    ],
)
def test_clocks_that_would_never_be_known_make_no_run_folder(tmp_path, capsys, changed, reason):
    rule = ["--early_stopping.mode=stop", "--early_stopping.rule=clocks", "--early_stopping.quality_level=2"]
    arguments = [*SMALL, *rule, "--early_stopping.level=0.5", changed, f"--run_root={tmp_path / 'runs'}"]
    assert fit.main(arguments) == 2
    assert reason in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_the_views_of_a_previous_run_are_left_out(tmp_path):
    folders = [write_run(tmp_path, evaluations(n, 0)) for n in (64, 128)]
    alone = predict_from(folders, 256)
    for folder in folders:
        view = evaluations(64, 0).assign(setting="other-average0.5")
        (folder / "views/average0.5").mkdir(parents=True)
        view.to_csv(folder / "views/average0.5/evaluations.csv", index=False)
    assert predict_from(folders, 256) == alone


def test_one_previous_run_is_not_enough():
    with pytest.raises(ConfigError, match=r"early_stopping\.previous"):
        EarlyStopping("mark", previous=["runs/a"])


def test_a_run_ends_when_both_clocks_are_known(tmp_path, copies_from_step_4, monkeypatch, capsys):
    set_qualities(monkeypatch, dict(enumerate([1e3, 100, 10, 1, 1, 1, 1, 1, 1, 1])))
    rule = ["--early_stopping.mode=stop", "--early_stopping.rule=clocks", "--early_stopping.level=0.5"]
    longer = ["--evaluation.steps=every:1", "--trainer.max_steps=9"]
    assert fit.main([*SMALL, *rule, *longer, f"--run_root={tmp_path}", "--early_stopping.quality_level=null"]) == 2
    assert "early_stopping.quality_level: got null with the rule clocks" in capsys.readouterr().err
    folder = run(tmp_path, *rule, *longer, "--early_stopping.quality_level=2")
    assert [row["step"] for row in read_table(folder / "evaluations.csv")] == list("012345")
    kept = torch.load(folder / "checkpoints/generalization.ckpt", weights_only=True)
    assert kept["global_step"] == 3, "the best before copying began"
