"""Under a real SLURM of one node: what is requeued, killed or preempted ends as if nothing had happened."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import single_node
from small_run import ROOT, SMALL

from diffmem.jobs.grid import Task, read_grid
from diffmem.jobs.tasks import state_of_task
from diffmem.runs.state import RunState, state_of_run

pytestmark = pytest.mark.slurm

_CHANGED = [
    "--model.network.dropout=0",
    "--trainer.max_steps=12",
    "--evaluation.steps=[4,8]",
    "--evaluation.num_samples=100",
    "--evaluation.batch_size=5",
    "--evaluation.sampling_steps=10",
    "--status.every_seconds=0",
]
LINE = [*{word.partition("=")[0]: word for word in [*SMALL, *_CHANGED]}.values()]  # each key once


@dataclass
class Slurm:
    """A cluster, and a folder on it made like a checkout."""

    work: Path
    environment: dict[str, str]

    def run(self, *command: str, code: int = 0) -> str:
        """Output of a command; where it is to fail, its errors."""
        done = subprocess.run(command, cwd=self.work, env=self.environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr if code else done.stdout

    def state(self, job: str) -> str:
        return self.run("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T").strip()


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    if reason := single_node.missing():
        pytest.skip(reason)
    work = tmp_path_factory.mktemp("work")
    for name in ("sbatch", "tools"):
        (work / name).symlink_to(ROOT / name)
    (work / "logs").mkdir()
    with single_node.single_node(tmp_path_factory.mktemp("slurm") / "node") as environment:
        path = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])  # the scripts call python
        yield Slurm(work, {**environment, "PYTHONPATH": str(ROOT), "PATH": path})


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Runs of seed 0 to 2 that nothing disturbs, started here and finished by the end of the fixture."""
    folder = tmp_path_factory.mktemp("references")
    lines = [[*LINE, f"--run_root={folder}", f"--seed={seed}"] for seed in range(3)]
    program = f"from diffmem import fit\nfor line in {lines}: fit.main(line)"
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.DEVNULL)
    yield folder
    assert process.wait(timeout=600) == 0


def wait_until(condition: Callable[[], bool], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open())) if path.exists() else []


def reference_of(folder: Path, references: Path) -> Path:
    path = references / "digits" / folder.name / "evaluations.csv"
    wait_until(lambda: len(table(path)) == 4)
    return path


def is_sampling(run: RunState, step: int) -> bool:
    """Whether the evaluation of ``step`` has begun and not ended."""
    if run.folder is None or run.step != step:
        return False
    return step not in {int(row["step"]) for row in table(run.folder / "evaluations.csv")}


def starts(run: RunState) -> list[int]:
    return [start["step"] for start in json.loads((run.folder / "provenance.json").read_text())["starts"]]


def test_a_grid_with_a_warning_a_requeue_and_a_kill(slurm, references):
    work = slurm.work
    grid = work / "grid.txt"
    lines = [shlex.join([*LINE, f"--run_root={work}/runs", f"--seed={seed}"]) for seed in range(3)]
    grid.write_text("# three seeds\n" + "\n".join(lines) + "\n")
    submit = [sys.executable, "tools/submit.py", "grid.txt"]
    assert "--array=1-3%2" in slurm.run(*submit, "--at-once=2", "--dry-run")
    job = slurm.run(*submit, "--at-once=2").split()[-1]
    warned, requeued, killed = read_grid(grid)

    def state(task: Task) -> RunState:
        return state_of_task(task, work / "logs")

    wait_until(lambda: is_sampling(state(warned), 4))
    os.kill(state(warned).pid, signal.SIGUSR1)
    wait_until(lambda: (state(requeued).step or 0) >= 4)
    slurm.run("scontrol", "requeue", f"{job}_{requeued.number}")
    wait_until(lambda: (state(killed).step or 0) >= 4)
    os.kill(state(killed).pid, signal.SIGKILL)
    wait_until(lambda: state(killed).state == "died")
    status = [sys.executable, "-m", "diffmem.status", "grid.txt"]
    assert slurm.run(*status, "--failed").strip() == str(killed.number)
    wait_until(lambda: slurm.state(f"{job}_{killed.number}") == "FAILED")
    slurm.run(*submit, "--tasks", str(killed.number))
    wait_until(lambda: all(state(task).state == "done" for task in (warned, requeued, killed)))
    for task in (warned, requeued, killed):
        folder = state(task).folder
        assert (folder / "evaluations.csv").read_bytes() == reference_of(folder, references).read_bytes()
        assert len(starts(state(task))) == 2
        assert task.log(work / "logs").read_text().count(task.header) == 2
    assert starts(state(warned)) == [0, 4]  # where the evaluation was given up
    assert "3 done" in slurm.run(*status)


def test_two_ranks_under_srun_are_warned_and_go_on(slurm, references):
    work = slurm.work
    options = ["--ntasks-per-node=2", "--output=logs/ddp.log"]
    job = slurm.run("sbatch", *options, "sbatch/fit_ddp.sbatch", *LINE, f"--run_root={work}/ddp").split()[-1]

    def rows() -> int:
        return max((len(table(path)) for path in (work / "ddp").glob("*/*/evaluations.csv")), default=0)

    wait_until(lambda: rows() >= 2)
    (folder,) = (work / "ddp").glob("*/*")
    os.kill(state_of_run(folder).pid, signal.SIGUSR1)
    wait_until(lambda: rows() == 4 and slurm.state(job) == "COMPLETED")
    assert "resuming from" in (work / "logs/ddp.log").read_text()
    for row, expected in zip(table(folder / "evaluations.csv"), table(reference_of(folder, references)), strict=True):
        for name in ("f_mem", "nn_train", "loss_train", "loss_test", "frechet_pixels"):
            assert float(row[name]) == pytest.approx(float(expected[name]), rel=1e-3)


def test_processes_that_would_train_the_same_run_side_by_side_are_refused(slurm):
    fit = [sys.executable, "-m", "diffmem.fit", *LINE, f"--run_root={slurm.work}/refused"]
    assert "use srun --nodes=1 --ntasks-per-node=1" in slurm.run("srun", "--ntasks-per-node=2", *fit, code=2)
    assert not (slurm.work / "refused").exists()
