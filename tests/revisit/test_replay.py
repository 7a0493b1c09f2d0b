"""Steps that were not scheduled, reached by training again, are those of a run that scheduled them."""

import shutil

import pytest
from small_run import SMALL, only_run

from diffmem import evaluate, fit
from diffmem.files import read_table

VIEWS = ["--average.decay=[0.5]", "--evaluation.views=[{weights: 0.5}]"]


@pytest.fixture(scope="module")
def coarse(tmp_path_factory):
    """The small run with a second view, of averaged weights."""
    root = tmp_path_factory.mktemp("coarse")
    assert fit.main([*SMALL, *VIEWS, f"--run_root={root}"]) == 0
    return only_run(root)


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """The same with every step scheduled."""
    root = tmp_path_factory.mktemp("dense")
    assert fit.main([*SMALL, *VIEWS, f"--run_root={root}", "--evaluation.steps=every:1"]) == 0
    return only_run(root)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_replayed_rows_are_those_of_a_denser_schedule_bit_for_bit(coarse, dense, tmp_path, capsys):
    before = contents(coarse)
    out = tmp_path / "again.csv"
    assert evaluate.main([str(coarse), "--at=5,0,1,3,4", f"--out={out}"]) == 0
    view = "views/average0.5/evaluations.csv"
    for again, scheduled in {out: dense / "evaluations.csv", tmp_path / "again" / view: dense / view}.items():
        assert read_table(again) == [row for row in read_table(scheduled) if row["step"] in ["0", "1", "3", "4", "5"]]
    assert contents(coarse) == before
    assert "step 3: f_mem" in capsys.readouterr().out


def test_a_run_whose_rate_ends_with_it_is_measured_at_its_last_step(tmp_path):
    schedule = ["--lr_scheduler=OneCycleLR", "--lr_scheduler.max_lr=0.01", "--lr_scheduler.total_steps=6"]
    assert fit.main([*SMALL, *schedule, f"--run_root={tmp_path}/runs"]) == 0
    folder = only_run(tmp_path / "runs")
    assert evaluate.main([str(folder), "--at=5,6", f"--out={tmp_path}/again.csv"]) == 0
    assert read_table(tmp_path / "again.csv")[1:] == read_table(folder / "evaluations.csv")[-1:]


def test_the_lost_table_of_a_view_is_made_again_where_it_was(coarse, tmp_path):
    shutil.copytree(coarse, folder := tmp_path / "runs/digits" / coarse.name, symlinks=True)
    tables = [folder / "evaluations.csv", folder / "views/average0.5/evaluations.csv"]
    rows = [read_table(table)[1:] for table in tables]
    for table in tables:
        table.unlink()
    assert evaluate.main([str(folder), "--checkpoints=all", f"--out={tables[0]}"]) == 0
    assert [read_table(table) for table in tables] == rows


def test_checkpoints_are_measured_in_every_view(coarse, tmp_path):
    assert evaluate.main([str(coarse), "--checkpoints=2,last", f"--out={tmp_path}/again.csv"]) == 0
    for again, first in {"again.csv": "evaluations.csv", "again/{}": "{}"}.items():
        view = "views/average0.5/evaluations.csv"
        rows = read_table(tmp_path / again.format(view))
        assert rows == [row for row in read_table(coarse / first.format(view)) if row["step"] in "26"]


def test_another_held_out_set_changes_what_is_compared_with_it_alone(coarse, tmp_path):
    out = tmp_path / "other.csv"
    assert evaluate.main([str(coarse), "--at=scheduled", "--data.test_index=1", f"--out={out}"]) == 0
    again, before = read_table(out), read_table(coarse / "evaluations.csv")
    assert [row["step"] for row in again] == [row["step"] for row in before]
    row, scheduled = again[-1], before[-1]
    changed = {name for name in row if name in scheduled and row[name] != scheduled[name]}
    assert {"loss_test", "frechet_pixels", "nn_heldout"} <= changed
    assert not changed & {"loss_train", "nn_train", "f_mem", "num_test", "config_hash"}
    assert row["test_index"] == "1" and "test_index" not in scheduled


def test_a_step_that_was_not_reached_is_refused(coarse, tmp_path, capsys):
    assert evaluate.main([str(coarse), "--at=9", f"--out={tmp_path}/x.csv"]) == 2
    assert "--at: got 9, expected steps of the run, 0 to 6" in capsys.readouterr().err
    for arguments, what in (
        (["--at=soon"], "--at: got 'soon', expected steps with commas"),
        (["--checkpoints="], "checkpoint: got '', expected some of"),
        (["memorization.threshold=0.2"], "write --memorization.threshold=0.2"),
        (["--memorization.threshold"], "write --memorization.threshold=VALUE"),
        (["another-run"], "another-run: got a word without --, expected --key=value; leave it out"),
        ([f"--out={tmp_path}/x"], "x, expected a .csv file to write"),
        ([f"--out={tmp_path}/x.json"], "x.json, expected a .csv file to write"),
    ):
        assert evaluate.main([str(coarse), *arguments]) in (2, 3)
        error = capsys.readouterr().err
        assert what in error and error.count("\n") == 1, arguments
    with pytest.raises(SystemExit) as leave:
        evaluate.main([str(coarse), "--at=3", "--checkpoints=last"])
    assert leave.value.code == 2
    assert "not allowed with argument --at" in capsys.readouterr().err
