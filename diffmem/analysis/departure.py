"""When a curve leaves its lowest value for good."""

import numpy as np
from numpy.typing import ArrayLike

from diffmem.analysis.estimate import Estimate
from diffmem.analysis.timescales import tau_rise
from diffmem.errors import DataError


def departure(steps: ArrayLike, values: ArrayLike, rise: float, name: str = "curve") -> Estimate:
    """First step from which on the curve is ``rise`` or more above its lowest value, to the end of the run.

    The interval holds the spacing of evaluations alone. Step 0, and values that are not there, are left out.

    Args:
        steps: (S,), ascending.
        values: (S,), above 0; NaN where nothing was measured.
        rise: E.g. 0.1 for 10%.
        name: What the curve is, for errors.

    Raises:
        DataError: Nothing was measured, or the lowest value is one of the last two, after which nothing can be seen.
    """
    steps, values = np.asarray(steps, dtype=float), np.asarray(values, dtype=float)
    known = np.isfinite(values) & (steps > 0)
    steps, values = steps[known], values[known]
    lowest = int(values.argmin()) if len(values) else 0
    if lowest + 2 >= len(values):
        raise DataError(
            name,
            got=f"its lowest value at step {steps[lowest]:.0f}" if len(values) else "no values",
            expected="two evaluations after it",
            remedy="train longer",
        )
    return tau_rise(steps[lowest:], values[lowest:], (1 + rise) * values[lowest], name)
