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
        likelihood: Log-likelihood without its constant.
        residual_std: σ with the k − C degrees of freedom of k uncensored values; infinity where there are none.
        covariance: (C, C) of β, with these degrees of freedom.
    """

    coefficients: Array
    likelihood: float
    residual_std: float
    covariance: Array


def regress(design: Array, y: Array, censored: np.ndarray) -> Regression:
    """Fit by Newton in Olsen's parameters (β/σ, 1/σ), where the likelihood is concave.

    Args:
        design: (R, C) columns of the regression.
        y: (R,) values, or their lower bounds where censored.
        censored: (R,) True where ``y`` is only a lower bound, which adds P(value > bound).
    """
    from scipy.special import log_ndtr

    seen = ~censored
    beta = np.linalg.lstsq(design[seen], y[seen], rcond=None)[0]
    start = float(np.sqrt(np.mean((y[seen] - design[seen] @ beta) ** 2)))
    h = 1 / max(start, _START_STD)
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
    precision, coefficients = float(theta[-1]), theta[:-1] / theta[-1]
    k, dof = int(seen.sum()), int(seen.sum()) - design.shape[1]
    dof_factor = k / dof if dof else math.inf
    jacobian = np.column_stack([np.eye(design.shape[1]) / precision, -coefficients / precision])
    covariance = dof_factor * jacobian @ np.linalg.inv(-hessian) @ jacobian.T
    return Regression(coefficients, current, math.sqrt(dof_factor) / precision, covariance)


def last_interval(design: Array, y: Array, censored: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """The last coefficient of :func:`regress` and the ends of its profile-likelihood interval.

    The threshold is k log(1 + t²/dof), k the number of uncensored values, dof = k − C and t Student's quantile: without
    censoring this is the exact t interval of least squares. An end is infinite where the likelihood leaves it open.
    """
    from scipy.special import stdtrit

    k = int((~censored).sum())
    dof = k - design.shape[1]
    best = regress(design, y, censored)
    value, step = float(best.coefficients[-1]), math.sqrt(best.covariance[-1, -1])
    threshold = k * math.log1p(float(stdtrit(dof, (1 + confidence) / 2)) ** 2 / dof)

    def excess(coefficient: float) -> float:
        profile = regress(design[:, :-1], y - coefficient * design[:, -1], censored)
        return 2 * (best.likelihood - profile.likelihood) - threshold

    return value, _profile_end(excess, value, -step), _profile_end(excess, value, step)


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
