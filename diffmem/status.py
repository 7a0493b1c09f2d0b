"""``python -m diffmem.status ROOT|GRID``: what the runs below a folder, or of a grid, are doing."""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from diffmem.command_line import Parser, exit_code_of
from diffmem.errors import EXIT_DONE, DataError
from diffmem.files import folders_with
from diffmem.jobs.grid import LOGS, Task, read_grid
from diffmem.jobs.queue import read_queue
from diffmem.jobs.tasks import state_of_task
from diffmem.runs.state import FILE, RunState, f_mem_of_views, state_of_run
from diffmem.text import one_line

Row = tuple[int, str, RunState]

_PLAIN_WIDTH = 200
_AGAIN = ("failed", "died", "stopped")
_COLORS = {"done": "green", "running": "cyan", "starting": "cyan", "requeued": "yellow", **dict.fromkeys(_AGAIN, "red")}


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code."""
    parser = Parser(prog="python -m diffmem.status", description=__doc__)
    parser.add_argument("source", type=Path, help="a folder with runs in or below it, or a grid file")
    parser.add_argument("--failed", action="store_true", help="print only the tasks to resubmit, as --tasks takes them")
    parser.add_argument("--logs", type=Path, default=LOGS, help="folder of a grid's logs; default %(default)s")
    options = parser.parse_args(args)
    return exit_code_of(lambda: _show(options))


def _show(options: argparse.Namespace) -> int:
    rows = states(options.source, options.logs)
    if options.failed:
        print(",".join(str(number) for number, _, run in rows if run.state in _AGAIN))
        return EXIT_DONE
    terminal = sys.stdout.isatty()
    console = Console() if terminal else Console(width=_PLAIN_WIDTH)
    console.print(table(rows, borders=terminal))
    return EXIT_DONE


def states(source: Path, logs: Path = LOGS) -> list[Row]:
    """Number, name and state of each run of a grid file, or in and below a folder.

    Raises:
        ConfigError: A malformed grid.
        DataError: Neither a grid nor a folder with runs.
    """
    if source.is_file():
        tasks, queue = read_grid(source), read_queue(source)
        runs = [row_of(task, logs) for task in tasks]
        return runs if queue is None else [(number, name, queue.correct(number, run)) for number, name, run in runs]
    folders = sorted(folders_with(FILE, source))
    if not folders:
        got = "no runs" if source.is_dir() else "no such file or folder"
        expected = "a grid file or a folder with runs"
        raise DataError(str(source), got=got, expected=expected, remedy="correct the path")
    names = [str(folder.relative_to(source)) if folder != source else folder.name for folder in folders]
    found = [_or_failed(state_of_run, folder) for folder in folders]
    return [(number, name, run) for number, (name, run) in enumerate(zip(names, found, strict=True), start=1)]


def row_of(task: Task, logs: Path = LOGS) -> Row:
    """The row of a grid's task, named by its run's folder, or by its line where it has none yet."""
    run = _or_failed(state_of_task, task, logs)
    return task.number, run.folder.name if run.folder else task.text, run


def _or_failed(read: Callable[..., RunState], *of: object) -> RunState:
    """What ``read`` finds; one file that cannot be read hides no other run."""
    try:
        return read(*of)
    except DataError as error:
        return RunState("failed", reason=str(error))


def table(rows: Sequence[Row], borders: bool = True) -> Table:
    """One line a run, one more for its views, and a count of each state."""
    counts = Counter(run.state for _, _, run in rows)
    title = ", ".join(f"{count} {state}" for state, count in counts.items())
    made = Table(title=title, title_justify="left", box=HEAVY_HEAD if borders else None)
    for name in ("#", "state", "step", "it/s", "left", "f_mem"):
        made.add_column(name, justify="left" if name == "state" else "right", no_wrap=True)
    made.add_column("run", overflow="fold")
    for number, name, run in rows:
        color = _COLORS.get(run.state, "dim")
        reason = f"\n{one_line(run.reason)}" if run.reason else ""
        views = _views(run.folder) if run.folder else ""
        told = one_line(name) + reason + (f"\n{views}" if views else "")
        made.add_row(str(number), Text(run.state, color), *_numbers(run), Text(told))
    return made


def _views(folder: Path) -> str:
    """f_mem in the views of the run in ``folder`` other than the default one; "" where it has none."""
    shares = ", ".join(f"{one_line(name)} {f_mem:.1%}" for name, f_mem in f_mem_of_views(folder).items())
    return f"f_mem in views: {shares}" if shares else ""


def _numbers(run: RunState) -> tuple[str, str, str, str]:
    step = "" if run.step is None else f"{run.step}/{run.max_steps}"
    rate = f"{run.steps_per_second:.1f}" if run.state == "running" and run.steps_per_second else ""
    left = "" if run.seconds_left is None else _duration(run.seconds_left)
    return step, rate, left, "" if run.f_mem is None else f"{run.f_mem:.1%}"


def describe(run: RunState) -> str:
    """The state of a run in a few words."""
    step, rate, left, f_mem = _numbers(run)
    parts = [
        run.state,
        step and f"step {step}",
        rate and f"{rate} it/s",
        left and f"{left} left",
        f_mem and f"f_mem {f_mem}",
        run.reason and one_line(run.reason),
    ]
    return " · ".join(part for part in parts if part)


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    days, hours = divmod(hours, 24)
    return f"{days}d {hours:02d}:{minutes:02d}" if days else f"{hours}:{minutes:02d} h"


if __name__ == "__main__":
    sys.exit(main())
