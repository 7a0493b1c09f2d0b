"""Stopping on a signal leaves no trace in a run's numbers, on one rank or two; faults on one rank hang nobody."""

import json
import os
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


def launch(*launches: tuple[int, list[str], list | None]) -> list[list[int]]:
    """Exit codes of the ranks of ``(world size, arguments, fault)`` after one another; see ``forked_ranks.py``."""
    plan = [json.dumps({"world": world, "args": args, "fault": fault}) for world, args, fault in launches]
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/support/forked_ranks.py")],
        input="\n".join(plan),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "."},
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def small(run_root: Path, *overrides: str) -> list[str]:
    return [*SMALL, f"--run_root={run_root}", *overrides]


def state(run_root: Path) -> str:
    return json.loads((only_run(run_root) / "status.json").read_text())["state"]


def starts(run_root: Path) -> list[int]:
    return [start["step"] for start in json.loads((only_run(run_root) / "provenance.json").read_text())["starts"]]


def test_signals_at_every_stage_of_one_process(tmp_path):
    run, undisturbed = (small(tmp_path / name, "--evaluation.batch_size=4") for name in ("run", "undisturbed"))
    faults = [
        ["SIGTERM", "start", 1, 0],
        ["SIGUSR1!", "batch", 9, 0],  # in the evaluation of step 2: six batches each
        ["SIGUSR1", "step", 1, 0],
        ["SIGINT", "checkpoint", 1, 0],
    ]
    codes = launch(*[(1, run, fault) for fault in faults], (1, run, None), (1, undisturbed, None))
    assert codes == [[EXIT_REQUEUE]] * 4 + [[0], [0]]
    assert_same_run(only_run(tmp_path / "run"), only_run(tmp_path / "undisturbed"))
    assert starts(tmp_path / "run")[:3] == [0, 0, 2]
    assert state(tmp_path / "run") == "done"


def test_two_ranks_stop_on_a_signal_to_one_go_on_longer_and_measure_what_one_rank_measures(tmp_path):
    one, two, undisturbed = tmp_path / "one", tmp_path / "two", tmp_path / "undisturbed"
    dense, longer = "--evaluation.steps=[2,4,6]", "--trainer.max_steps=8"
    on_two = small(two, PLAIN, *TWO, dense, "--signals.every_n_steps=1")
    codes = launch(
        (1, small(one, PLAIN, dense, longer), None),
        (2, on_two, ["SIGTERM", "step", 3, 1]),
        (2, on_two, ["SIGUSR1!", "batch", 1, 0]),
        (2, on_two, None),
        (2, [*on_two, longer], ["SIGTERM", "step", 1, 0]),
        (2, [*on_two, longer], None),
        (2, small(undisturbed, PLAIN, *TWO, dense, longer), None),
    )
    assert codes == [[0], *[[EXIT_REQUEUE, 0]] * 2, [0, 0], [EXIT_REQUEUE, 0], [0, 0], [0, 0]]
    assert_same_run(only_run(two), only_run(undisturbed))
    assert len(starts(two)) == 5
    for row, expected in zip(*(read_table(only_run(root) / "evaluations.csv") for root in (two, one)), strict=True):
        for name, value in row.items():
            if name in ("f_mem", "f_mem_null", "nn_train", "nn_heldout", "loss_train", "loss_test", "frechet_pixels"):
                assert float(value) == pytest.approx(float(expected[name]), rel=1e-3), name
            elif name in ("step", "images_seen", "epochs", "num_samples", "n"):
                assert value == expected[name]


def test_a_rank_without_samples_and_one_with_a_nan(tmp_path):
    three = ["--trainer.devices=3", "--trainer.strategy=ddp", "--data.batch_size=6", "--trainer.max_steps=2"]
    few = small(tmp_path / "few", *three, "--evaluation.num_samples=2", "--evaluation.steps=[]")
    broken = small(tmp_path / "broken", PLAIN, *TWO)
    codes = launch((3, few, None), (2, broken, ["nan", "sampling", 2, 1]))
    assert codes == [[0, 0, 0], [EXIT_FAILED, EXIT_FAILED]]
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
