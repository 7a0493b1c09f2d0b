"""One exponent for each criterion: how fast a time grows with n depends on how strict its criterion is.

Copying shows first in the distances to the nearest images, then in the losses, then in f_mem. Each criterion here gives
a time, the first step from which on it holds to the end of the run, and each time an exponent in n. For the quality it
is τ_gen at q and at lower levels, by the rule of τ_gen.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from diffmem.analysis import timescales
from diffmem.analysis.estimate import Array, Estimate, plain
from diffmem.analysis.runs import Run
from diffmem.analysis.scaling import PowerLaw, fit_of_runs
from diffmem.errors import DataError

NN_LEVELS = (0.05, 0.1, 0.2)
TEST_LEVELS = (0.05, 0.2, 0.5)
GAP_LEVELS = (0.1, 0.2, 0.5)
MEM_LEVELS = (0.01, 0.05, 0.2, 0.5)
GEN_SHARES = (1, 2, 4, 8)
_NUM_DRAWS = 20  # an exponent takes the times alone, not their intervals


@dataclass(frozen=True)
class Criterion:
    """What must hold for a time to have come.

    Attributes:
        family: The curve that is read, e.g. ``"L_test"``.
        name: The criterion in short; +5% is 5% above the lowest value so far.
        level: Its level; stricter ones of a family come later.
        copying: Whether it marks copying; False for the quality.
        measure: The time of a run on a clock (S,).
    """

    family: str
    name: str
    level: float
    copying: bool
    measure: Callable[[Run, Array], Estimate]


@dataclass(frozen=True)
class Rung:
    """The exponent of one group by one criterion.

    Attributes:
        group: Name of the group.
        criterion: By which the times are read.
        law: The law of the times in n, or the reason why there is none.
        num_refused: Runs whose curve cannot support the criterion, for example past it at the first evaluation.
    """

    group: str
    criterion: Criterion
    law: PowerLaw | str
    num_refused: int


def criteria(runs: Sequence[Run], quality: str, quality_level: float | None) -> list[Criterion]:
    """The criteria for which every run has the columns, from the onset of copying to complete copying, then quality."""

    def shared(*columns: str) -> bool:
        return all(column in run.table.columns for run in runs for column in columns)

    found: list[Criterion] = []

    def add(family: str, levels: Sequence[float], text: str, values: Callable[[Run], Array], base: float = 0.0) -> None:
        for level in levels:
            measure = partial(_rise, values=values, level=base + level, name=family)
            found.append(Criterion(family, text.format(level), level, True, measure))

    if shared("nn_train", "nn_heldout"):
        add("nn_heldout/nn_train", NN_LEVELS, "nn_heldout/nn_train +{:.0%}", _nn_ratio, 1.0)
    suffixes = [column.removeprefix("loss_test") for column in runs[0].table.columns if column.startswith("loss_test")]
    for suffix in (each for each in suffixes if not each.endswith("_std")):
        if not shared(f"loss_test{suffix}", f"loss_train{suffix}"):
            continue
        at = f" at {suffix.removeprefix('_t')}" if suffix else ""
        above = partial(_test_above_its_lowest, suffix=suffix)
        add(f"L_test{at}", TEST_LEVELS, f"L_test{at} +{{:.0%}}", above, 1.0)
        add(f"L_gen{at}", GAP_LEVELS, f"L_gen{at} ≥ {{:g}}", partial(_gap, suffix=suffix))
    for level in MEM_LEVELS:
        found.append(Criterion("f_mem", f"f_mem ≥ {level:.0%}", level, True, partial(_tau_mem, level=level)))
    if quality_level is not None:
        for share in GEN_SHARES:
            level = quality_level / share
            measure = partial(_tau_gen, quality=quality, level=level)
            found.append(Criterion("quality", f"{quality} ≤ {plain(level)}", 1 / level, False, measure))
    return found


def ladder(
    group: str,
    runs: Sequence[Run],
    among: Sequence[Criterion],
    clock: str = "updates",
    outlived: Collection[int] = (),
    confidence: float = timescales.CONFIDENCE,
) -> list[Rung]:
    """The exponents of one group.

    Args:
        group: Its name.
        runs: Its runs.
        among: Of :func:`criteria`.
        clock: As in :class:`diffmem.analysis.runs.Run`.
        outlived: Values of n that the architecture protects: left out of the criteria of copying.
        confidence: Mass of each interval.
    """
    rungs = []
    for criterion in among:
        taken = [run for run in runs if not (criterion.copying and run.n in outlived)]
        found = []
        for run in taken:
            try:
                found.append((run, criterion.measure(run, run.clock(clock))))
            except DataError:
                continue
        rungs.append(Rung(group, criterion, fit_of_runs(found, confidence), len(taken) - len(found)))
    return rungs


def ladder_row(rung: Rung) -> dict[str, object]:
    """One row of ``ladder.csv``; the exponent is empty where there is none."""
    law = rung.law if isinstance(rung.law, PowerLaw) else None
    return {
        "group": rung.group,
        "family": rung.criterion.family,
        "criterion": rung.criterion.name,
        "level": rung.criterion.level if rung.criterion.copying else 1 / rung.criterion.level,
        "exponent": law and law.exponent,
        "exponent_low": law and law.low,
        "exponent_high": law and law.high,
        "points": law and law.num_points,
        "censored": law and law.num_censored,
        "bend": law and law.bend and law.bend.value,
        "bend_low": law and law.bend and law.bend.low,
        "bend_high": law and law.bend and law.bend.high,
        "refused": rung.num_refused,
        "remark": None if law else rung.law,
    }


def _rise(run: Run, clock: Array, values: Callable[[Run], Array], level: float, name: str) -> Estimate:
    curve = values(run)
    here = ~np.isnan(curve)
    return timescales.tau_rise(clock[here], curve[here], level, name, _NUM_DRAWS)


def _nn_ratio(run: Run) -> Array:
    """nn_heldout/nn_train over its lowest value so far."""
    if "num_test" in run.table.columns:
        require_held_out(f"{run.name}: nn_heldout/nn_train", run.column("num_test")[-1], run.n)
    with np.errstate(divide="ignore", invalid="ignore"):  # samples that are all exact copies are at distance 0
        ratio = run.column("nn_heldout") / run.column("nn_train")
        return ratio / np.fmin.accumulate(ratio)


def require_held_out(name: str, num_test: float, n: float) -> None:
    """Refuse to read copying off nn_heldout/nn_train, called ``name``, where held-out images are few.

    Raises:
        DataError: Fewer held-out than training images, which are then farther from any good sample: the ratio rises as
            samples become good, without a copy.
    """
    if num_test < n:
        raise DataError(
            name,
            got=f"{num_test:.0f} held-out images for n = {n:.0f}",
            expected="at least as many",
            remedy="measure on more held-out images",
        )


def _test_above_its_lowest(run: Run, suffix: str) -> Array:
    """L_test over its lowest value so far."""
    loss = run.column(f"loss_test{suffix}")
    return loss / np.fmin.accumulate(loss)


def _gap(run: Run, suffix: str) -> Array:
    return run.column(f"loss_test{suffix}") - run.column(f"loss_train{suffix}")


def _tau_mem(run: Run, clock: Array, level: float) -> Estimate:
    return timescales.tau_mem(clock, run.column("f_mem"), run.num_samples, level=level, num_draws=_NUM_DRAWS)


def _tau_gen(run: Run, clock: Array, quality: str, level: float) -> Estimate:
    values = run.column(quality)
    here = ~np.isnan(values)
    return timescales.tau_gen(clock[here], values[here], level, num_draws=_NUM_DRAWS)
