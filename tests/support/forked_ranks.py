"""``python tests/support/forked_ranks.py``: diffmem in forked ranks, again and again after one import.

Reads launches from stdin, one JSON object a line, and prints the exit codes of each launch's ranks as a JSON list, None
for a rank that hung. A launch is ``{"world": W, "args": [...], "fault": [KIND, EVENT, K, RANK] or null, "command":
"fit", "evaluate" or "measure"}``, the last being ``known_cases.py``. At the K-th EVENT (those of ``kill_at.py`` and
``start``), or K seconds after the start where it is ``seconds``, something happens to rank RANK: KIND is a signal, sent
twice if it ends in ``!``; ``nan``, a sample that is no number; or ``full``, a disk on which no file grows any more.
When a rank is killed or refused by the disk, the others are killed soon after.
"""

import json
import os
import random
import resource
import signal
import socket
import sys
import threading
import time
import traceback

import kill_at
import known_cases
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only

import diffmem.config.parser  # noqa: F401
from diffmem import evaluate, fit
from diffmem.errors import EXIT_SYSTEM
from diffmem.jobs import signals

_TIMEOUT_SECONDS = 600
_COMMANDS = {"fit": fit.main, "evaluate": evaluate.main, "measure": known_cases.main}


def main() -> None:
    for line in sys.stdin:
        launch = {"fault": None, "command": "fit", **json.loads(line)}
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(launch["world"])}
        ranks = [_fork(rank, address, launch) for rank in range(launch["world"])]
        print(json.dumps(_exit_codes(ranks)), flush=True)
    os._exit(0)  # nothing is left to tidy up, which takes seconds after so many imports


def _fork(rank: int, address: dict[str, str], launch: dict) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        if launch["command"] == "fit":
            signals.listen()
        os.dup2(2, 1)
        if launch["world"] > 1:  # what torchrun sets
            here = {"RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "test"}
            os.environ.update(address, **here, LOCAL_WORLD_SIZE=str(launch["world"]))
        rank_zero_only.rank = rank
        if launch["fault"] and launch["fault"][3] == rank:
            _arm(*launch["fault"][:3])
        sys.argv = ["diffmem", *launch["args"]]
        code = _COMMANDS[launch["command"]]()
    except Exception:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _arm(kind: str, event: str, count: float) -> None:
    def fault(result: object = None) -> object:
        if kind == "nan":
            return torch.full_like(result, torch.nan)
        if kind == "full":
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            for stream in (1, 2):  # which may be a file as well
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
            return result
        for _ in range(2 if kind.endswith("!") else 1):
            os.kill(os.getpid(), signal.Signals[kind.rstrip("!")])
        return result

    if event == "start":
        fault()
        return
    if event == "seconds":
        timer = threading.Timer(count, fault)
        timer.daemon = True
        timer.start()
        return
    owner, name = kill_at.HOOKS[event]
    original, calls = getattr(owner, name), 0

    def call(*arguments, **keywords):
        nonlocal calls
        calls += 1
        if calls == count and kind == "SIGKILL":
            kill_at.cut_short(event, arguments)
            fault()
        result = original(*arguments, **keywords)
        return fault(result) if calls == count else result

    setattr(owner, name, call)


def _exit_codes(ranks: list[int]) -> list[int | None]:
    """Exit code of each rank; None for one that hung and was killed."""
    codes: dict[int, int | None] = {}
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while len(codes) < len(ranks):
        for rank in [each for each in ranks if each not in codes]:
            ended, status = os.waitpid(rank, os.WNOHANG)
            if ended:
                codes[rank] = os.waitstatus_to_exitcode(status)
                if codes[rank] in (-signal.SIGKILL, EXIT_SYSTEM):  # as torchrun and srun do
                    deadline = min(deadline, time.monotonic() + random.random())
            elif time.monotonic() > deadline:
                os.kill(rank, signal.SIGKILL)
                os.waitpid(rank, 0)
                codes[rank] = -signal.SIGKILL if {-signal.SIGKILL, EXIT_SYSTEM} & {*codes.values()} else None
        time.sleep(0.02)
    return [codes[rank] for rank in ranks]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
