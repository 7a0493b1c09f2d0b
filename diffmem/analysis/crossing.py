"""When a curve passes a level and stays beyond it, with an interval.

A crossing is *lasting* when the curve stays beyond the level: at every later evaluation, or at the next one. Its time
is interpolated linearly in log step, from the last evaluation before it. Where there is none, the result is
right-censored at the last evaluation that contradicts it.

Between two evaluations a curve is known only to cross: where the linear rule puts the crossing at a fraction w of the
way, a draw puts it at w^γ with log γ uniform in ±log 5, which covers convex and concave rises.
"""

import math

import numpy as np

from diffmem.analysis.estimate import Array, Estimate, stratified, summarize
from diffmem.errors import DataError

#: Stream of the draws that :func:`shapes` takes.
SHAPE = 0


def log_of(steps: Array) -> Array:
    """log step, -inf at step 0."""
    return np.log(steps, where=steps > 0, out=np.full_like(steps, -np.inf))


def shapes(num_draws: int, quantity: int) -> Array:
    """Exponents γ of the interpolation, the same for every run: runs share their grid and so its error."""
    return 5.0 ** (2 * stratified(num_draws, SHAPE, quantity) - 1)


def lasting_crossing(
    name: str,
    start: str,
    steps: Array,
    values: Array,
    draws: Array,
    level: float,
    shape: Array,
    confidence: float,
    to_the_end: bool,
) -> Estimate:
    """Lasting up-crossing of ``level`` by a curve.

    Args:
        name: Of the time, in errors.
        start: What the curve is at the first evaluation, in errors.
        steps: (S,) ascending.
        values: (S,) the curve.
        draws: (B, S) what it may be.
        level: What it passes.
        shape: (B,) of :func:`shapes`.
        confidence: Mass of the interval.
        to_the_end: Whether every later evaluation has to confirm it, or the next one alone.

    Raises:
        DataError: No evaluation after step 0 is short of the level.
    """
    lower, upper = _times(steps, values[None], level, np.ones(1), to_the_end)
    if math.isinf(lower[0]):
        first = steps[0] if values[0] >= level else steps[1]
        raise DataError(
            name,
            got=f"{start} at the first evaluation (step {steps[0]:g}) and past the level by step {first:g}",
            expected="an evaluation after step 0 that is short of the level",
            remedy="evaluate earlier or change the level",
        )
    last = steps[-2] if values[-1] >= level else steps[-1]
    value = math.nan if math.isinf(upper[0]) else math.exp(lower[0])
    lower, upper = _times(steps, draws, level, shape, to_the_end)
    return summarize(value, float(last), np.exp(lower), np.exp(upper), confidence)


def _times(steps: Array, values: Array, level: float, shape: Array, to_the_end: bool) -> tuple[Array, Array]:
    """Bounds (B,) of the log time of the lasting up-crossing of each curve in ``values`` (B, S).

    They are equal where the crossing is seen; (log of the last contradicting step, inf) where it is not; (-inf, log of
    the first step after 0 that is past the level) where no step after 0 is short of it.
    """
    log_steps = log_of(steps)
    reached = values >= level
    later = np.logical_and.accumulate(reached[:, ::-1], axis=1)[:, ::-1] if to_the_end else reached
    lasting = reached[:, :-1] & later[:, 1:]
    found, at = lasting.any(axis=1), lasting.argmax(axis=1)
    before, curve = np.maximum(at - 1, 0), np.arange(len(values))
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = (level - values[curve, before]) / (values[curve, at] - values[curve, before])
        inside = log_steps[before] + (log_steps[at] - log_steps[before]) * fraction**shape
    never_short = (at == 0) | np.isneginf(log_steps[before])
    unconfirmed = log_steps[np.where(reached[:, -1], -2, -1)]
    lower = np.where(found, np.where(never_short, -np.inf, inside), unconfirmed)
    first_seen = log_steps[np.where(np.isneginf(log_steps[at]), at + 1, at)]
    upper = np.where(found, np.where(never_short, first_seen, inside), np.inf)
    return lower, upper
