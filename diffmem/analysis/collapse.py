"""Do the f_mem curves of different n fall on one curve of τ/n^α, and for which α?

The collapse is measured across, not along, the curves: at each height y the times τ_y at which the curves reach y must
agree once divided by n^α. So no α can win by leaving the curves without overlap, and the best α is a least-squares
slope, log τ_y = m_y + α log n.

The curves are f_mem/f_mem(τ_max), as in the paper, where every run has levelled off. A run that stopped on the rise has
no plateau to be divided by, and f_mem itself is compared instead, up to the lowest of the last values; or, where it is
asked for, such runs are left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from diffmem.analysis.estimate import Array, plain
from diffmem.errors import DataError

NUM_HEIGHTS = 9
#: A curve takes part when its last f_mem is at least this: below, the heights are a few samples apart.
MIN_LAST = 0.1
#: A curve has levelled off when half its time ago it was at least this share of its last value.
LEVELLED = 0.8
_LOWEST_HEIGHT = 0.02


@dataclass(frozen=True)
class Collapse:
    """Quality of a collapse.

    Attributes:
        exponent: The best α.
        normalized: Whether each curve was divided by its last value.
        num_left_out: How many curves that rise far enough were left out because they have not levelled off.
        times: (R, Y) times at which curve r first reaches height y, NaN where its first evaluation is above.
        n: (R,) numbers of training images.
    """

    exponent: float
    normalized: bool
    times: Array
    n: Array
    num_left_out: int = 0

    def spread(self, exponent: float) -> float:
        """Root mean square of log(τ_y/n^α) around its mean at each height: 0 for a perfect collapse.

        Curves lie within a factor exp(spread) of their common curve.
        """
        residual = np.log(self.times) - exponent * np.log(self.n)[:, None]
        return math.sqrt(float(np.nanmean((residual - np.nanmean(residual, axis=0)) ** 2)))

    def __str__(self) -> str:
        factors = {"": self.exponent, " at α = 1": 1.0, " uncollapsed": 0.0}
        best, one, none = (f"×{plain(math.exp(self.spread(alpha)))}{name}" for name, alpha in factors.items())
        curves = "f_mem/f_mem(τ_max)" if self.normalized else "f_mem (some runs stopped on the rise)"
        if self.num_left_out:
            curves += f" of those that levelled off ({self.num_left_out} did not)"
        return f"best α = {self.exponent:.2f} over {len(self.n)} runs, {curves} within {best} ({one}, {none})"


def takes_part(steps: Array, f_mem: Array, plateaus: bool = False) -> bool:
    """Whether the curve rises far enough to show its shape, and where ``plateaus`` are asked for has one."""
    return bool(f_mem[-1] >= MIN_LAST) and (not plateaus or levelled_off(steps, f_mem))


def levelled_off(steps: Array, f_mem: Array) -> bool:
    """Whether f_mem at half the last time was already near its last value."""
    return bool(np.interp(steps[-1] / 2, steps, f_mem) >= LEVELLED * f_mem[-1])


def collapse(n: ArrayLike, curves: Sequence[tuple[ArrayLike, ArrayLike]], plateaus: bool = False) -> Collapse:
    """The α that collapses the curves best.

    Args:
        n: (R,) numbers of training images.
        curves: R pairs of steps (S,) and f_mem (S,). Those that end below :data:`MIN_LAST` are left out.
        plateaus: Whether those that have not levelled off are left out as well.

    Raises:
        DataError: Fewer than two values of n among the curves that take part.
    """
    whole = [
        (float(size), np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64))
        for size, (steps, values) in zip(np.asarray(n, dtype=np.float64), curves, strict=True)
    ]
    rising = [(size, steps, f_mem) for size, steps, f_mem in whole if takes_part(steps, f_mem)]
    found = [(size, steps, f_mem) for size, steps, f_mem in rising if takes_part(steps, f_mem, plateaus)]
    sizes = np.array([size for size, _, _ in found])
    if len(np.unique(sizes)) < 2:
        raise DataError(
            "collapse",
            got=f"{len(found)} runs at {len(np.unique(sizes))} values of n that end at f_mem ≥ {MIN_LAST:g}"
            + (" and have levelled off" if plateaus else ""),
            expected="at least 2 values of n",
            remedy="train more or longer runs",
        )
    normalized = all(levelled_off(steps, f_mem) for _, steps, f_mem in found)
    if normalized:
        heights = np.linspace(0.1, 0.9, NUM_HEIGHTS)
    else:
        heights = np.geomspace(_LOWEST_HEIGHT, 0.9 * min(f_mem[-1] for _, _, f_mem in found), NUM_HEIGHTS)
    times = np.stack(
        [_times_at(steps, f_mem / f_mem[-1] if normalized else f_mem, heights) for _, steps, f_mem in found]
    )
    times = times[:, (~np.isnan(times)).sum(axis=0) > 1]
    log_times = np.log(times)
    log_n = np.where(np.isnan(log_times), np.nan, np.log(sizes)[:, None])
    x, y = log_n - np.nanmean(log_n, axis=0), log_times - np.nanmean(log_times, axis=0)
    if not np.nansum(x**2) > 0:
        raise DataError(
            "collapse",
            got="no height that curves of two n reach after their first evaluation",
            expected="curves that rise while they are evaluated",
            remedy="evaluate earlier",
        )
    return Collapse(float(np.nansum(x * y) / np.nansum(x**2)), normalized, times, sizes, len(rising) - len(found))


def _times_at(steps: Array, values: Array, heights: Array) -> Array:
    """First times (Y,) at the heights, log-interpolated; NaN where nothing after step 0 is below the height."""
    curve = np.maximum.accumulate(values)
    times = np.full(len(heights), np.nan)
    for place, height in enumerate(heights):
        at = int((curve >= height).argmax())
        if at == 0 or steps[at - 1] <= 0:
            continue
        fraction = (height - curve[at - 1]) / (curve[at] - curve[at - 1])
        times[place] = steps[at - 1] * (steps[at] / steps[at - 1]) ** fraction
    return times
