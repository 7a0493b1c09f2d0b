"""τ_gen, τ_mem and τ_overfit: the times of a run, by stated rules, each with an interval.

All three read one curve, (S,) evaluations at ascending ``steps``. The steps may be those of any clock: updates, images
seen, epochs, or learning rate times updates.

τ_mem and τ_gen are lasting crossings (:mod:`~diffmem.analysis.crossing`): copies are confirmed by every later
evaluation, quality, which copying may spoil again, by the next one.

The interval is a parametric bootstrap of the evaluations. Each draw takes one quantile u of the sampling distribution
and applies it at every step, because sample i starts from the same noise at every step, so that errors along a run go
together; the draw of f_mem is then the u-quantile of the Jeffreys posterior Beta(k + 1/2, N - k + 1/2) of k memorized
among N samples.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from diffmem.analysis.crossing import SHAPE, lasting_crossing, log_of, shapes
from diffmem.analysis.estimate import Array, Estimate, stratified, summarize
from diffmem.errors import DataError, ParameterError

NUM_DRAWS = 1000
CONFIDENCE = 0.95
MIN_EVALUATIONS = 3
MEMORIZATION_LEVEL = 0.01

_SAMPLING = 1  # stream of the draws, beside that of the shapes
_GEN, _MEM, _OVERFIT = 0, 1, 2


def tau_mem(
    steps: ArrayLike,
    f_mem: ArrayLike,
    num_samples: ArrayLike | None = None,
    *,
    level: float = MEMORIZATION_LEVEL,
    confidence: float = CONFIDENCE,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> Estimate:
    """First step at which f_mem ≥ ``level`` and stays so to the end of the run, for one later evaluation at least.

    Args:
        steps: (S,) ascending, S ≥ 3.
        f_mem: (S,) memorized fractions in [0, 1].
        num_samples: Generated samples behind each fraction, one count or (S,). Without it the interval holds the
            interpolation alone.
        level: The fraction c; the time moves by about 2× with it, so report it with every value.
        confidence: Mass of the interval.
        num_draws: Bootstrap draws.
        seed: Seed of the draws; give different runs different seeds.

    Raises:
        DataError: The curve cannot support the rule: too few evaluations, values that are not fractions, f_mem never
            below the level, or a level below one sample in ``num_samples``.
        ParameterError: ``level`` outside (0, 1).
    """
    if not 0 < level < 1:
        raise ParameterError("level", got=level, expected="a fraction of samples, in (0, 1)")
    steps, f_mem = _curve(steps, f_mem, "f_mem")
    if f_mem.min() < 0 or f_mem.max() > 1:
        raise DataError(
            "f_mem",
            got=f"values in [{f_mem.min():g}, {f_mem.max():g}]",
            expected="fractions in [0, 1]",
            remedy="give fractions, not percent",
        )
    draws = np.tile(f_mem, (num_draws, 1))
    if num_samples is not None:
        totals = np.broadcast_to(np.asarray(num_samples, dtype=np.float64), f_mem.shape)
        if is_below_one_sample(level, totals.min()):
            raise DataError(
                "tau_mem",
                got=f"level {level:g} with num_samples {totals.min():g}",
                expected=f"a level of at least one sample, {1 / totals.min():g}",
                remedy="raise the level or evaluate more samples",
            )
        counts = np.rint(f_mem * totals)
        f_mem = counts / totals
        draws = np.stack([_fractions(*each, num_draws, seed) for each in zip(counts, totals, strict=True)], axis=1)
    shape = shapes(num_draws, _MEM)
    return lasting_crossing(
        "tau_mem", f"f_mem is {f_mem[0]:g}", steps, f_mem, draws, level, shape, confidence, to_the_end=True
    )


def tau_rise(
    steps: ArrayLike, values: ArrayLike, level: float, name: str = "curve", num_draws: int = NUM_DRAWS
) -> Estimate:
    """First step at which any curve ≥ ``level`` and stays so to the end of the run, as :func:`tau_mem` reads f_mem.

    The interval holds the spacing of evaluations alone. ``steps``, ``values``: (S,), S ≥ 3; ``name`` stands in errors.

    Raises:
        DataError: Too few evaluations, values that are not numbers, or none below the level.
    """
    steps, values = _curve(steps, values, name)
    draws, shape = np.tile(values, (num_draws, 1)), shapes(num_draws, _MEM)
    start = f"{name} is {values[0]:g}"
    return lasting_crossing(name, start, steps, values, draws, level, shape, CONFIDENCE, to_the_end=True)


def tau_gen(
    steps: ArrayLike,
    quality: ArrayLike,
    level: float,
    std: ArrayLike | None = None,
    *,
    confidence: float = CONFIDENCE,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> Estimate:
    """First step at which the quality (FID or a Fréchet distance) is ≤ ``level`` and stays so at the next evaluation.

    The level is one absolute number for all runs that are compared, see :mod:`~diffmem.analysis.levels`. The
    interpolation is linear in log quality: before the plateau the distance falls over decades.

    Args:
        steps: (S,) ascending, S ≥ 3.
        quality: (S,) positive, smaller is better.
        level: The level q.
        std: (S,) standard error of each quality. Without it the interval holds the interpolation alone.
        confidence: Mass of the interval.
        num_draws: Bootstrap draws.
        seed: Seed of the draws; give different runs different seeds.

    Raises:
        DataError: The curve cannot support the rule: too few evaluations, values that are not positive, or a quality
            never above the level.
        ParameterError: ``level`` not positive.
    """
    if not (level > 0 and math.isfinite(level)):
        raise ParameterError("level", got=level, expected="a quality, above 0")
    steps, quality = _curve(steps, quality, "quality")
    if quality.min() <= 0:
        raise DataError(
            "quality",
            got=f"{quality.min():g} at step {steps[quality.argmin()]:g}",
            expected="positive distances",
            remedy="fix the quality column",
        )
    log_quality = np.log(quality)
    draws = np.tile(-log_quality, (num_draws, 1))
    if std is not None:
        from scipy.special import ndtri

        z = ndtri(stratified(num_draws, _SAMPLING, _GEN, seed))
        draws = -(log_quality + z[:, None] * _errors(std, quality) / quality)
    shape = shapes(num_draws, _GEN)
    start = f"the quality is {quality[0]:g}"
    level = -math.log(level)
    return lasting_crossing("tau_gen", start, steps, -log_quality, draws, level, shape, confidence, to_the_end=False)


def tau_overfit(
    steps: ArrayLike,
    loss_test: ArrayLike,
    std: ArrayLike | None = None,
    *,
    confidence: float = CONFIDENCE,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> Estimate:
    """Step of the minimum of L_test; censored when L_test still falls at the last evaluation.

    The interval lets each evaluation err by ``std`` on its own, and the minimum lie anywhere between the evaluations
    beside the lowest one. Evaluations that share their noises err together, so it is an upper bound then.

    Args:
        steps: (S,) ascending, S ≥ 3.
        loss_test: (S,) test losses.
        std: (S,) their standard deviations; without it the interval holds the spacing of the evaluations alone.
        confidence: Mass of the interval.
        num_draws: Bootstrap draws.
        seed: Seed of the draws; give different runs different seeds.

    Raises:
        DataError: Too few evaluations, values that are not numbers, or a loss that never falls.
    """
    steps, loss = _curve(steps, loss_test, "loss_test")
    lowest = int(loss.argmin())
    if lowest == 0:
        raise DataError(
            "tau_overfit",
            got=f"the lowest loss_test at the first evaluation (step {steps[0]:g})",
            expected="a loss that falls",
            remedy="evaluate earlier",
        )
    draws, rng = np.tile(loss, (num_draws, 1)), np.random.default_rng((_SAMPLING, _OVERFIT, seed))
    if std is not None:
        draws = loss + rng.standard_normal((num_draws, len(loss))) * _errors(std, loss)
    at = draws.argmin(axis=1)
    end = len(steps) - 1
    log_steps = log_of(steps)
    before, after = log_steps[np.maximum(at - 1, 0)], log_steps[np.minimum(at + 1, end)]
    open_below = np.isneginf(before) | (at == 0)
    place = stratified(num_draws, SHAPE, _OVERFIT)
    inside = np.where(open_below, after, before + (after - np.where(open_below, after, before)) * place)
    lower = np.where(open_below, -np.inf, np.where(at == end, before, inside))
    upper = np.where(at == end, np.inf, inside)
    value = math.nan if lowest == end else float(steps[lowest])
    return summarize(value, float(steps[-2]), np.exp(lower), np.exp(upper), confidence)


def is_below_one_sample(level: float, num_samples: float) -> bool:
    """Whether a level of f_mem is less than one of ``num_samples``, of which messages show six digits."""
    return level * num_samples < 1 - 1e-5


def _curve(steps: ArrayLike, values: ArrayLike, what: str) -> tuple[Array, Array]:
    steps, values = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if steps.ndim != 1 or steps.shape != values.shape:
        raise DataError(what, got=f"shapes {steps.shape} and {values.shape}", expected="(S,) both", remedy="match them")
    if len(steps) < MIN_EVALUATIONS:
        raise DataError(
            what,
            got=f"{len(steps)} evaluation{'s' * (len(steps) != 1)}",
            expected=f"at least {MIN_EVALUATIONS}: before, at and after the crossing",
            remedy="evaluate more often or train longer",
        )
    if not np.isfinite(values).all():
        at = steps[~np.isfinite(values)][0]
        raise DataError(what, got=f"no finite value at step {at:g}", expected="a number", remedy="fix the column")
    if not (np.isfinite(steps).all() and steps[0] >= 0 and (np.diff(steps) > 0).all()):
        raise DataError("steps", got="a step that does not ascend", expected="0 ≤ ascending steps", remedy="sort them")
    return steps, values


def _errors(std: ArrayLike, values: Array) -> Array:
    errors = np.asarray(std, dtype=np.float64)
    if errors.shape != values.shape or not (np.isfinite(errors) & (errors >= 0)).all():
        raise DataError("std", got="an entry missing or negative", expected="one ≥ 0 per evaluation", remedy="fix it")
    return errors


@lru_cache(maxsize=4096)  # of 1000 draws: 32 MB; the levels of a ladder read the same counts
def _fractions(count: float, num_samples: float, num_draws: int, seed: int) -> Array:
    """Draws (num_draws,) from the Jeffreys posterior of the fraction behind a count; read-only."""
    from scipy.special import betaincinv

    places = stratified(num_draws, _SAMPLING, _MEM, seed)
    draws: Array = betaincinv(count + 0.5, num_samples - count + 0.5, places)
    draws.flags.writeable = False
    return draws
