"""Stopping on a signal leaves no trace in a run's numbers, on one rank or two; faults on one rank hang nobody."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from same_run import assert_same_run
from small_run import ROOT, SMALL, only_run

from diffmem.callbacks import StopOnSignal
from diffmem.errors import EXIT_FAILED, EXIT_REQUEUE, ConfigError
from diffmem.files import read_table

PLAIN = "--model.network.dropout=0"
TWO = ["--trainer.devices=2", "--trainer.strategy=ddp"]


def small(run_root: Path, *overrides: str) -> list[str]:
    return [*SMALL, f"--run_root={run_root}", *overrides]


def state(run_root: Path) -> str:
    return json.loads((only_run(run_root) / "status.json").read_text())["state"]


def starts(run_root: Path) -> list[int]:
    return [start["step"] for start in json.loads((only_run(run_root) / "provenance.json").read_text())["starts"]]


def test_signals_at_every_stage_of_one_process(launch, tmp_path):
    run, undisturbed = (small(tmp_path / name, "--evaluation.batch_size=4") for name in ("run", "undisturbed"))
    faults = [
        ["SIGTERM", "start", 1, 0],
        ["SIGUSR1!", "batch", 9, 0],  # in the evaluation of step 2: six batches each
        ["SIGUSR1", "step", 1, 0],
        ["SIGINT", "checkpoint", 1, 0],
    ]
    assert [launch(run, fault=fault) for fault in faults] == [[EXIT_REQUEUE]] * 4
    assert launch(run) == launch(undisturbed) == [0]
    assert_same_run(only_run(tmp_path / "run"), only_run(tmp_path / "undisturbed"))
    assert starts(tmp_path / "run")[:3] == [0, 0, 2]
    assert state(tmp_path / "run") == "done"


def test_two_ranks_stop_on_a_signal_to_one_go_on_longer_and_measure_what_one_rank_measures(launch, tmp_path):
    one, two, undisturbed = tmp_path / "one", tmp_path / "two", tmp_path / "undisturbed"
    dense, longer = "--evaluation.steps=[2,4,6]", "--trainer.max_steps=8"
    on_two = small(two, PLAIN, *TWO, dense, "--signals.every_n_steps=1")
    assert launch(small(one, PLAIN, dense, longer)) == [0]
    assert launch(on_two, 2, ["SIGTERM", "step", 3, 1]) == [EXIT_REQUEUE, 0]
    assert launch(on_two, 2, ["SIGUSR1!", "batch", 1, 0]) == [EXIT_REQUEUE, 0]
    assert launch(on_two, 2) == [0, 0]
    assert launch([*on_two, longer], 2, ["SIGTERM", "step", 1, 0]) == [EXIT_REQUEUE, 0]
    assert launch([*on_two, longer], 2) == [0, 0]
    assert launch(small(undisturbed, PLAIN, *TWO, dense, longer), 2) == [0, 0]
    assert_same_run(only_run(two), only_run(undisturbed))
    assert len(starts(two)) == 5
    for row, expected in zip(*(read_table(only_run(root) / "evaluations.csv") for root in (two, one)), strict=True):
        for name, value in row.items():
            if name in ("f_mem", "f_mem_null", "nn_train", "nn_heldout", "loss_train", "loss_test", "frechet_pixels"):
                assert float(value) == pytest.approx(float(expected[name]), rel=1e-3), name
            elif name in ("step", "images_seen", "epochs", "num_samples", "n"):
                assert value == expected[name]


def test_a_rank_without_samples_and_one_with_a_nan(launch, tmp_path):
    three = ["--trainer.devices=3", "--trainer.strategy=ddp", "--data.batch_size=6", "--trainer.max_steps=2"]
    few = small(tmp_path / "few", *three, "--evaluation.num_samples=2", "--evaluation.steps=[]")
    broken = small(tmp_path / "broken", PLAIN, *TWO)
    assert launch(few, 3) == [0, 0, 0]
    assert launch(broken, 2, ["nan", "sampling", 2, 1]) == [EXIT_FAILED, EXIT_FAILED]
    assert [row["num_samples"] for row in read_table(only_run(tmp_path / "few") / "evaluations.csv")] == ["2", "2"]
    assert state(tmp_path / "broken") == "failed"


def test_ranks_that_the_run_starts_itself(tmp_path):
    command = [sys.executable, "-m", "diffmem.fit", *small(tmp_path, *TWO, "--trainer.max_steps=2")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=200)
    assert done.returncode == 0, done.stderr
    assert json.loads((only_run(tmp_path) / "provenance.json").read_text())["starts"][0]["world_size"] == 2


def test_the_interval_is_checked():
    with pytest.raises(ConfigError, match=r"signals\.every_n_steps"):
        StopOnSignal(every_n_steps=0)
