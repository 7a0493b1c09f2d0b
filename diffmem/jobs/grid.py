"""Grid files: the runs of a study, one a line, each the overrides as they follow ``python -m diffmem.fit``.

Blank lines and lines that begin with ``#`` are not counted; the k-th line counted is task k of a job array.
``python -m diffmem.jobs.grid GRID K`` runs task K: it announces the task and becomes ``python -m diffmem.fit``.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from diffmem.command_line import Parser, exit_code_of
from diffmem.errors import ConfigError
from diffmem.shipped import find_config

#: Folder of the logs, in the folder that the runs are started from.
LOGS = Path("logs")
#: What the last line of an attempt in a log begins with; the exit code follows.
EXIT = "exit "


@dataclass(frozen=True)
class Task:
    """One run of a grid.

    Attributes:
        grid: The grid file.
        number: Place among the lines counted, from 1.
        line: Number of its line in the file, from 1.
        text: The line.
    """

    grid: Path
    number: int
    line: int
    text: str

    @property
    def arguments(self) -> list[str]:
        """The arguments of ``diffmem.fit``."""
        return shlex.split(self.text)

    @property
    def configs(self) -> list[Path]:
        """The config files that the line names."""
        return [find_config(value) for key, value in options(self.arguments) if key == "config"]

    @property
    def header(self) -> str:
        """What the log of every attempt begins with."""
        return f"task {self.number} of {self.grid.name}: {self.text}"

    @property
    def command(self) -> list[str]:
        """The command that runs the task."""
        return [sys.executable, "-m", "diffmem.jobs.grid", str(self.grid), str(self.number)]

    def log(self, folder: Path = LOGS) -> Path:
        """File that collects the output of every attempt."""
        return folder / self.grid.stem / f"{self.number}.log"


def read_grid(path: Path) -> list[Task]:
    """The tasks of the grid file ``path``, at least one.

    Raises:
        ConfigError: There is no such file, no text or no task in it, or a line (named by its number) is not made of
            ``--config FILE`` followed by ``--key=value``, names a file that is not there, or repeats another line.
    """
    if not path.is_file():
        raise ConfigError(
            str(path), got="no such file", expected="a grid, one run a line", remedy="see tools/make_grid.py --help"
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # Notepad begins a file with a byte order mark
    except UnicodeDecodeError as error:
        raise ConfigError(
            str(path), got="no text", expected="a grid, one run a line", remedy="see tools/make_grid.py --help"
        ) from error
    tasks: list[Task] = []
    for line, written in enumerate(lines, start=1):
        text = written.strip()
        if text and not text.startswith("#"):
            check_line(text, f"{path} line {line}")
            tasks.append(Task(path, len(tasks) + 1, line, text))
    if not tasks:
        raise ConfigError(str(path), got="no run", expected="at least one line of overrides", remedy="add a line")
    first: dict[tuple[str, ...], Task] = {}
    for task in tasks:
        other = first.setdefault(tuple(sorted(task.arguments)), task)
        if other is not task:
            raise _malformed(f"{path} line {task.line}", f"the run of line {other.line} again", "each run once")
    return tasks


def check_line(text: str, where: str) -> None:
    """Refuse a line that ``diffmem.fit`` cannot run; ``where`` names it in the error.

    Raises:
        ConfigError: If it is no --config FILE … --key=value ….
    """
    try:
        arguments = shlex.split(text)
    except ValueError as error:
        raise _malformed(where, str(error).lower(), "balanced quotes") from error
    seen: set[str] = set()
    for key, value in options(arguments):
        if not key:
            raise _malformed(where, repr(value), "--config FILE and --key=value only")
        if not value:
            raise _malformed(where, f"--{key} without a value", "--key=value")
        if key == "config":
            if seen:
                raise _malformed(where, f"--config {value} after --{min(seen)}", "every --config before the overrides")
            if not find_config(value).is_file():
                raise _malformed(where, f"--config {value}, no such file", "a file, named from the folder you are in")
        elif key in seen:
            raise _malformed(where, f"--{key} twice", "each key once")
        else:
            seen.add(key)


def options(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of key and value; the key is empty for a word that belongs to no option."""
    pairs: list[tuple[str, str]] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            pairs.append(("", word))
            continue
        key, equals, value = word[2:].partition("=")
        if not equals and rest and not rest[0].startswith("--"):
            value = rest.pop(0)
        pairs.append((key, value))
    return pairs


def _malformed(where: str, got: str, expected: str) -> ConfigError:
    return ConfigError(where, got=got, expected=expected, remedy="correct that line")


def find_task(tasks: Sequence[Task], number: str) -> Task:
    """Task ``number`` of the grid.

    Raises:
        ConfigError: No such task.
    """
    if not number.isdecimal() or not 1 <= int(number) <= len(tasks):
        raise ConfigError(
            f"{tasks[0].grid} task",
            got=number,
            expected=f"1 to {len(tasks)}, a line of the grid",
            remedy="submit the grid with tools/submit.py",
        )
    return tasks[int(number) - 1]


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code, if it does not become a run."""
    parser = Parser(prog="python -m diffmem.jobs.grid", description="Run one task of a grid.")
    parser.add_argument("grid", type=Path, help="grid file; see tools/make_grid.py")
    parser.add_argument("task", help="number of the task, from 1")
    options = parser.parse_args(args)
    return exit_code_of(lambda: _become(find_task(read_grid(options.grid), options.task)))


def _become(task: Task) -> NoReturn:
    print(task.header, flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "diffmem.fit", *task.arguments])


if __name__ == "__main__":
    sys.exit(main())
