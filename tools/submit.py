"""Submit a grid to SLURM as a job array: python tools/submit.py GRID [--dry-run] [sbatch options, e.g. --partition=gpu]

Array task K runs line K; its output goes to logs/GRID/K.log. A malformed line is refused before anything is submitted.
Submitting a grid again is safe: finished runs are left alone, others resume, a running one refuses a second process.
"""

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

from diffmem.command_line import Parser, exit_code_of
from diffmem.errors import EXIT_DONE, EXIT_FAILED, ConfigError, parameters_of, require_at_least
from diffmem.jobs.grid import Task, find_task, read_grid

SCRIPT = Path(__file__).resolve().parent.parent / "sbatch" / "fit_array.sbatch"


def command(tasks: list[Task], chosen: str | None, at_once: int | None, options: list[str]) -> list[str]:
    """The ``sbatch`` command for the tasks that ``chosen`` names, all of them where it is None.

    Raises:
        ConfigError: A task that the grid does not have, fewer than one at once, or an option of sbatch that follows
            from the grid.
    """
    everything = f"1-{len(tasks)}" if len(tasks) > 1 else "1"
    numbers = everything if chosen is None else chosen
    chosen_of(tasks, numbers)
    with parameters_of():
        require_at_least(1, at_once=at_once)
    for option in options:
        if re.match("-[aoJ]|--(array|output|job-name)(=|$)", option):
            raise ConfigError(
                option,
                got="an option of sbatch",
                expected="it to follow from the grid",
                remedy="use --tasks, --at-once",
            )
    limit = "" if at_once is None else f"%{at_once}"
    log = tasks[0].log().parent
    return [
        "sbatch",
        f"--array={numbers}{limit}",
        f"--job-name={tasks[0].grid.stem}",
        f"--output={log}/%a.log",
        *options,
        str(SCRIPT),
        str(tasks[0].grid),
    ]


def chosen_of(tasks: list[Task], numbers: str) -> list[Task]:
    """The tasks that numbers and ranges such as 1-4,7 name.

    Raises:
        ConfigError: They are not written so, or name a task that the grid does not have.
    """
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", numbers):
        raise ConfigError(
            "--tasks", got=repr(numbers), expected="numbers and ranges, e.g. 1-4,7", remedy="change --tasks"
        )
    found: dict[int, Task] = {}
    for each in numbers.split(","):
        first, *more = (find_task(tasks, number).number for number in each.split("-"))
        last = more[0] if more else first
        if last < first:
            raise ConfigError("--tasks", got=each, expected="FIRST-LAST, ascending", remedy="change --tasks")
        found |= {number: tasks[number - 1] for number in range(first, last + 1)}
    return list(found.values())


def main(args: list[str] | None = None) -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("grid", type=Path, help="grid file; see tools/make_grid.py")
    parser.add_argument("--dry-run", action="store_true", help="print the command and the runs, submit nothing")
    parser.add_argument(
        "--tasks", metavar="LIST", nargs="?", const="", help="only these, e.g. 1-4,7; see diffmem.status --failed"
    )
    parser.add_argument("--at-once", type=int, metavar="N", help="maximum number of tasks running at once")
    options, sbatch_options = parser.parse_known_args(args)
    return exit_code_of(lambda: _submit(options, sbatch_options))


def _submit(options: argparse.Namespace, sbatch_options: list[str]) -> int:
    tasks = read_grid(options.grid)
    if options.tasks == "":
        print("no task to submit: none has failed, died or stopped")
        return EXIT_DONE
    wanted = command(tasks, options.tasks, options.at_once, sbatch_options)
    if options.dry_run:
        print(shlex.join(wanted))
        for task in chosen_of(tasks, options.tasks) if options.tasks else tasks:
            print(task.header)
        return EXIT_DONE
    tasks[0].log().parent.mkdir(parents=True, exist_ok=True)
    try:
        return EXIT_DONE if subprocess.run(wanted).returncode == 0 else EXIT_FAILED
    except FileNotFoundError:
        print("submit: no sbatch on this machine; tools/run_grid.py runs a grid without a scheduler", file=sys.stderr)
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
