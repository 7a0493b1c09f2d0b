"""A page of runs, to open or to mail: ``python -m diffmem.report RUN_OR_ROOT … [--out report.html]``.

One HTML file with everything inside: curves, times, samples beside their nearest training images, config and cost of
each run, and, of several, the tables and laws of ``diffmem.compare``. ``--watch`` writes it again while runs go on, and
waits for a run to begin where there is none yet.
"""

import argparse
import sys
import time
from pathlib import Path

from diffmem import startup
from diffmem.command_line import Parser, exit_code_of, writing
from diffmem.compare import WANDB_SOURCE, add_rules, rules_of, runs_of, under_rules
from diffmem.errors import EXIT_DONE, ConfigError, DataError
from diffmem.files import folders_with
from diffmem.runs.state import FILE, state_of_run

_LIVE = ("starting", "running", "requeued")


def parser() -> argparse.ArgumentParser:
    """The command line: that of ``diffmem.compare``, and where to write."""
    parser = Parser(prog="python -m diffmem.report", description=__doc__.partition("\n")[0])
    add_rules(parser, by=None, says="as few columns as tell the settings apart")
    parser.add_argument(
        "--out", type=Path, default=Path("report.html"), metavar="FILE", help="page to write; default %(default)s"
    )
    parser.add_argument(
        "--watch",
        type=int,
        nargs="?",
        const=30,
        metavar="SECONDS",
        help="write it again every SECONDS (30 by default) until no run goes on, and wait where none has begun; an "
        "open page follows",
    )
    return parser


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code."""
    return exit_code_of(lambda: under_rules(_report, parser().parse_args(args)))


def _report(options: argparse.Namespace) -> int:
    if options.watch is not None and options.watch < 1:
        raise ConfigError("--watch", got=options.watch, expected="at least 1 second", remedy="e.g. --watch 30")
    try:
        while _goes_on(options):
            time.sleep(options.watch)
    except KeyboardInterrupt:
        if options.watch is None:
            raise
    return EXIT_DONE


def _goes_on(options: argparse.Namespace) -> bool:
    """Write the page; whether it is to be written again."""
    live = options.watch is not None and any_to_come(options.sources)
    try:
        _write(options, options.watch if live else None)
    except DataError as error:
        if not live:
            raise
        print(f"nothing to show yet: {error}", flush=True)
    return live


def _write(options: argparse.Namespace, refresh_seconds: int | None) -> None:
    from diffmem.analysis.pages.content import content_of
    from diffmem.analysis.pages.page import MAX_BYTES, write_page

    runs = runs_of(options, needed=("step", "n"))
    content = content_of(runs, rules_of(options, runs), options.against)
    with writing(options.out, "a file to write"):
        size = write_page(content, options.out, refresh_seconds)
    shown = "1 run" if len(content.members) == 1 else f"{len(content.members)} runs"
    if content.refusal:
        print(f"without a comparison: {content.refusal}")
    large = ", too large to mail: name fewer runs" if size > MAX_BYTES else ""
    print(f"written: {options.out}, {shown}, {size / 1e6:.1f} MB{large}", flush=True)


def any_to_come(sources: list[str]) -> bool:
    """Whether a run at or below one of the folders goes on, or none has begun there yet."""
    from diffmem.analysis.runs import TABLE

    for folder in (Path(source) for source in sources if not source.startswith(WANDB_SOURCE)):
        begun = [*folders_with(FILE, folder)]
        if any(state_of_run(each).state in _LIVE for each in begun):
            return True
        if not begun and next(folders_with(TABLE, folder), None) is None:
            return True
    return False


if __name__ == "__main__":
    startup.load("diffmem.analysis.comparison", "scipy.optimize")
    sys.exit(main())
