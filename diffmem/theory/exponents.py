"""How the exponent of a memorization time in n depends on what is called memorized, and on the data, in closed form."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy import stats

from diffmem.theory.criteria import crossings
from diffmem.theory.dynamics import TrainingDynamics
from diffmem.theory.simulation import feature_weights, gaussian_images, population_moments, training_moments
from diffmem.theory.studies import Setting


def power_law(dim: int, decay: float) -> torch.Tensor:
    """(d,) eigenvalues ∝ j^−decay of Σ, of mean 1."""
    values = torch.arange(1, dim + 1, dtype=torch.float64) ** -decay
    return values / values.mean()


def gap_times(setting: Setting, psi_n: Sequence[float], decay: float) -> pd.DataFrame:
    """``decay, seed, psi_n`` and the columns of :func:`diffmem.theory.criteria.crossings`.

    Every psi_n has images of its own.
    """
    covariance = power_law(setting.dim, decay)
    W = feature_weights(setting.count("psi_p", setting.psi_p), setting.dim, setting.seed).float()
    population = population_moments(W, covariance, setting.t, setting.activation)
    tables = []
    for place, ratio in enumerate(psi_n):
        X = gaussian_images(setting.count("psi_n", ratio), covariance, setting.seed + 1000 * place).float()
        U, V = training_moments(W, X, setting.t, setting.activation)
        found = crossings(TrainingDynamics(U, V, setting.psi_p, setting.t, population))
        place_of = pd.DataFrame({"decay": decay, "seed": setting.seed, "psi_n": ratio}, index=found.index)
        tables.append(pd.concat([place_of, found], axis=1))
    return pd.concat(tables, ignore_index=True)


def exponents(
    setting: Setting, psi_n: Sequence[float], decays: Sequence[float], seeds: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Times of :func:`gap_times` for ``seeds`` seeds, and ``decay, criterion, level, exponent, low, high, points``.

    The exponent is the least-squares slope of log τ over log psi_n, with its 95% Student interval. It is given where
    the level is reached at every psi_n and there are three times or more; the last criterion is the exponent of the
    final L_gen itself.
    """
    tables = [
        gap_times(dataclasses.replace(setting, seed=seed), psi_n, decay)
        for decay in decays
        for seed in range(setting.seed, setting.seed + seeds)
    ]
    times = pd.concat(tables, ignore_index=True)
    rows = [
        (decay, criterion, level, *_slope(group["psi_n"], group["tau"]))
        for (decay, criterion, level), group in times.groupby(["decay", "criterion", "level"], sort=False)
    ]
    for decay, group in times.groupby("decay", sort=False):
        ends = group.drop_duplicates(["seed", "psi_n"])
        rows.append((decay, "final L_gen", math.nan, *_slope(ends["psi_n"], ends["final_gap"])))
    columns = ["decay", "criterion", "level", "exponent", "low", "high", "points"]
    return times, pd.DataFrame(rows, columns=columns)


def _slope(x: "pd.Series[float]", y: "pd.Series[float]") -> tuple[float, float, float, int]:
    """Slope of log y over log x with its interval, and the number of points; not a number where a y is missing."""
    if y.isna().any() or x.nunique() < 2 or len(x) < 3:
        return math.nan, math.nan, math.nan, int(y.notna().sum())
    fit = stats.linregress(np.log(x), np.log(y))
    half = stats.t.ppf(0.975, len(x) - 2) * fit.stderr
    return fit.slope, fit.slope - half, fit.slope + half, len(x)
