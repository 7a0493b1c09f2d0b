"""Where to measure a run again so that one of its times has a narrow interval.

Each measurement has a price, and what it will do to the interval can be foreseen: a further set of samples at a step
makes its error smaller, and a step between two others is expected between their values. So the next one is that which
narrows the interval most for its price, as far as can be foreseen.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from diffmem.analysis.estimate import Estimate

#: Rows share the noise of their losses: the spread over its draws does not shrink with more samples.
_SHARED = ("loss_",)
#: Tails of the draws between which the spread is taken; the outermost are those of the interval.
_TAILS = (0.025, 0.1, 0.25)
#: Share of the spread that a measurement has to promise.
_LEAST_GAIN = 0.003


class Point(NamedTuple):
    """What was measured at a step.

    Attributes:
        value: f_mem, a distance or a loss.
        num_samples: Samples behind it.
        std: Its standard error; None where there is none.
    """

    value: float
    num_samples: int
    std: float | None = None


#: The time that the points of a run give, by step.
TimeOf = Callable[[Mapping[int, Point]], Estimate]


def is_precise(estimate: Estimate, precision: float) -> bool:
    """Whether both ends of the interval lie within the share ``precision`` of the value."""
    return (
        not estimate.censored
        and estimate.high <= (1 + precision) * estimate.value
        and estimate.low >= (1 - precision) * estimate.value
    )


def next_step(
    time_of: TimeOf,
    points: Mapping[int, Point],
    price: Callable[[int], float],
    num_samples: int,
    last: int,
    precision: float,
    most_sets: int,
) -> int | None:
    """The step at which ``num_samples`` more samples narrow the interval of a time most for their price.

    Args:
        time_of: Reads the time off.
        points: What is known, at two steps at least.
        price: Cost of a set of samples at a step.
        num_samples: Samples of a set.
        last: Last step that can be measured.
        precision: Share of the value that each end of the interval may be away. Steps are not put closer than half of
            it.
        most_sets: Most sets of samples at one step.

    Returns:
        A step of ``points``, or one between two of them; None where nothing that can be measured would help.
    """
    now = time_of(points)
    spread, best, found = _spread(now, points), 0.0, None
    for step, foreseen in _foreseen(now, points, num_samples, precision, most_sets):
        if step <= last:
            gain = spread - _spread(time_of({**points, step: foreseen}), points)
            if gain > _LEAST_GAIN * spread and gain / price(step) > best:
                best, found = gain / price(step), step
    return found


def _foreseen(
    now: Estimate, points: Mapping[int, Point], num_samples: int, precision: float, most_sets: int
) -> Iterator[tuple[int, Point]]:
    """Steps in and beside the interval, and what they are expected to be after one more set of samples."""
    steps = sorted(points)
    first = max((step for step in steps if step <= now.low), default=steps[0])
    end = min((step for step in steps if step >= now.high), default=steps[-1])
    for step in (step for step in steps if first <= step <= end):
        old = points[step]
        total = old.num_samples + num_samples
        if total <= most_sets * num_samples:
            std = None if old.std is None else old.std * math.sqrt(old.num_samples / total)
            yield step, Point(old.value, total, std)
    for a, b in itertools.pairwise(step for step in steps if first <= step <= end):
        middle = round(math.sqrt(max(a, 1) * b))
        if a < middle < b and b > (1 + precision / 2) * a:
            weight = math.log(middle / max(a, 1)) / math.log(b / max(a, 1))
            before, after = points[a].std, points[b].std
            std = None if before is None or after is None else _between(before, after, weight)
            yield middle, Point(_between(points[a].value, points[b].value, weight), num_samples, std)


def _between(a: float, b: float, weight: float) -> float:
    """Interpolation in the logarithm, or where there is none of the values themselves."""
    return a ** (1 - weight) * b**weight if min(a, b) > 0 else (1 - weight) * a + weight * b


def _spread(estimate: Estimate, points: Mapping[int, Point]) -> float:
    """How far the draws of a time lie apart in the logarithm, summed over several tails.

    The interval alone may not move before a second step has been measured.
    """
    ends = 1, max(points)
    low, high = (np.log(np.clip(draws, *ends)) for draws in (estimate.draws_low, estimate.draws_high))
    return sum(float(np.quantile(high, 1 - tail) - np.quantile(low, tail)) for tail in _TAILS)


def pool(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row of several sets of samples of the same step.

    f_mem is that of all samples together, with its Wilson interval; any other number is the mean over the sets,
    weighted by their samples, and its standard error falls accordingly.
    Losses, identity columns and what the other rows lack are those of the first row.

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
