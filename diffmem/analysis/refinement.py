"""Where to measure a run again so that one of its times has a narrow interval."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from diffmem.analysis.estimate import Estimate
from diffmem.errors import DataError

#: Rows share the noise of their losses: the spread over its draws does not shrink with more samples.
_SHARED = ("loss_",)


class Next(NamedTuple):
    """What to do next.

    Attributes:
        steps: Steps to measure.
        more: Whether they have been measured before and need as many samples again as they have.
    """

    steps: tuple[int, ...]
    more: bool


def bracket(estimate: Estimate, steps: Sequence[int]) -> tuple[int, int]:
    """The evaluated steps just outside the interval of ``estimate``.

    Args:
        estimate: A time of the run.
        steps: Evaluated steps, ascending.

    Raises:
        DataError: The time was not reached, or there is no evaluation before it.
    """
    if estimate.censored:
        raise DataError(
            "refinement",
            got=f"a time beyond step {estimate.last_text}",
            expected="a time that the run has passed",
            remedy="train it longer",
        )
    before = [step for step in steps if 0 < step <= estimate.low] or [step for step in steps if step > 0][:1]
    after = [step for step in steps if step >= estimate.high] or [steps[-1]]
    if before[-1] >= after[0]:
        raise DataError("refinement", got="one evaluation", expected="an interval", remedy="evaluate more often")
    return before[-1], after[0]


def candidates(low: int, high: int, precision: float) -> list[int]:
    """Steps strictly between ``low`` and ``high``, at ratios of about 1 + precision/2."""
    count = max(2, math.ceil(math.log(high / low) / math.log1p(precision / 2)))
    found = {round(low * (high / low) ** (place / count)) for place in range(1, count)}
    return sorted(step for step in found if low < step < high)


def is_precise(estimate: Estimate, precision: float) -> bool:
    """Whether both ends of the interval lie within the share ``precision`` of the value."""
    return (
        not estimate.censored
        and estimate.high <= (1 + precision) * estimate.value
        and estimate.low >= (1 - precision) * estimate.value
    )


def next_measurement(
    estimate: Estimate,
    num_samples: Mapping[int, int],
    unsettled: Iterable[int],
    available: Iterable[int],
    precision: float,
    largest: int,
) -> Next | None:
    """What narrows the interval of ``estimate`` most: a step between its neighbours, or more samples beside it.

    The gap between the evaluations on both sides of the value is halved, in log step, until it is within the precision;
    then the steps inside the interval and beside it that may lie on either side of the level get as many samples again,
    those with the fewest first.

    Args:
        estimate: The time as it is known.
        num_samples: Samples behind each evaluated step.
        unsettled: Steps at which the level lies within the error of what was measured.
        available: Steps that can be measured.
        precision: Share of the value that each end of the interval may be away.
        largest: Most samples of a step.

    Returns:
        None where the interval is narrow enough or nothing is left to do.
    """
    if is_precise(estimate, precision):
        return None
    steps = sorted(step for step in num_samples if step > 0)
    available = sorted(available)
    gaps = [pair for pair in itertools.pairwise(steps) if pair[0] <= estimate.value <= pair[1]]
    for below, above in sorted(gaps, key=lambda pair: pair[0] / pair[1]):
        inside = [step for step in available if below < step < above]
        if inside and above / below > 1 + precision:
            middle = math.sqrt(below * above)
            return Next((min(inside, key=lambda step: abs(math.log(step / middle))),), more=False)
    first = max((step for step in steps if step <= estimate.low), default=steps[0])
    last = min((step for step in steps if step >= estimate.high), default=steps[-1])
    near = [step for step in {*unsettled} & {*available} if first <= step <= last]
    fewest = min((num_samples[step] for step in near), default=largest)
    lacking = tuple(step for step in near if num_samples[step] == fewest and 2 * fewest <= largest)
    return Next(tuple(sorted(lacking)), more=True) if lacking else None


def pool(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row of several sets of samples of the same step.

    f_mem is that of all samples together, with its Wilson interval; any other number is the mean over the sets,
    weighted by their samples, and its standard error falls accordingly.
    Losses and identity columns are those of each row.

    Args:
        rows: Rows of one step, the numbers as numbers or as text.
    """
    weights = [float(row["num_samples"]) for row in rows]
    total = sum(weights)
    pooled = dict(rows[0])
    for name, first in rows[0].items():
        values = [_number(row.get(name)) for row in rows]
        if name.startswith(_SHARED) or first in (None, "") or any(value is None for value in values):
            continue
        numbers = [value for value in values if value is not None]
        if len(set(numbers)) > 1:
            if name.endswith("_std"):
                pooled[name] = math.sqrt(sum((w * v / total) ** 2 for w, v in zip(weights, numbers, strict=True)))
            else:
                pooled[name] = sum(w * v for w, v in zip(weights, numbers, strict=True)) / total
    pooled["num_samples"] = round(total)
    if "f_mem" in pooled:
        from scipy.stats import binomtest

        interval = binomtest(round(float(pooled["f_mem"]) * total), round(total)).proportion_ci(method="wilson")
        pooled["f_mem_low"], pooled["f_mem_high"] = interval.low, interval.high
    return pooled


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
