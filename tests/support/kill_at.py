"""``python tests/support/kill_at.py EVENT K ARGS…``: ``diffmem.fit ARGS`` that gets SIGKILL at the K-th EVENT.

Events: ``step`` (before an update), ``sampling`` (an evaluation has begun), ``batch`` (of it), ``row`` (it is measured,
its row not written), ``checkpoint`` (the file is half-written under its temporary name), ``link`` (it is whole,
``last.ckpt`` still the old one).
"""

import os
import signal
import sys
from pathlib import Path

from diffmem import fit
from diffmem.callbacks import checkpoint, evaluation
from diffmem.models import DDPM

HOOKS = {
    "step": (DDPM, "training_step"),
    "sampling": (evaluation.Evaluation, "sample"),
    "batch": (DDPM, "sample"),
    "row": (evaluation, "put_row"),
    "checkpoint": (checkpoint, "publish"),
    "link": (Path, "symlink_to"),
}


def main() -> int:
    event, count, *args = sys.argv[1:]
    owner, name = HOOKS[event]
    original, calls = getattr(owner, name), 0

    def kill_or_call(*arguments, **keywords):
        nonlocal calls
        calls += 1
        if calls == int(count):
            if event == "checkpoint":
                partial = arguments[0]
                os.truncate(partial, partial.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **keywords)

    setattr(owner, name, kill_or_call)
    sys.argv = ["fit", *args]
    return fit.main()


if __name__ == "__main__":
    sys.exit(main())
