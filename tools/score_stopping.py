"""Ask of finished runs what a stopping rule would have kept, and how good that is on images the rule has not seen.

    python -m diffmem.evaluate RUN --at=scheduled --data.test_index=1 --out=RUN/unseen.csv     # for every run
    python tools/score_stopping.py ROOT --quality-level 2

The rule reads ``evaluations.csv``: the losses and the distance to the first held-out set. What it keeps is judged by
``unseen.csv``: the same samples, compared with the second held-out set. Prints a Markdown table, a row a run, and how
many runs of each setting ended well.
"""

import argparse
import itertools
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diffmem.analysis.report import text_table
from diffmem.analysis.runs import Run, quality_columns, read_runs
from diffmem.analysis.window import LEVELS, Rule, generalization_window
from diffmem.command_line import Parser, exit_code_of
from diffmem.errors import EXIT_DONE, DataError
from diffmem.files import read_table

UNSEEN = "unseen.csv"
HEADER = (
    "setting",
    "n",
    "seed",
    "stopped",
    "f_mem there",
    "kept",
    "f_mem kept",
    "quality",
    "ratio to the best",
    "verdict",
)
#: What the rule may come to, good and bad.
GOOD = ("kept in the window", "no window, and said so")


@dataclass(frozen=True)
class Score:
    """What a rule comes to on one run.

    Attributes:
        onset: The step at which it would have stopped; None: never.
        kept: The step whose weights it keeps; None: none.
        f_mem_onset: f_mem at ``onset``.
        f_mem_kept: f_mem at ``kept``.
        quality: Unseen quality at ``kept``.
        to_best: Its ratio to the best unseen quality of the steps without copies.
        verdict: One of :data:`GOOD`, or what went wrong.
    """

    onset: int | None
    kept: int | None
    f_mem_onset: float | None
    f_mem_kept: float | None
    quality: float | None
    to_best: float | None
    verdict: str


def score(
    rows: Sequence[dict[str, str]],
    unseen: Sequence[dict[str, str]],
    quality_level: float,
    rule: Rule = "loss_split",
    mem_level: float = 0.01,
) -> Score:
    """What ``rule`` keeps when it reads ``rows``, judged by ``unseen``, rows of the same steps.

    A step is good if its unseen quality is at most ``quality_level`` and the lower bound of f_mem is below
    ``mem_level``, as it is at all steps before. The run has a window if one of its steps is good.

    Raises:
        DataError: The two tables have other steps, or there is no quality.
    """
    if [row["step"] for row in rows] != [row["step"] for row in unseen]:
        raise DataError(UNSEEN, got="other steps", expected="those of evaluations.csv", remedy="use --at=scheduled")
    column = next(iter(quality_columns(unseen[0])), None)
    if column is None:
        raise DataError(UNSEEN, got="no quality", expected="fid or frechet_<features>", remedy="measure it")
    window = generalization_window(rows, rule, quality_level=quality_level)
    f_mem = {int(row["step"]): float(row["f_mem"]) for row in rows}
    quality = {int(row["step"]): float(row[column]) for row in unseen}
    without_copies = [
        int(row["step"]) for row in itertools.takewhile(lambda row: float(row["f_mem_low"]) < mem_level, unseen)
    ]
    best = min((quality[step] for step in without_copies), default=float("inf"))
    exists = best <= quality_level
    onset, kept = window.onset, window.best
    if kept is None:
        verdict = "missed the window" if exists else GOOD[1]
        return Score(onset, None, None if onset is None else f_mem[onset], None, None, None, verdict)
    if kept not in without_copies:
        verdict = "kept copies"
    elif quality[kept] > quality_level:
        verdict = "kept bad samples"
    else:
        verdict = GOOD[0]
    at_onset = None if onset is None else f_mem[onset]
    return Score(onset, kept, at_onset, f_mem[kept], quality[kept], quality[kept] / best, verdict)


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code."""
    return exit_code_of(lambda: _score_all(_parser().parse_args(args)))


def _score_all(options: argparse.Namespace) -> int:
    runs = read_runs([options.root])
    measured = [run for run in runs if run.folder is not None and (run.folder / UNSEEN).exists()]
    if not measured:
        folder, out = (shlex.quote(str(each)) for each in (runs[0].folder, runs[0].folder / UNSEEN))
        raise DataError(
            str(options.root), got=f"no {UNSEEN}", expected="runs measured on their second held-out set",
            remedy=f"python -m diffmem.evaluate {folder} --at=scheduled --data.test_index=1 --out={out}",
        )  # fmt: skip
    rows = []
    for run in measured:
        assert run.folder is not None
        tables = (read_table(run.folder / name) for name in ("evaluations.csv", UNSEEN))
        rows.append(_cells(run, score(*tables, options.quality_level, options.rule)))
    print(text_table(HEADER, rows))
    if len(measured) < len(runs):
        print(f"\n{len(runs) - len(measured)} runs without {UNSEEN} are left out")
    print()
    for setting in dict.fromkeys(row[0] for row in rows):
        of = [row[-1] for row in rows if row[0] == setting]
        print(f"{setting}: {sum(each in GOOD for each in of)} of {len(of)} well")
    return EXIT_DONE


def _cells(run: Run, found: Score) -> tuple[str, ...]:
    of = run.identity
    setting = f"{of.get('study', run.name)}, {of.get('optimizer', '?')}" + (
        f", labels {of['labels']}" if of.get("labels", "none") != "none" else ""
    )
    numbers = (found.onset, _share(found.f_mem_onset), found.kept, _share(found.f_mem_kept))
    quality = tuple(None if each is None else f"{each:.3g}" for each in (found.quality, found.to_best))
    texts = ("–" if each is None else str(each) for each in (*numbers, *quality))
    return (setting, str(run.n), str(of.get("seed", "–")), *texts, found.verdict)


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python tools/score_stopping.py", description=__doc__.partition("\n")[0])
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder of runs with evaluations.csv and unseen.csv")
    parser.add_argument("--rule", choices=sorted(LEVELS), default="loss_split", help="default %(default)s")
    parser.add_argument(
        "--quality-level", type=float, default=2.0, metavar="Q", help="good quality; default %(default)s"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
