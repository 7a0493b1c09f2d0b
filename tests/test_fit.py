"""A run is a pure function of its config: kills, resumes and evaluations leave no trace in its numbers."""

import errno
import json
import signal
from pathlib import Path

import pytest
from same_run import assert_same_run
from small_run import SMALL, only_run

from diffmem import fit
from diffmem.files import read_table


def test_run_folder_holds_what_the_readme_lists(finished_run):
    names = {str(path.relative_to(finished_run)) for path in finished_run.rglob("*") if path.is_file()}
    assert names == {
        ".lock",
        "config.yaml",
        "evaluations.csv",
        "identity.json",
        "metrics.csv",
        "provenance.json",
        "ratios.csv",
        "status.json",
        "checkpoints/last.ckpt",
        *(f"checkpoints/step-{step:08d}.ckpt" for step in (2, 4, 6)),
        *(f"samples/step-{step:08d}.{kind}" for step in (0, 2, 4, 6) for kind in ("png", "npz")),
    }
    assert finished_run.name.startswith("unet-n16-i0-adam-s0-")
    assert json.loads((finished_run / "status.json").read_text())["state"] == "done"
    assert len(json.loads((finished_run / "provenance.json").read_text())["starts"]) == 1


def test_evaluations_have_a_row_for_each_scheduled_step(finished_run):
    rows = read_table(finished_run / "evaluations.csv")
    assert [row["step"] for row in rows] == ["0", "2", "4", "6"]
    assert [float(row["images_seen"]) for row in rows] == [0, 16, 32, 48]
    assert [float(row["epochs"]) for row in rows] == [0, 1, 2, 3]
    for row in rows:
        assert row["n"] == "16"
        assert row["optimizer"] == "Adam"
        assert float(row["f_mem_low"]) <= float(row["f_mem"]) <= float(row["f_mem_high"])
        assert all(
            float(row[name]) >= 0 for name in ("frechet_pixels", "loss_train", "loss_test", "nn_train", "nn_heldout")
        )
    assert float(rows[0]["loss_train"]) == pytest.approx(1, abs=0.5)


@pytest.mark.parametrize(("event", "count"), [("sampling", 3), ("row", 2), ("checkpoint", 2), ("link", 2), ("step", 6)])
def test_sigkill_and_the_same_command_again(launch, tmp_path, finished_run, event, count):
    command = [*SMALL, f"--run_root={tmp_path}"]
    assert launch(command, fault=["SIGKILL", event, count, 0]) == [-signal.SIGKILL]
    assert launch(command) == [0]
    assert_same_run(only_run(tmp_path), finished_run)


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_disk_that_is_full_at_the_start_is_one_line_and_the_same_command_runs_once_there_is_room(
    tmp_path, finished_run, monkeypatch, capsys, writes
):
    """The first files of a run are its config, its identity and its status."""
    left, write_bytes = iter([True] * writes), Path.write_bytes

    def fill(path, contents):
        if next(left, False):
            return write_bytes(path, contents)
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    command = [*SMALL, f"--run_root={tmp_path}"]
    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_bytes", fill)
        assert fit.main(command) == 74
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "no space left on device" in error
    assert not list(only_run(tmp_path).glob("*.partial*")) and not list(only_run(tmp_path).glob("*.csv"))
    assert fit.main(command) == 0
    assert_same_run(only_run(tmp_path), finished_run)


def test_a_finished_run_is_left_alone(finished_run, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished_run.rglob("*")}
    assert fit.main([*SMALL, f"--run_root={finished_run.parent.parent}"]) == 0
    assert "finished before" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in finished_run.rglob("*")} == before
