"""Compare runs: ``python -m diffmem.compare RUN_OR_ROOT … [--by optimizer] [--out DIR]``.

Prints τ_gen, τ_mem, their gap and ratio for every group and n, and writes ``comparison.csv``, ``ladder.csv``,
``comparison.md`` and figures. Runs are read from folders, or from W&B as ``wandb:ENTITY/PROJECT``; ``--wandb`` is where
to upload to. With ``--against KEY=VALUE`` it tells instead how each difference from the runs of that setting moves the
times, in ``effects.csv``, ``effects.md`` and a forest plot.
"""

import argparse
import math
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffmem import startup
from diffmem.command_line import Parser, exit_code_of, writing
from diffmem.errors import EXIT_DONE, ConfigError, parameters_of

if TYPE_CHECKING:
    from diffmem.analysis.comparison import Rules
    from diffmem.analysis.runs import Run

WANDB_SOURCE = "wandb:"
_RULES = ("by", "n", "against", "clock", "quality", "quality_level", "mem_level", "confidence", "draws", "collapse")


def parser() -> argparse.ArgumentParser:
    """The command line; the levels are options because the times move with them."""
    parser = Parser(prog="python -m diffmem.compare", description=__doc__.partition("\n")[0])
    add_rules(parser)
    parser.add_argument(
        "--per-class", action="store_true", help="also τ_mem of each class of conditional runs, into per_class.csv"
    )
    parser.add_argument("--out", type=Path, default=Path("comparison"), metavar="DIR", help="default ./%(default)s")
    parser.add_argument(
        "--wandb",
        metavar="ENTITY/PROJECT",
        help="upload the runs read from folders, the comparison and a report there (offline with WANDB_MODE=offline)",
    )
    return parser


