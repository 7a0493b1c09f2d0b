"""What a run is doing, read from its ``status.json``; needs no torch."""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from diffmem.errors import DataError
from diffmem.files import read_table, write_atomic

FILE = "status.json"
#: A running run renews its file within seconds; one that has not for so long is gone.
STALE_SECONDS = 600.0

State = Literal["waiting", "starting", "running", "requeued", "stopped", "done", "failed", "died"]


#: What the fields of a status may hold.
_FIELDS: dict[tuple[type, ...], tuple[str, ...]] = {
    (int,): ("step", "max_steps", "pid"),
    (int, float): ("steps_per_second", "f_mem", "updated"),
    (str,): ("reason", "host"),
}


@dataclass(frozen=True)
class RunState:
    """One run at one moment.

    Attributes:
        state: ``waiting`` (never started), ``starting`` (no step yet), ``running``, ``requeued`` (stopped to go on
            later), ``stopped`` (the same, but nothing will start it again), ``done``, ``failed``, or ``died``: it says
            that it runs, but its process is gone.
        folder: The run's folder; None where it has none yet.
        step: Optimizer updates made.
        max_steps: Optimizer updates asked for.
        steps_per_second: Rate since the last start, evaluations included.
        f_mem: Of the last evaluation.
        updated: When the file was written, in Unix seconds.
        reason: Why it failed or died.
        host: Machine of its first rank.
        pid: Process of its first rank.
    """

    state: State
    folder: Path | None = None
    step: int | None = None
    max_steps: int | None = None
    steps_per_second: float | None = None
    f_mem: float | None = None
    updated: float = 0.0
    reason: str | None = None
    host: str | None = None
    pid: int | None = None

    @property
    def seconds_left(self) -> float | None:
        """At the present rate; None where there is none."""
        if self.state != "running" or not self.steps_per_second or self.step is None or self.max_steps is None:
            return None
        left = (self.max_steps - self.step) / self.steps_per_second
        return left if math.isfinite(left) else None


def write_state(run: RunState) -> None:
    """Make ``run`` what ``status.json`` in its folder says, signed by this process."""
    assert run.folder is not None
    record = {**asdict(run), "updated": time.time(), "host": socket.gethostname(), "pid": os.getpid()}
    del record["folder"]
    write_atomic(run.folder / FILE, json.dumps(record, indent=2) + "\n")


def state_of_run(folder: Path) -> RunState:
    """The run in ``folder``.

    Raises:
        DataError: Its ``status.json`` cannot be read.
    """
    path = folder / FILE
    try:
        run = _checked(RunState(**json.loads(path.read_text(encoding="utf-8")), folder=folder))
    except (FileNotFoundError, NotADirectoryError):
        return RunState("waiting", folder)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(str(path), got=str(error), expected="the status of a run", remedy="delete it") from error
    reason = _why_gone(run)
    return replace(run, state="died", reason=reason) if reason else run


def f_mem_of_views(folder: Path) -> dict[str, float]:
    """The newest f_mem of each view of the run in ``folder`` but the default one, by name; {} where there is none.

    A table that cannot be read is left out: what a run is doing does not hang on it.
    """
    found = {}
    for path in sorted(folder.glob("views/*/evaluations.csv")):
        with contextlib.suppress(DataError, OSError, LookupError, ValueError):
            found[path.parent.name] = float(read_table(path)[-1]["f_mem"])
    return found


def _checked(run: RunState) -> RunState:
    """``run``, with every field of the type that it is declared with.

    Raises:
        TypeError: One is not.
    """
    if run.state not in get_args(State):
        raise TypeError(f"state {run.state!r}")
    for kinds, names in _FIELDS.items():
        for name in names:
            value = getattr(run, name)
            if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
                raise TypeError(f"{name} {value!r}")
    return run


def _why_gone(run: RunState) -> str | None:
    """Why a run that says it is at work is not; None where it may be."""
    if run.state not in ("starting", "running"):
        return None
    if run.host == socket.gethostname() and run.pid is not None:
        return None if _is_alive(run.pid) else f"process {run.pid} is gone"
    return why_silent(run.updated)


def why_silent(last: float) -> str | None:
    """Why a run whose last sign of life was at ``last``, in Unix seconds, is gone; None where it may not be."""
    age = time.time() - last
    return f"no sign of life for {age / 60:.0f} minutes" if age > STALE_SECONDS else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
