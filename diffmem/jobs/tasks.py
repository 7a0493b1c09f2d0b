"""What the run of a grid's task is doing, found through the task's log."""

from __future__ import annotations

from pathlib import Path

from diffmem.jobs.grid import EXIT, LOGS, Task
from diffmem.runs.state import RunState, state_of_run, why_silent


def state_of_task(task: Task, logs: Path = LOGS) -> RunState:
    """The run of a grid's task, found through its log; ``waiting`` where that is missing or of another line."""
    path = task.log(logs)
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    _, found, attempt = f"\n{text}".rpartition(f"\n{task.header}\n")
    if not found:
        return RunState("waiting")
    lines = [line for line in attempt.splitlines() if line.strip()]
    ended = next((line for line in reversed(lines) if line.startswith(EXIT)), None)
    folder = next((line[4:] for line in lines if line.startswith("run ")), None)
    if folder is not None:
        return state_of_run(Path(folder))
    if ended is None:
        gone = why_silent(path.stat().st_mtime)
        return RunState("died" if gone else "starting", reason=gone)
    lines.remove(ended)
    return RunState("failed", reason=lines[-1].removeprefix("diffmem: ") if lines else ended)
