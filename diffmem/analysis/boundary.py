"""Boundaries in the plane of n and the number of parameters p: what a training of some length memorizes, and n*(p).

Below n_gm(p) copies come before good samples. A training of τ updates memorizes the n with τ_mem(n) ≤ τ, by the law of
the group. Above n*(p) no training does: the architecture protects (arXiv 2505.17638).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffmem.analysis.comparison import Comparison, Group
from diffmem.analysis.estimate import plain
from diffmem.analysis.phase import Phase
from diffmem.analysis.scaling import PowerLaw

NUM_LENGTHS = 3


@dataclass(frozen=True)
class Bracket:
    """A number of images known to lie between two of those that were trained on; open where one is None."""

    above: int | None
    below: int | None

    def __str__(self) -> str:
        if self.above is None and self.below is None:
            return "–"
        if self.below is None:
            return f"> {self.above}"
        return f"≤ {self.below}" if self.above is None else f"{self.above} to {self.below}"


@dataclass(frozen=True)
class Boundary:
    """The boundaries of one group.

    Attributes:
        group: Name of the group.
        num_parameters: p.
        window: n_gm, where the window between τ_gen and τ_mem opens.
        memorized: The n below which a training of each length memorizes; NaN without a law that grows.
        star: n*, where the architecture begins to protect.
    """

    group: str
    num_parameters: int
    window: Bracket
    memorized: tuple[float, ...]
    star: Bracket


def lengths(comparison: Comparison) -> list[float]:
    """Training lengths to draw: from the shortest τ_mem seen to the longest, evenly in log τ."""
    seen = [time.value for cell in comparison.cells if (time := cell.times["mem"]) is not None and not time.censored]
    return [float(each) for each in np.geomspace(min(seen), max(seen), NUM_LENGTHS)] if seen else []


def boundaries(comparison: Comparison, of_lengths: Sequence[float]) -> list[Boundary]:
    """Those of every group whose p is known, ascending in p."""
    found = []
    for group in comparison.groups:
        p = group.runs[0].run.identity.get("num_parameters")
        if isinstance(p, int):
            memorized = tuple(_memorized_below(group.laws["mem"], each) for each in of_lengths)
            window = _bracket(group, (Phase.MEMORIZING,), (Phase.TRAINING_TIME, Phase.ARCHITECTURE))
            star = _bracket(group, (Phase.MEMORIZING, Phase.TRAINING_TIME, Phase.UNDECIDED), (Phase.ARCHITECTURE,))
            found.append(Boundary(group.name, p, window, memorized, star))
    return sorted(found, key=lambda each: each.num_parameters)


def boundary_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Header and rows, one for each group."""
    at = lengths(comparison)
    header = ["group", "p", "n_gm", *(f"n memorized by τ = {plain(each)}" for each in at), "n*"]
    rows = [
        [each.group, str(each.num_parameters), str(each.window), *map(_text, each.memorized), str(each.star)]
        for each in boundaries(comparison, at)
    ]
    return header, rows


def _memorized_below(law: PowerLaw | str, length: float) -> float:
    """n with τ_mem(n) = length; infinite where a law that hardly grows puts it beyond every number."""
    if isinstance(law, str) or law.exponent <= 0:
        return math.nan
    with np.errstate(over="ignore"):
        return float(np.exp(math.log(length / law.prefactor) / law.exponent))


def _bracket(group: Group, before: Sequence[Phase], after: Sequence[Phase]) -> Bracket:
    """Between the largest n of the phases ``before`` and the smallest n of those ``after`` it."""
    beyond = min((n for n, phase in group.phases.items() if phase in after), default=None)
    short = [n for n, phase in group.phases.items() if phase in before and (beyond is None or n < beyond)]
    return Bracket(max(short, default=None), beyond)


def _text(n: float) -> str:
    return "–" if math.isnan(n) else "∞" if math.isinf(n) else f"{n:.0f}"
