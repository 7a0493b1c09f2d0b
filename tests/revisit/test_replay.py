"""Steps that were not scheduled, reached by training again, are those of a run that scheduled them."""

import pytest
from small_run import SMALL, only_run

from diffmem import evaluate, fit
from diffmem.files import read_table


@pytest.fixture(scope="module")
def denser(tmp_path_factory):
    """The small run with every step scheduled."""
    root = tmp_path_factory.mktemp("denser")
    assert fit.main([*SMALL, f"--run_root={root}", "--evaluation.steps=every:1"]) == 0
    return read_table(only_run(root) / "evaluations.csv")


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_replayed_rows_are_those_of_a_denser_schedule_bit_for_bit(finished_run, denser, tmp_path, capsys):
    before = contents(finished_run)
    out = tmp_path / "again.csv"
    assert evaluate.main([str(finished_run), "--at=5,0,1,3,4", f"--out={out}"]) == 0
    assert read_table(out) == [row for row in denser if row["step"] in ["0", "1", "3", "4", "5"]]
    assert contents(finished_run) == before
    assert "step 3: f_mem" in capsys.readouterr().out


def test_a_step_that_was_not_reached_is_refused(finished_run, tmp_path, capsys):
    assert evaluate.main([str(finished_run), "--at=9", f"--out={tmp_path}/x.csv"]) == 2
    assert "--at: got 9, expected steps of the run, 0 to 6" in capsys.readouterr().err
    assert evaluate.main([str(finished_run), "--at=soon", f"--out={tmp_path}/x.csv"]) == 2
