"""``python tests/support/kill_at.py EVENT K ARGS…``: ``diffmem.fit ARGS`` that gets SIGKILL at the K-th EVENT.

Events: ``step`` (before an update), ``sampling`` (an evaluation has begun), ``batch`` (of it), ``row`` (it is measured,
its row not written), ``table`` (another table is), ``picture``, ``status``, ``checkpoint`` (the file is half-written
under its temporary name), ``link`` (it is whole, ``last.ckpt`` still the old one), ``publish`` (any other file is
half-written).
"""

import os
import signal
import sys
from pathlib import Path

from diffmem import files, fit
from diffmem.callbacks import checkpoint, evaluation, generated, observer, pictures, status
from diffmem.models import DDPM

HOOKS = {
    "step": (DDPM, "training_step"),
    "sampling": (generated.GeneratedSamples, "draw"),
    "batch": (DDPM, "sample"),
    "row": (evaluation, "put_row"),
    "table": (observer, "put_rows"),
    "picture": (pictures, "write_atomic"),
    "status": (status, "write_state"),
    "publish": (files, "publish"),
    "checkpoint": (checkpoint, "publish"),
    "link": (Path, "symlink_to"),
}


def cut_short(event: str, arguments: tuple) -> None:
    """Leave half of what is about to get its name."""
    if event in ("checkpoint", "publish"):
        partial = arguments[0]
        os.truncate(partial, partial.stat().st_size // 2)


def main() -> int:
    event, count, *args = sys.argv[1:]
    owner, name = HOOKS[event]
    original, calls = getattr(owner, name), 0

    def kill_or_call(*arguments, **keywords):
        nonlocal calls
        calls += 1
        if calls == int(count):
            cut_short(event, arguments)
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **keywords)

    setattr(owner, name, kill_or_call)
    sys.argv = ["fit", *args]
    return fit.main()


if __name__ == "__main__":
    sys.exit(main())
