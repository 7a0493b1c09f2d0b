"""When a training run counts as memorizing: L_gen = L_test − L_train at a fixed level, or at a share of its end."""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diffmem.theory.dynamics import TrainingDynamics

LEVEL, SHARE = "L_gen", "share of the final L_gen"
CRITERIA = (
    *((LEVEL, level) for level in (0.02, 0.05, 0.1, 0.2, 0.5)),
    *((SHARE, share) for share in (0.1, 0.25, 0.5, 0.75, 0.9)),
)
_PER_DECADE = 200


def time_grid(run: TrainingDynamics) -> NDArray[np.float64]:
    """Times τ, 200 a decade, from well before the fastest mode of ``run`` to well after its slowest."""
    fastest, slowest = run.time_constants
    first, last = 1e-3 * fastest, 30 * slowest
    return np.geomspace(first, last, math.ceil(_PER_DECADE * math.log10(last / first)))


def crossings(run: TrainingDynamics) -> pd.DataFrame:
    """``criterion, level, tau, final_gap``, one row for each of :data:`CRITERIA`.

    τ is where L_gen first is the level, or the share of ``final_gap``, its value at τ = ∞. It is not a number where the
    level is not reached.
    """
    times = time_grid(run)
    gap = run.curves(np.append(times, np.inf)).generalization_loss
    end = float(gap[-1])
    rows = [
        (criterion, level, _first(times, gap[:-1], level * end if criterion == SHARE else level), end)
        for criterion, level in CRITERIA
    ]
    return pd.DataFrame(rows, columns=["criterion", "level", "tau", "final_gap"])


def _first(times: NDArray[np.float64], curve: NDArray[np.float64], level: float) -> float:
    """First τ at which ``curve`` is ``level``, log-interpolated; not a number where it never is."""
    at = int(np.argmax(curve >= level))
    if at == 0:
        return math.nan
    return float(np.exp(np.interp(level, curve[at - 1 : at + 1], np.log(times[at - 1 : at + 1]))))
