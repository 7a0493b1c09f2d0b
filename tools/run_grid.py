"""Run a grid on this machine, several runs at a time: python tools/run_grid.py GRID --jobs 2

Every run gets an equal share of the cores, and the GPU that the fewest of them use (all GPUs where its line
asks for more with --trainer.devices). The same command again leaves finished runs alone and resumes the others.
Output goes to logs/GRID/TASK.log. Exit code 1 if a run failed (their tasks are named), 130 after Ctrl-C.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live

from diffmem.command_line import Parser, exit_code_of
from diffmem.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_REQUEUE
from diffmem.jobs.grid import EXIT, LOGS, Task, options, read_grid
from diffmem.jobs.tasks import state_of_task
from diffmem.runs.state import RunState
from diffmem.status import describe, row_of, table

_STOP_SECONDS = 120.0


@dataclass
class Child:
    """A run in progress."""

    task: Task
    process: subprocess.Popen[bytes]
    started: float
    gpu: str | None


class GridRunner:
    """Runs tasks, ``jobs`` at a time, and reports on all of them.

    Args:
        tasks: The grid.
        jobs: Number of runs at a time.
        logs: Folder of the logs.
        console: Where to report: a live table on a terminal, a line an event elsewhere.
        every_seconds: Time between two plain summaries.
    """

    def __init__(self, tasks: list[Task], jobs: int, logs: Path, console: Console, every_seconds: float = 60.0) -> None:
        self.tasks, self.jobs, self.logs, self.console, self.every_seconds = tasks, jobs, logs, console, every_seconds
        self.exit_codes: dict[int, int] = {}
        self._running: list[Child] = []
        self._stopping = False
        self._gpus = visible_gpus()
        self._environment = {**os.environ, "OMP_NUM_THREADS": str(max(1, _num_cores() // jobs))}

    def run(self) -> int:
        """Run what is not done; returns the exit code."""
        handlers = {each: signal.signal(each, self._stop) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            with Live(console=self.console, auto_refresh=False, transient=False) as live:
                self._loop(live if self.console.is_terminal else None)
        finally:
            for each, handler in handlers.items():
                signal.signal(each, handler)
        return self._report()

    def _loop(self, live: Live | None) -> None:
        waiting = [task for task in self.tasks if not self._is_done(task)]
        done = len(self.tasks) - len(waiting)
        self.console.print(f"{len(self.tasks)} runs, {done} done, {self.jobs} at a time; output in {self._folder}")
        summarized = time.monotonic()
        while self._running or (waiting and not self._stopping):
            while waiting and len(self._running) < self.jobs and not self._stopping:
                self._start(waiting.pop(0))
            time.sleep(0.2)
            for child in [each for each in self._running if each.process.poll() is not None]:
                self._finish(child)
            if live and time.monotonic() - summarized > 1:
                live.update(table([row_of(task, self.logs) for task in self.tasks]), refresh=True)
                summarized = time.monotonic()
            elif not live and time.monotonic() - summarized > self.every_seconds:
                for child in self._running:
                    self._print(child.task, describe(self._state(child.task)))
                summarized = time.monotonic()

    def _is_done(self, task: Task) -> bool:
        """Whether its run is done and no config file has changed since; ``diffmem.fit`` knows for sure."""
        state = self._state(task)
        return state.state == "done" and all(path.stat().st_mtime < state.updated for path in task.configs)

    def _state(self, task: Task) -> RunState:
        return state_of_task(task, self.logs)

    @property
    def _folder(self) -> Path:
        return self.tasks[0].log(self.logs).parent

    def _start(self, task: Task) -> None:
        log, gpu = task.log(self.logs), self._gpu_of(task)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                task.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment | ({"CUDA_VISIBLE_DEVICES": gpu} if gpu is not None else {}),
                start_new_session=True,  # a terminal's Ctrl-C reaches this process alone, which stops them in order
            )
        self._running.append(Child(task, process, time.monotonic(), gpu))
        if self._stopping:  # a signal came before it could reach this run
            os.killpg(process.pid, signal.SIGTERM)
        self._print(task, f"started: {task.text}")

    def _gpu_of(self, task: Task) -> str | None:
        """The GPU with the fewest runs; None, which leaves all of them, where there is none or the run uses more."""
        devices = dict(options(task.arguments)).get("trainer.devices", "1")
        if not self._gpus or devices != "1":
            return None
        taken = [child.gpu for child in self._running]
        return min(self._gpus, key=taken.count)

    def _finish(self, child: Child) -> None:
        self._running.remove(child)
        code = self.exit_codes[child.task.number] = child.process.returncode
        with child.task.log(self.logs).open("a", encoding="utf-8") as log:
            log.write(f"{EXIT}{code}\n")
        minutes = (time.monotonic() - child.started) / 60
        self._print(child.task, f"exit code {code} after {minutes:.1f} min: {describe(self._state(child.task))}")

    def _print(self, task: Task, text: str) -> None:
        self.console.print(f"task {task.number}: {text}", soft_wrap=True, highlight=False, markup=False)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """The first signal lets the runs save and stop; a second one, or two minutes, ends them."""
        hard = self._stopping
        self._stopping = True
        for child in self._running:
            if child.process.poll() is None:
                os.killpg(child.process.pid, signal.SIGKILL if hard else signal.SIGTERM)
        if not hard:
            signal.signal(signal.SIGALRM, self._stop)
            signal.setitimer(signal.ITIMER_REAL, _STOP_SECONDS)

    def _report(self) -> int:
        signal.setitimer(signal.ITIMER_REAL, 0)
        codes = self.exit_codes.items()
        failed = [number for number, code in codes if code not in (EXIT_DONE, EXIT_REQUEUE)]
        stopped = [number for number, code in codes if code == EXIT_REQUEUE]
        if self._stopping:
            self.console.print("stopped; run the same command again to resume")
            return EXIT_INTERRUPTED
        if failed:
            names = ", ".join(map(str, sorted(failed)))
            self.console.print(f"failed: task {names}; see {self._folder}", soft_wrap=True)
            return EXIT_FAILED
        if stopped:
            names = ", ".join(map(str, sorted(stopped)))
            self.console.print(f"stopped from elsewhere: task {names}; run the same command again to resume")
            return EXIT_INTERRUPTED
        self.console.print("all runs are done")
        return EXIT_DONE


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Those that CUDA_VISIBLE_DEVICES names, or else all that nvidia-smi lists."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [each for each in named.split(",") if each]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout.splitlines()
    return [str(number) for number in range(sum(line.startswith("GPU ") for line in listed))]


def main(args: list[str] | None = None) -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", type=Path, help="grid file; see tools/make_grid.py")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; default %(default)s")
    parser.add_argument("--logs", type=Path, default=LOGS, help="folder of the logs; default %(default)s")
    options = parser.parse_args(args)
    if options.jobs < 1:
        parser.error(f"--jobs: got {options.jobs}, expected at least 1")
    return exit_code_of(lambda: GridRunner(read_grid(options.grid), options.jobs, options.logs, Console()).run())


if __name__ == "__main__":
    sys.exit(main())
