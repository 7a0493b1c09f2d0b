"""The level q of τ_gen that a set of runs shares: as good as it gets here, by the runs that were given the time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from diffmem.analysis.estimate import plain
from diffmem.analysis.runs import Run
from diffmem.errors import DataError

QUALITY_FACTOR = 2.0
#: A quality that fell by more than this factor over the last half of a run has not levelled off.
STILL_FALLING = 2.0


@dataclass(frozen=True)
class QualityLevel:
    """Level q, where it comes from, and what is wrong with it.

    Attributes:
        value: q; None where there is none.
        note: Where it comes from, in a sentence.
        warning: Why times at this level say little; "" where nothing is wrong. It stands beside every such number.
    """

    value: float | None
    note: str
    warning: str = ""


def has_levelled_off(steps: ArrayLike, quality: ArrayLike) -> bool:
    """Whether the lowest quality over the last half of the steps is at least half the lowest of the first half.

    Step 0, where nothing is trained yet, has no part in it: a run that has just begun has not levelled off.
    """
    at, values = np.asarray(steps, dtype=np.float64), np.asarray(quality, dtype=np.float64)
    first, last = (at > 0) & (at <= at[-1] / 2), at > at[-1] / 2
    return bool(first.any() and values[last].min() * STILL_FALLING >= values[first].min())


def common_level(curves: Sequence[tuple[ArrayLike, ArrayLike]], factor: float = QUALITY_FACTOR) -> tuple[float, int]:
    """The level q for a set of runs, and the place of the run that sets it.

    q is ``factor`` times the largest, over the runs whose quality has levelled off, of each run's lowest quality: so
    that each of them can reach it, and no run that stopped too early sets it. Where none has levelled off, all count. A
    level relative to each run's own minimum would differ from run to run: with few images the distance to the held-out
    set keeps falling while the model copies.

    Args:
        curves: Steps (S,) and quality (S,) of each run.
        factor: How far above the worst plateau the level lies.
    """
    lowest = np.array([np.min(np.asarray(quality, dtype=np.float64)) for _, quality in curves])
    settled = np.array([has_levelled_off(*curve) for curve in curves])
    place = int(np.where(settled | ~settled.any(), lowest, -np.inf).argmax())
    return factor * float(lowest[place]), place


def shared_level(runs: Sequence[Run], quality: str, wanted: float | None) -> QualityLevel:
    """The level of ``runs``: ``wanted``, or their common one, which one run alone does not have.

    Raises:
        DataError: A run without a quality.
    """
    if wanted is not None:
        return QualityLevel(wanted, f"q = {plain(wanted)} as given.")
    if len(runs) == 1:
        note = "q: none, for one run has no level to share; set a quality level, or name the runs to compare with."
        return QualityLevel(None, note)
    tables = [run.table[["step", quality]].dropna() for run in runs]
    empty = [run.name for run, table in zip(runs, tables, strict=True) if table.empty]
    if empty:
        raise DataError(
            "quality level",
            got=f"no quality in {', '.join(empty)}",
            expected="a quality in every run",
            remedy="set a quality level or leave the run out",
        )
    curves = [(table["step"].to_numpy(), table[quality].to_numpy()) for table in tables]
    value, place = common_level(curves)
    steps, values = curves[place]
    at = int(values.argmin())
    note = (
        f"q = {plain(value)} = {QUALITY_FACTOR:g} × {plain(values[at])}, the lowest {quality} of {runs[place].name} "
        f"(step {steps[at]:g}), the highest lowest value of the runs that have levelled off"
    )
    falling = [run.name for run, curve in zip(runs, curves, strict=True) if not has_levelled_off(*curve)]
    if len(falling) == len(runs):
        warning = f"no run's {quality} has levelled off: q = {plain(value)} is set by where {runs[place].name} stopped"
        return QualityLevel(value, f"{note}; {warning}.", warning)
    if falling:
        more = f" and {len(falling) - 3} more" if len(falling) > 3 else ""
        note += f"; left out, as they still fell: {', '.join(falling[:3])}{more}"
    return QualityLevel(value, note + ".")
