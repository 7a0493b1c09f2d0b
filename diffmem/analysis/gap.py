"""The gap τ_mem − τ_gen and the ratio τ_mem/τ_gen, and the mean of a time over runs that differ only in their seed.

The time of several runs is their geometric mean; with a censored run among them it is censored, at the geometric mean
of what is known. Its interval is a two-level parametric bootstrap: a draw averages the sampling draws of the runs and
adds a Student-t deviation with the standard error between runs, so with R runs it is the t interval with R − 1 degrees
of freedom for the mean log time of all runs one might train, widened by the sampling noise. With one run it is the
sampling interval of that run and says nothing about others.
"""

import math
from collections.abc import Sequence

import numpy as np

from diffmem.analysis.estimate import Array, Estimate, summarize
from diffmem.analysis.timescales import CONFIDENCE

_BETWEEN = 2  # a stream of its own beside those of timescales.py
_MAX_LOG = 300.0  # a heavy tail of two runs stays a finite number


def between_run_weights(num_runs: int, num_draws: int, seed: int = 0) -> Array:
    """Weights w (num_draws, num_runs) for which x̄ + w·x is x̄ plus a Student-t deviation with R − 1 degrees of freedom.

    With z standard normal and V a χ² of R − 1 degrees of freedom, w = (z − z̄)/√(V R): given x, w·x has scale s/√R,
    s² the sample variance of x. The same weights applied to two quantities keep their correlation over runs. Zero
    for a single run.
    """
    if num_runs == 1:
        return np.zeros((num_draws, 1))
    rng = np.random.default_rng((_BETWEEN, seed))
    z = rng.standard_normal((num_draws, num_runs))
    chi_squared = rng.chisquare(num_runs - 1, size=(num_draws, 1))
    return (z - z.mean(axis=1, keepdims=True)) / np.sqrt(chi_squared * num_runs)


def pool(estimates: Sequence[Estimate], weights: Array, confidence: float = CONFIDENCE) -> Estimate:
    """Geometric mean of the times of R runs, with an interval over runs and samples.

    Args:
        estimates: The time of each run, all with as many draws.
        weights: Of :func:`between_run_weights`, (num_draws, R).
        confidence: Mass of the interval.
    """
    if len(estimates) == 1:
        return estimates[0]
    log_bound = np.log([each.bound for each in estimates])
    deviation = np.clip(weights @ log_bound, -_MAX_LOG, _MAX_LOG)
    draws = []
    with np.errstate(divide="ignore"):
        for kind in ("draws_low", "draws_high"):
            log_draws = np.log(np.stack([getattr(each, kind) for each in estimates], axis=1))
            draws.append(np.exp(log_draws.mean(axis=1) + deviation))
    censored = any(each.censored for each in estimates)
    value = math.nan if censored else float(np.exp(log_bound.mean()))
    last = float(np.exp(np.mean([math.log(each.last) for each in estimates])))
    return summarize(value, float(np.exp(log_bound.mean())) if censored else last, draws[0], draws[1], confidence)


def ratio(mem: Estimate, gen: Estimate, confidence: float = CONFIDENCE) -> Estimate | None:
    """τ_mem/τ_gen draw by draw; censored with τ_mem. None where τ_gen was not reached."""
    if gen.censored:
        return None
    with np.errstate(divide="ignore"):
        low = mem.draws_low / gen.draws_high
        high = mem.draws_high / gen.draws_low
    return summarize(mem.value / gen.value, mem.last / gen.value, low, high, confidence)


def gap(mem: Estimate, gen: Estimate, confidence: float = CONFIDENCE) -> Estimate | None:
    """τ_mem − τ_gen draw by draw; negative where copies come first. None where τ_gen was not reached."""
    if gen.censored:
        return None
    low = mem.draws_low - gen.draws_high
    high = mem.draws_high - gen.draws_low
    return summarize(mem.value - gen.value, mem.last - gen.value, low, high, confidence)
