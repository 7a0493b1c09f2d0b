"""What SLURM's queue holds of a grid."""

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from diffmem.runs.state import RunState

_FORMAT = "%K|%t|%Z"  # task, state, working folder


@dataclass(frozen=True)
class Queue:
    """Tasks of one grid, submitted from this folder by this user.

    Attributes:
        queued: Numbers of all that have not ended.
        pending: Numbers of those that wait for their turn.
    """

    queued: frozenset[int]
    pending: frozenset[int]

    def correct(self, number: int, run: RunState) -> RunState:
        """The state of task ``number``, where its files cannot know that it was cancelled or is to start again."""
        if run.state in ("died", "failed") and number in self.pending:
            return replace(run, state="requeued", reason=None)
        if run.state == "requeued" and number not in self.queued:
            return replace(run, state="stopped", reason="not in SLURM's queue")
        return run


def read_queue(grid: Path) -> Queue | None:
    """The tasks of ``grid`` that SLURM knows of; None where there is no SLURM or it does not answer."""
    command = ["squeue", "--me", "--noheader", "--array", f"--name={grid.stem}", f"--format={_FORMAT}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    here = str(Path.cwd())
    rows = [line.strip().split("|", 2) for line in answer.splitlines() if line.count("|") >= 2]
    ours = [(int(task), state) for task, state, folder in rows if folder == here and task.isdigit()]
    return Queue(frozenset(task for task, _ in ours), frozenset(task for task, state in ours if state == "PD"))
