"""A run is a pure function of its config: kills, resumes and evaluations leave no trace in its numbers."""

import json
import os
import signal
import subprocess
import sys

import pytest
from same_run import assert_same_run
from small_run import ROOT, SMALL, only_run, run_fit

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
def test_sigkill_and_the_same_command_again(tmp_path, finished_run, event, count):
    command = [
        sys.executable,
        str(ROOT / "tests/support/kill_at.py"),
        event,
        str(count),
        *SMALL,
        f"--run_root={tmp_path}",
    ]
    killed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": "."})
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run_fit(tmp_path)
    assert_same_run(only_run(tmp_path), finished_run)


def test_a_finished_run_is_left_alone(tmp_path, finished_run):
    before = {path: path.stat().st_mtime_ns for path in finished_run.rglob("*")}
    result = run_fit(finished_run.parent.parent)
    assert "finished before" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in finished_run.rglob("*")} == before
