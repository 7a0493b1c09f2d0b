"""Censored regression against direct maximization, and against least squares where nothing is censored."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize

from diffmem.analysis.tobit import regress


def sample(seed, degree):
    """A parabola of ``degree`` with normal residuals of 0.3, at 15 places."""
    x = np.linspace(-1, 1, 15)
    design = np.stack([x**power for power in range(degree + 1)], axis=1)
    return design, design @ np.arange(1.0, degree + 2) + 0.3 * np.random.default_rng(seed).standard_normal(len(x))


@pytest.mark.parametrize("degree", [1, 2])
def test_it_maximizes_the_likelihood(degree):
    """Σ log φ + Σ log P(value > bound)."""
    design, values = sample(0, degree)
    censored = values > 2
    y = np.minimum(values, 2)

    def negative(theta):
        z = (y - design @ theta[:-1]) / math.exp(theta[-1])
        return -(stats.norm.logpdf(z[~censored]) - theta[-1]).sum() - stats.norm.logsf(z[censored]).sum()

    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 10_000, "maxfev": 10_000}
    found = minimize(negative, np.r_[np.ones(degree + 1), -1.0], method="Nelder-Mead", options=options)
    fit = regress(design, y, censored, 0.95)
    assert censored.sum() > 2
    assert fit.coefficients == pytest.approx(found.x[:-1], abs=1e-5)
    k = (~censored).sum()
    assert fit.residual_std == pytest.approx(math.exp(found.x[-1]) * math.sqrt(k / (k - degree - 1)), rel=1e-5)


@pytest.mark.parametrize("degree", [1, 2])
def test_without_censoring_it_is_least_squares_with_its_t_interval(degree):
    design, y = sample(1, degree)
    nothing = np.zeros(len(y), dtype=bool)
    expected, covariance = np.polyfit(design[:, 1], y, degree, cov=True)
    fit = regress(design, y, nothing, 0.95)
    assert fit.coefficients == pytest.approx(expected[::-1], abs=1e-6)
    assert fit.covariance == pytest.approx(covariance[::-1, ::-1], rel=1e-4, abs=1e-8)
    half = stats.t.ppf(0.975, len(y) - degree - 1) * math.sqrt(covariance[0, 0])
    assert (fit.low, fit.high) == pytest.approx((expected[0] - half, expected[0] + half), abs=1e-5)
