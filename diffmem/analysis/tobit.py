"""Linear regression with normal residuals, of values some of which are only known to exceed a bound (Tobit)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from diffmem.analysis.estimate import Array

_MAX_PRECISION = 1e5  # 1/σ; smaller residuals than this count as none
_START_STD = 0.1  # residuals of the uncensored alone may vanish where the likelihood has no room for it
_MAX_SEARCH = 100.0


@dataclass(frozen=True)
class Regression:
    """The maximum of the likelihood of y = design @ β + σ ε, ε standard normal.

    Attributes:
        coefficients: β (C,).
        low: Lower end of the interval of the last coefficient; −infinity where the likelihood leaves it open.
        high: Upper end, or infinity.
        residual_std: σ with the k − C degrees of freedom of k uncensored values.
        covariance: (C, C) of β, with these degrees of freedom.
    """

    coefficients: Array
    low: float
    high: float
    residual_std: float
    covariance: Array


def regress(design: Array, y: Array, censored: np.ndarray, confidence: float) -> Regression:
    """Fit β and σ, and a profile-likelihood interval of the last coefficient.

    The interval holds the values of it at which twice the log-likelihood falls by less than k log(1 + t²/dof), k the
    number of uncensored values, dof = k − C and t Student's quantile: without censoring this is the exact t interval of
    least squares.

    Args:
        design: (R, C) columns of the regression.
        y: (R,) values, or their lower bounds where censored; more than C are uncensored.
        censored: (R,) True where ``y`` is only a lower bound, which adds P(value > bound).
        confidence: Mass of the interval.
    """
    from scipy.special import stdtrit

    best = _maximize(design, y, censored)
    k = int((~censored).sum())
    dof = k - design.shape[1]
    jacobian = np.column_stack([np.eye(design.shape[1]), -best.coefficients]) * best.std
    covariance = k / dof * jacobian @ np.linalg.inv(best.information) @ jacobian.T
    threshold = k * math.log1p(float(stdtrit(dof, (1 + confidence) / 2)) ** 2 / dof)

    def excess(coefficient: float) -> float:
        profile = _maximize(design[:, :-1], y - coefficient * design[:, -1], censored)
        return 2 * (best.likelihood - profile.likelihood) - threshold

    value, step = float(best.coefficients[-1]), math.sqrt(covariance[-1, -1])
    low, high = (_profile_end(excess, value, side * step) for side in (-1, 1))
    return Regression(best.coefficients, low, high, math.sqrt(k / dof) * best.std, covariance)


@dataclass(frozen=True)
class _Maximum:
    """β, σ, the log-likelihood without its constant, and minus its Hessian in (β/σ, 1/σ)."""

    coefficients: Array
    std: float
    likelihood: float
    information: Array


def _maximize(design: Array, y: Array, censored: np.ndarray) -> _Maximum:
    """By Newton in Olsen's parameters (β/σ, 1/σ), where the likelihood is concave."""
    from scipy.special import log_ndtr

    seen = ~censored
    beta = np.linalg.lstsq(design[seen], y[seen], rcond=None)[0]
    std = float(np.sqrt(np.mean((y[seen] - design[seen] @ beta) ** 2)))
    h = 1 / max(std, _START_STD if censored.any() else 1 / _MAX_PRECISION)  # without censoring this is the maximum
    theta = np.append(beta * h, h)
    whitened = np.column_stack([-design, y])  # residual / σ = whitened @ theta

    def value(theta: Array) -> float:
        if theta[-1] <= 0:
            return -math.inf
        z = whitened @ theta
        return float(seen.sum() * np.log(theta[-1]) - 0.5 * (z[seen] ** 2).sum() + log_ndtr(-z[censored]).sum())

    current = value(theta)
    for _ in range(200):
        z = whitened @ theta
        # the inverse Mills ratio φ(z)/Φ(−z)
        mills = np.exp(-0.5 * z[censored] ** 2 - 0.5 * math.log(2 * math.pi) - log_ndtr(-z[censored]))
        gradient = -whitened[seen].T @ z[seen] - whitened[censored].T @ mills
        weight = mills * (mills - z[censored])
        hessian = -whitened[seen].T @ whitened[seen] - (whitened[censored].T * weight) @ whitened[censored]
        gradient[-1] += seen.sum() / theta[-1]
        hessian[-1, -1] -= seen.sum() / theta[-1] ** 2
        step = np.linalg.solve(-hessian, gradient)
        decrement = float(gradient @ step)
        if decrement < 1e-12 or theta[-1] >= _MAX_PRECISION:
            break
        size = 1.0
        while value(theta + size * step) < current and size > 1e-9:
            size /= 2
        theta = theta + size * step
        current = value(theta)
    return _Maximum(theta[:-1] / theta[-1], 1 / float(theta[-1]), current, -hessian)


def _profile_end(excess: Callable[[float], float], start: float, step: float) -> float:
    """Where ``excess`` crosses zero on the side of ``step``; infinite when the likelihood leaves that side open."""
    from scipy.optimize import brentq

    inner, outer = start, start + step
    while excess(outer) < 0:
        inner, step = outer, 2 * step
        outer += step
        if abs(outer - start) > _MAX_SEARCH:
            return math.copysign(math.inf, step)
    return float(brentq(excess, inner, outer, xtol=1e-6)) if excess(inner) < 0 else inner
