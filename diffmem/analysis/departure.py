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
    all_at, all_curve = np.asarray(steps, dtype=float), np.asarray(values, dtype=float)
    known = np.isfinite(all_curve) & (all_at > 0)
    at, curve = all_at[known], all_curve[known]
    lowest = int(curve.argmin()) if len(curve) else 0
    if lowest + 2 >= len(curve):
        raise DataError(
            name,
            got=f"its lowest value at step {at[lowest]:.0f}" if len(curve) else "no values",
            expected="two evaluations after it",
            remedy="train longer",
        )
    return tau_rise(at[lowest:], curve[lowest:], (1 + rise) * float(curve[lowest]), name)
