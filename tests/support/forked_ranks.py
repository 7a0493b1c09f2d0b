"""``python tests/support/forked_ranks.py LAUNCHES``: ``diffmem.fit`` in forked ranks, again and again after one import.

LAUNCHES is a JSON list of ``{"world": W, "args": [...], "fault": [KIND, EVENT, K, RANK] or null}``. At the K-th EVENT
(those of ``kill_at.py`` and ``start``) rank RANK sends itself the signal KIND, twice if it ends in ``!``, or for KIND
``nan`` finds a sample that is no number. Prints a JSON list of the ranks' exit codes, one line a launch.
"""

import json
import os
import signal
import socket
import sys
import time
import traceback

import kill_at
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only

import diffmem.config.parser  # noqa: F401
from diffmem import fit
from diffmem.jobs import signals

_TIMEOUT_SECONDS = 600


def main() -> None:
    for launch in json.loads(sys.argv[1]):
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(launch["world"])}
        ranks = [_fork(rank, address, launch) for rank in range(launch["world"])]
        print(json.dumps(_exit_codes(ranks)), flush=True)


def _fork(rank: int, address: dict[str, str], launch: dict) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        signals.listen()
        os.dup2(2, 1)
        if launch["world"] > 1:  # what torchrun sets
            here = {"RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "test"}
            os.environ.update(address, **here, LOCAL_WORLD_SIZE=str(launch["world"]))
        rank_zero_only.rank = rank
        if launch["fault"] and launch["fault"][3] == rank:
            _arm(*launch["fault"][:3])
        sys.argv = ["fit", *launch["args"]]
        code = fit.main()
    except Exception:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _arm(kind: str, event: str, count: int) -> None:
    def fault(result: object) -> object:
        if kind == "nan":
            return torch.full_like(result, torch.nan)
        for _ in range(2 if kind.endswith("!") else 1):
            os.kill(os.getpid(), signal.Signals[kind.rstrip("!")])
        return result

    if event == "start":
        fault(None)
        return
    owner, name = kill_at.HOOKS[event]
    original, calls = getattr(owner, name), 0

    def call(*arguments, **keywords):
        nonlocal calls
        calls += 1
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
            elif time.monotonic() > deadline:
                os.kill(rank, signal.SIGKILL)
                os.waitpid(rank, 0)
                codes[rank] = None
        time.sleep(0.02)
    return [codes[rank] for rank in ranks]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
