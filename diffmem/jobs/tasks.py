"""What the run of a grid's task is doing, found through the task's log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from diffmem.errors import EXIT_CONFIG, EXIT_DATA, EXIT_FAILED, EXIT_SYSTEM, EXIT_UNEXPECTED
from diffmem.jobs.grid import EXIT, LOGS, Task
from diffmem.runs.state import RunState, state_of_run, why_silent

#: Ends that a run may meet before it is in charge of its ``status.json``, such as a damaged checkpoint.
_FAILED = {str(code) for code in (EXIT_FAILED, EXIT_CONFIG, EXIT_DATA, EXIT_SYSTEM, EXIT_UNEXPECTED)}


def state_of_task(task: Task, logs: Path = LOGS) -> RunState:
    """The run of a grid's task, found through its log; ``waiting`` where that is missing or of another line.

    Raises:
        DataError: The run's ``status.json`` cannot be read.
    """
    path = task.log(logs)
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    _, found, attempt = f"\n{text}".rpartition(f"\n{task.header}\n")
    if not found:
        return RunState("waiting")
    lines = [line for line in attempt.splitlines() if line.strip()]
    ended = next((line for line in reversed(lines) if line.startswith(EXIT)), None)
    folder = next((line[4:] for line in lines if line.startswith("run ")), None)
    run = RunState("starting") if folder is None else state_of_run(Path(folder))
    if ended is None:
        gone = why_silent(path.stat().st_mtime) if folder is None else None
        return RunState("died", reason=gone) if gone else run
    at_work = run.state in ("starting", "running")  # another process of the run, which this attempt met
    if folder is None or (not at_work and run.state not in ("done", "failed") and ended[len(EXIT) :] in _FAILED):
        last = next((line for line in reversed(lines) if line is not ended), ended)
        return replace(run, state="failed", reason=last.removeprefix("diffmem: "))
    return run
