"""Commands of diffmem in processes that take a tenth of a second to start; see ``forked_ranks.py``."""

import json
import subprocess
import sys

from small_run import ROOT


class Launcher:
    """One process that has imported everything, and forks the ranks of every command."""

    def __init__(self) -> None:
        script = [sys.executable, str(ROOT / "tests/support/forked_ranks.py")]
        self._process = subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def __call__(
        self, args: list[str], world: int = 1, fault: list | None = None, command: str = "fit"
    ) -> list[int | None]:
        """Exit codes of the ``world`` ranks of ``command`` with ``args``, one of which meets with ``fault``."""
        plan = {"world": world, "command": command, "args": args, "fault": fault}
        self._process.stdin.write(json.dumps(plan) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> int:
        """End it; returns its exit code."""
        self._process.stdin.close()
        return self._process.wait(100)