def add_rules(parser: argparse.ArgumentParser, by: str | None = "optimizer", says: str = "%(default)s") -> None:
    """The options that say which runs are compared, and by which rules; ``by`` is the default of the groups."""
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="RUN_OR_ROOT",
        help=f"folders with evaluations.csv in or below them, or {WANDB_SOURCE}ENTITY/PROJECT to read from W&B",
    )
    parser.add_argument("--by", default=by, metavar="COLUMN[,COLUMN]", help=f"groups; default {says}")
    parser.add_argument(
        "--n",
        metavar="N|LEAST..MOST",
        help="runs of these n alone, such as 64.. or 32..256: a law may change with them",
    )
    parser.add_argument(
        "--against",
        metavar="KEY=VALUE[,…]",
        help="instead of groups, what each difference from the runs of this setting does to the times: ratios paired "
        "over n, subset and seed; where several settings have these values, the one nearest to all others",
    )
    parser.add_argument("--clock", choices=("updates", "images", "epochs", "lr"), default="updates")
    parser.add_argument("--quality", metavar="COLUMN", help="default fid, or the one frechet_<features>")
    parser.add_argument(
        "--quality-level",
        type=float,
        metavar="Q",
        help="level of τ_gen; default twice the largest of the runs' lowest qualities",
    )
    parser.add_argument(
        "--mem-level", type=float, default=0.01, metavar="C", help="level of τ_mem; default %(default)s"
    )
    parser.add_argument("--confidence", type=float, default=0.95, metavar="P", help="default %(default)s")
    parser.add_argument("--draws", type=int, default=1000, metavar="B", help="bootstrap draws; default %(default)s")
    parser.add_argument(
        "--collapse",
        choices=("all", "plateaus"),
        default="all",
        help="curves laid on each other in τ/n^α: all, divided by f_mem(τ_max) where all have levelled off, or "
        "those alone that have; default %(default)s",
    )


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code."""
    return exit_code_of(lambda: under_rules(_compare, parser().parse_args(args)))


def under_rules(command: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """What ``command`` returns; errors about the rules name the options of :func:`add_rules`."""
    with parameters_of(num_draws="draws"):
        return command(options)


def runs_of(options: argparse.Namespace, **how: Any) -> "list[Run]":
    """The runs that the options of :func:`add_rules` name; ``how`` is passed on to the reader of folders.

    Raises:
        ConfigError: An option that cannot be used.
        DataError: Runs that cannot be read.
    """
    _check(options)

    from diffmem.analysis.runs import read_runs

    folders = [source for source in options.sources if not source.startswith(WANDB_SOURCE)]
    runs = read_runs(folders, **how)
    for source in options.sources:
        if source.startswith(WANDB_SOURCE):
            from diffmem.analysis.wandb import read_project

            runs += read_project(source.removeprefix(WANDB_SOURCE))
    least, most = _range_of(options.n)
    chosen = [run for run in runs if least <= run.n <= most]
    if not chosen:
        found = ", ".join(map(str, sorted({run.n for run in runs})))
        raise ConfigError("--n", got=options.n, expected=f"a range with some of n = {found}", remedy="widen it")
    return chosen


def _range_of(text: str | None) -> tuple[float, float]:
    """Both ends of LEAST..MOST, of which either may be left out, or one number."""
    if text is None:
        return 0, math.inf
    if text.isdecimal():
        return int(text), int(text)
    ends = re.fullmatch(r"(\d*)\.\.(\d*)", text)
    if ends is None or text == "..":
        raise ConfigError(
            "--n", got=repr(text), expected="a number or LEAST..MOST, such as 64.. or 32..256", remedy="write it so"
        )
    return int(ends[1] or 0), int(ends[2]) if ends[2] else math.inf


def rules_of(options: argparse.Namespace, runs: "list[Run]") -> "Rules":
    """The rules that the options of :func:`add_rules` set for ``runs``.

    Raises:
        ConfigError: Groups beside a baseline.
    """
    if options.against:
        _refuse_beside_against(**{"--by": options.by not in (None, "optimizer")})
    from diffmem.analysis.comparable import columns_of_settings
    from diffmem.analysis.comparison import Rules

    return Rules(
        by=columns_of_settings(runs) if options.against else () if options.by is None else tuple(options.by.split(",")),
        clock=options.clock,
        quality=options.quality,
        quality_level=options.quality_level,
        mem_level=options.mem_level,
        confidence=options.confidence,
        num_draws=options.draws,
        collapse=options.collapse,
    )


def _compare(options: argparse.Namespace) -> int:
    """Read, compare, write and print."""
    if options.against:
        return _compare_against(options)
    from diffmem.analysis import per_class
    from diffmem.analysis.comparison import compare

    runs = runs_of(options)
    rules = rules_of(options, runs)
    comparison = compare(runs, rules)
    classes = per_class.class_times(runs, rules) if options.per_class else []

    from diffmem.analysis.figures import MAX_GROUPS, write_figures
    from diffmem.analysis.report import console_text, write_csv, write_ladder, write_markdown

    with writing(options.out, "a folder to write in"):
        options.out.mkdir(parents=True, exist_ok=True)
        write_csv(comparison, options.out / "comparison.csv")
        write_ladder(comparison, options.out / "ladder.csv")
        figures = write_figures(comparison, options.out)
        write_markdown(comparison, options.out / "comparison.md", figures)
        if classes:
            per_class.write_classes(classes, rules, options.out / per_class.TABLE)
    print(console_text(comparison))
    if classes:
        print(f"\n{per_class.console_text(classes, rules)}")
    names = ["comparison.csv", "ladder.csv", "comparison.md", *([per_class.TABLE] if classes else [])]
    names += [each.name for each in figures]
    print(f"\nWritten to {options.out}: {', '.join(names)}")
    if len(comparison.groups) > MAX_GROUPS:
        print(f"No figures: {len(comparison.groups)} groups, of which at most {MAX_GROUPS} are told apart in one")
    print(f"A page of it: {_page_command(options)}")
    if options.wandb:
        from diffmem.analysis.wandb import upload

        print("\n".join(upload(comparison, options.wandb, options.out, figures)))
    return EXIT_DONE


def _compare_against(options: argparse.Namespace) -> int:
    """The same for ``--against``."""
    _refuse_beside_against(**{"--per-class": options.per_class, "--wandb": options.wandb})
    from diffmem.analysis.comparison import compare
    from diffmem.analysis.effects import effects_against
    from diffmem.analysis.effects_table import console_text, write_effects
    from diffmem.analysis.forest import forest
    from diffmem.analysis.style import save

    runs = runs_of(options)
    effects = effects_against(compare(runs, rules_of(options, runs)), options.against)
    with writing(options.out, "a folder to write in"):
        options.out.mkdir(parents=True, exist_ok=True)
        figure = save(forest(effects), options.out / "effects.png")
        paths = [*write_effects(effects, options.out, [figure]), figure]
    print(console_text(effects))
    print(f"\nWritten to {options.out}: {', '.join(each.name for each in paths)}")
    print(f"A page of it: {_page_command(options)}")
    return EXIT_DONE


def _refuse_beside_against(**given: object) -> None:
    """Refuse the first of these options that was given."""
    for name in (name for name, value in given.items() if value):
        raise ConfigError(
            name,
            got="it beside --against",
            expected="one of the two: --against compares settings, and writes effects alone",
            remedy="leave one out",
        )


def _page_command(options: argparse.Namespace) -> str:
    """The command of the page by the same rules."""
    chosen = {name: getattr(options, name) for name in _RULES if getattr(options, name) != parser().get_default(name)}
    words = [word for name, value in chosen.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return f"python -m diffmem.report {' '.join(map(shlex.quote, [*options.sources, *words]))}"


def _check(options: argparse.Namespace) -> None:
    targets = [source.removeprefix(WANDB_SOURCE) for source in options.sources if source.startswith(WANDB_SOURCE)]
    for target in [*targets, *([options.wandb] if getattr(options, "wandb", None) else [])]:
        if target.count("/") != 1 or not all(target.split("/")):
            raise ConfigError("W&B project", got=repr(target), expected="ENTITY/PROJECT", remedy="name both")


if __name__ == "__main__":
    startup.load("diffmem.analysis.comparison", "diffmem.analysis.figures", "matplotlib.figure", "scipy.optimize")
    sys.exit(main())
