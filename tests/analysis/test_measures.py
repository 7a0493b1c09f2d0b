"""Twins beside the two clocks: the table in the README of the metrics, of U-Nets on digits and MLPs on photographs."""

from pathlib import Path

import draw_measures
import pytest

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.order import times
from diffmem.analysis.runs import read_runs

ROOT = Path(__file__).parents[2]
STUDY = Path(__file__).parent / "measures"
README = (ROOT / "diffmem/metrics/README.md").read_text(encoding="utf-8")
HALF = "half nearer to their training images"


def twins(kind):
    """By n, when half of the samples are nearer to a training image than to their twin."""
    found = {}
    for path in (STUDY / kind).glob("twins-*.csv"):
        run = draw_measures.read(STUDY / kind / path.stem.removeprefix("twins-") / "evaluations.csv")
        (row,) = [row for row in times(draw_measures.read(path)) if row["rule"] == HALF]
        found[int(run["n"][0])] = row
    return found


def clocks(kind, quality_level):
    comparison = compare(read_runs([STUDY / kind]), Rules(quality_level=quality_level))
    return {cell.n: cell.times for cell in comparison.cells}


@pytest.mark.parametrize(("kind", "label", "level"), [("unet", "digits, U-Net", 2.0), ("patches", "patches, MLP", 1.0)])
def test_the_times_printed_are_those_computed(kind, label, level):
    of = clocks(kind, level)
    for n, row in twins(kind).items():
        gen, mem = (str(of[n][name] or "< 100") for name in ("gen", "mem"))
        assert f"| {label} | {n} | {gen} | {row['text']} | {mem} |" in README
