"""One run, longer and denser: what the same command finds in its folder."""

import json
import re
import shlex
import shutil

import pytest
import yaml
from same_run import equal, weights
from small_run import SMALL, only_run

from diffmem import evaluate, fit
from diffmem.files import read_table
from diffmem.runs.continuation import is_finished


def run(root, *overrides):
    assert fit.main([*SMALL, f"--run_root={root}", *overrides]) == 0
    return only_run(root)


@pytest.fixture
def copied(finished_run, tmp_path):
    """A run root with a copy of the finished small run of six steps."""
    shutil.copytree(finished_run, tmp_path / "runs/digits" / finished_run.name, symlinks=True)
    return tmp_path / "runs"


def rows_at(folder, *steps):
    return [row for row in read_table(folder / "evaluations.csv") if int(row["step"]) in steps]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_longer_run_goes_on_as_one_that_was_that_long_from_the_start(copied, tmp_path, capsys):
    longer = ["--trainer.max_steps=9", "--evaluation.steps=[2,4,8]"]
    folder = run(copied, *longer)
    assert "resuming from step-00000006.ckpt" in capsys.readouterr().out
    whole = run(tmp_path / "whole", *longer)
    assert folder.name == whole.name
    assert equal(weights(folder), weights(whole))
    assert [row["step"] for row in read_table(folder / "evaluations.csv")] == ["0", "2", "4", "6", "8", "9"]
    assert rows_at(folder, 0, 2, 4, 8, 9) == rows_at(whole, 0, 2, 4, 8, 9)


def test_the_training_losses_of_a_longer_run_are_those_of_one_that_was_that_long_from_the_start(tmp_path):
    """6 and 9 are former last steps off the grid of every 4."""
    lengths = {"grown": (6, 9, 11), "whole": (11,)}
    tables = {}
    for name, steps in lengths.items():
        for length in steps:
            more = ["--training_loss.every_n_steps=4", "--evaluation.steps=[1]", "--checkpoint.every_n_steps=3"]
            folder = run(tmp_path / name, f"--trainer.max_steps={length}", *more)
        tables[name] = [(row["step"], row["loss"]) for row in read_table(folder / "metrics.csv")]
    assert tables["grown"] == tables["whole"] and [step for step, _ in tables["whole"]] == ["4", "8", "11"]


@pytest.mark.parametrize("steps", [6, 4])
def test_a_run_that_is_long_enough_is_done(copied, capsys, steps):
    before = contents(copied)
    run(copied, f"--trainer.max_steps={steps}")
    assert "nothing to do" in capsys.readouterr().out
    assert contents(copied) == before


def test_a_finished_run_without_checkpoints_keeps_its_tables(copied, capsys):
    folder = only_run(copied)
    for path in (folder / "checkpoints").iterdir():
        path.unlink()
    before = contents(copied)
    assert fit.main([*SMALL, f"--run_root={copied}", "--trainer.max_steps=9"]) == 3
    assert "got no checkpoint of a run that reached step 6" in capsys.readouterr().err
    assert contents(copied) == before
    run(copied)
    assert "nothing to do" in capsys.readouterr().out
    run(copied, "--overwrite=true")
    assert len(read_table(folder / "evaluations.csv")) == 4


def test_the_command_that_makes_a_lost_table_again(copied, capsys):
    folder = only_run(copied)
    rows = read_table(folder / "evaluations.csv")
    (folder / "evaluations.csv").unlink()
    assert fit.main([*SMALL, f"--run_root={copied}"]) == 3
    (command,) = re.findall(r"python -m diffmem\.evaluate (.*) measures what was saved", capsys.readouterr().err)
    assert evaluate.main(shlex.split(command)) == 0
    assert read_table(folder / "evaluations.csv") == rows[1:], "those of the saved steps"
    with pytest.warns(UserWarning, match="steps 0; python -m diffmem.evaluate .* --at=0 measures"):
        run(copied)


def test_more_columns_and_steps_apply_from_where_the_run_is(copied):
    more = ["--evaluation.steps=every:1", "--scores.t=[0.1]", "--scores.empirical=true"]
    rows = read_table(run(copied, "--trainer.max_steps=8", *more) / "evaluations.csv")
    assert [row["step"] for row in rows] == ["0", "2", "4", "6", "7", "8"]
    assert [bool(row["score_error_empirical"]) for row in rows] == [False] * 4 + [True] * 2


@pytest.mark.parametrize("steps", [6, 9], ids=["of a finished run", "of a longer one"])
def test_another_protocol_is_refused_and_nothing_changes(copied, capsys, steps):
    before = contents(copied)
    code = fit.main([*SMALL, f"--run_root={copied}", f"--trainer.max_steps={steps}", "--memorization.threshold=0.2"])
    assert code == 2
    message = capsys.readouterr().err
    assert "memorization.threshold: got 0.2, expected 0.333" in message
    assert "diffmem.evaluate" in message
    assert "--study" in message
    assert contents(copied) == before


def test_a_schedule_of_the_rate_that_depends_on_the_length_is_not_lengthened(tmp_path, capsys):
    schedule = ["--lr_scheduler=CosineAnnealingLR", "--lr_scheduler.T_max=6"]
    run(tmp_path, *schedule)
    assert fit.main([*SMALL, f"--run_root={tmp_path}", *schedule, "--trainer.max_steps=9"]) == 2
    assert "trainer.max_steps: got 9, expected at most 6: the learning rate" in capsys.readouterr().err


def test_a_run_that_was_stopped_early_is_done_while_its_rule_holds(tmp_path):
    config = {"trainer": {"max_steps": 100}, "early_stopping": {"mode": "stop"}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "status.json").write_text(json.dumps({"state": "done", "step": 40, "max_steps": 100}))
    (tmp_path / "evaluations.csv").write_text("step\n0\n40\n")
    assert is_finished(tmp_path, config)
    assert not is_finished(tmp_path, {**config, "early_stopping": {"mode": None}})
    assert is_finished(tmp_path, {"trainer": {"max_steps": 40}, "early_stopping": {"mode": None}})


def test_a_run_that_was_killed_before_its_last_evaluation_is_not_done(copied):
    folder = only_run(copied)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert is_finished(folder, config)
    status = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(json.dumps({**status, "state": "running"}))
    assert not is_finished(folder, config)
