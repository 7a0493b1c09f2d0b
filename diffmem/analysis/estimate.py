"""An estimate that may be right-censored: a value with its interval, or "> x" and never a number."""

import math
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A positive quantity measured on curves that end, with its bootstrap draws.

    Attributes:
        value: The estimate; NaN when ``censored``.
        low: Lower end of the interval; 0 when the draws reach below the first evaluation, minus infinity for a
            difference from what may not have been reached.
        high: Upper end; infinity when it lies beyond the last evaluation.
        censored: Not reached: all that is known is that the quantity exceeds ``last``.
        last: The largest value that the evaluations could have shown.
        draws_low: Bootstrap draws, (num_draws,); where a draw is censored, its lower bound.
        draws_high: The same draws; infinity where a draw is censored.
    """

    value: float
    low: float
    high: float
    censored: bool
    last: float
    draws_low: Array = field(repr=False, compare=False)
    draws_high: Array = field(repr=False, compare=False)

    @property
    def bound(self) -> float:
        """The value, or the lower bound of a censored one."""
        return self.last if self.censored else self.value

    @property
    def value_text(self) -> str:
        return f"> {self.last_text}" if self.censored else plain(self.value)

    @property
    def low_text(self) -> str:
        return "-∞" if math.isinf(self.low) else plain(self.low)

    @property
    def high_text(self) -> str:
        return f"> {self.last_text}" if math.isinf(self.high) else plain(self.high)

    @property
    def last_text(self) -> str:
        """``last`` rounded down, to a whole number or three digits, so that "> x" stays true."""
        last = Decimal(self.last + 1e-12 * abs(self.last))  # a mean of logarithms may miss a whole number by rounding
        digit = min(0, last.adjusted() - 2)
        return np.format_float_positional(float(last.quantize(Decimal(1).scaleb(digit), ROUND_FLOOR)), trim="-")

    def __str__(self) -> str:
        if self.censored and self.low >= self.last * (1 - 1e-12):
            return self.value_text
        return f"{self.value_text} [{self.low_text}, {self.high_text}]"


def summarize(value: float, last: float, draws_low: Array, draws_high: Array, confidence: float) -> Estimate:
    """Estimate with the percentile interval of its draws; ``value`` is NaN for a censored one."""
    tail = (1 - confidence) / 2
    censored = math.isnan(value)
    bound = last if censored else value
    low = float(np.quantile(draws_low, tail, method="inverted_cdf"))
    high = float(np.quantile(draws_high, 1 - tail, method="inverted_cdf"))
    return Estimate(
        value=value,
        low=min(low, bound),
        high=math.inf if censored else max(high, bound),
        censored=censored,
        last=last,
        draws_low=draws_low,
        draws_high=draws_high,
    )


@lru_cache(maxsize=64)
def stratified(num_draws: int, *key: int) -> Array:
    """Uniform numbers in (0, 1), one in each of ``num_draws`` equal cells, in an order set by ``key``; read-only."""
    rng = np.random.default_rng(key)
    numbers = (rng.permutation(num_draws) + rng.random(num_draws)) / num_draws
    numbers.flags.writeable = False
    return numbers


def plain(x: float, digits: int = 3) -> str:
    """``x`` to ``digits`` significant digits, without an exponent."""
    return np.format_float_positional(x, precision=digits, fractional=False, trim="-")
