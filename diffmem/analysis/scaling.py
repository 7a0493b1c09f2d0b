"""How a time grows with n: τ = c n^α by maximum likelihood, censored runs included, and predictions from it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from diffmem.analysis import tobit
from diffmem.analysis.estimate import Array, Estimate, plain
from diffmem.analysis.runs import Run
from diffmem.analysis.timescales import CONFIDENCE
from diffmem.errors import DataError

MIN_POINTS = 3


@dataclass(frozen=True)
class PowerLaw:
    """τ = c n^α with normal log residuals.

    Attributes:
        exponent: α.
        low: Lower end of its interval.
        high: Upper end.
        prefactor: c, in the units of τ.
        residual_std: Standard deviation of log τ around the law, with the degrees of freedom of the fit.
        num_points: Uncensored points.
        num_censored: Censored points.
        confidence: Mass of the intervals.
        bend: How much α changes with each doubling of n; None where the points do not tell.
    """

    exponent: float
    low: float
    high: float
    prefactor: float
    residual_std: float
    num_points: int
    num_censored: int
    confidence: float
    bend: "Bend | None"
    _center: float = field(repr=False)
    _covariance: Array = field(repr=False)

    def at(self, n: ArrayLike) -> Array:
        """c n^α."""
        return self.prefactor * np.asarray(n, dtype=np.float64) ** self.exponent

    def predict(self, n: float) -> "Prediction":
        """The time of one further run with ``n`` training images, with a prediction interval.

        The interval holds the uncertainty of the law at n and the spread of runs around it (Student t).
        """
        from scipy.special import stdtrit

        x = np.array([1.0, math.log(n) - self._center])
        spread = math.sqrt(float(x @ self._covariance @ x) + self.residual_std**2)
        half = float(stdtrit(self.num_points - 2, (1 + self.confidence) / 2)) * spread
        value = float(self.at(n))
        return Prediction(value, value * math.exp(-half), value * math.exp(half))

    @property
    def is_bent(self) -> bool:
        """Whether the times are seen to be no power law over their n: the interval of the bend leaves out 0."""
        return self.bend is not None and not self.bend.low <= 0 <= self.bend.high

    @property
    def interval_text(self) -> str:
        value, low, high = (round(each, 2) + 0.0 for each in (self.exponent, self.low, self.high))
        return f"{value:.2f} [{low:.2f}, {high:.2f}]"

    def __str__(self) -> str:
        censored = f", {self.num_censored} censored" if self.num_censored else ""
        return f"{self.interval_text} ({self.num_points} points{censored})"


@dataclass(frozen=True)
class Bend:
    """How much the exponent changes with each doubling of n: b of log τ = log c + α x + b x²/(2 log 2), x = log n.

    Attributes:
        value: b; 0 for a power law.
        low: Lower end of its interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        value, low, high = (round(each, 2) + 0.0 for each in (self.value, self.low, self.high))
        return f"{value:+.2f} [{low:.2f}, {high:.2f}]"


@dataclass(frozen=True)
class Prediction:
    """A predicted time and its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{plain(self.value)} [{plain(self.low)}, {plain(self.high)}]"


def fit_exponent(
    n: ArrayLike,
    tau: ArrayLike | Sequence[Estimate],
    censored: ArrayLike | None = None,
    *,
    confidence: float = CONFIDENCE,
) -> PowerLaw:
    """Fit log τ = log c + α log n + σ ε, ε standard normal (Tobit: a censored run adds P(τ > its bound)).

    The interval of α is that of :func:`diffmem.analysis.tobit.regress`. Runs of several seeds enter one by one.
    Errors of τ itself are part of σ. From four points at three n on, a parabola is fitted in the same way, for the bend
    of the law.

    Args:
        n: (R,) numbers of training images.
        tau: (R,) times, or the estimates of :mod:`~diffmem.analysis.timescales`, which know whether they are censored.
        censored: (R,) True where ``tau`` is only a lower bound; with numbers only.
        confidence: Mass of the interval.

    Raises:
        DataError: Fewer than 3 uncensored points or than two values of n among them, or numbers that are not positive.
    """
    x, y, is_censored = _points(n, tau, censored)
    center, y_center = float(x[~is_censored].mean()), float(y[~is_censored].mean())
    x, y = x - center, y - y_center
    k = int((~is_censored).sum())
    line = np.stack([np.ones_like(x), x], axis=1)
    fit = tobit.regress(line, y, is_censored, confidence)
    intercept, slope = map(float, fit.coefficients)
    bend = None
    if k > MIN_POINTS and len(np.unique(x[~is_censored])) > 2:
        parabola = np.column_stack([line, x**2 / (2 * math.log(2))])
        curved = tobit.regress(parabola, y, is_censored, confidence)
        bend = Bend(float(curved.coefficients[-1]), curved.low, curved.high)
    return PowerLaw(
        exponent=slope,
        low=fit.low,
        high=fit.high,
        prefactor=math.exp(y_center + intercept - slope * center),
        residual_std=fit.residual_std,
        num_points=k,
        num_censored=int(is_censored.sum()),
        confidence=confidence,
        bend=bend,
        _center=center,
        _covariance=fit.covariance,
    )


def fit_of_runs(
    found: Sequence[tuple[Run, Estimate]], confidence: float = CONFIDENCE, against: str = "n"
) -> PowerLaw | str:
    """:func:`fit_exponent` of runs and their times in the identity column ``against``; the reason where there is none.

    Runs of one such value and index share their training subset and are not independent: they enter as one point, their
    geometric mean, a bound where one of them is. Runs whose tables have no index enter one by one.
    """
    points: dict[object, list[Estimate]] = {}
    sizes: dict[object, float] = {}
    for place, (run, time) in enumerate(found):
        size = float(run.identity[against])
        key = (size, run.identity.get("index", f"run {place}"))
        points.setdefault(key, []).append(time)
        sizes[key] = size
    means = [math.exp(np.mean([math.log(each.bound) for each in times])) for times in points.values()]
    censored = [any(each.censored for each in times) for times in points.values()]
    try:
        return fit_exponent(list(sizes.values()), means, censored, confidence=confidence)
    except DataError as refusal:
        return str(refusal).partition(": ")[2]


def predict(
    n: ArrayLike,
    tau: ArrayLike | Sequence[Estimate],
    n_new: float,
    censored: ArrayLike | None = None,
    *,
    confidence: float = CONFIDENCE,
) -> Prediction:
    """The time of a run with ``n_new`` training images from those of finished runs; see :func:`fit_exponent`.

    Two estimates at two n fix the law without a residual: then the interval holds the errors of the two times (from
    their draws) and nothing of the spread between runs, which two runs cannot show.
    """
    items: list[Any] = list(tau)  # type: ignore[arg-type]
    if len(items) == 2 and all(isinstance(each, Estimate) and not each.censored for each in items):
        return _extrapolate(np.asarray(n, dtype=np.float64), items, n_new, confidence)
    return fit_exponent(n, tau, censored, confidence=confidence).predict(n_new)


def _extrapolate(n: Array, tau: Sequence[Estimate], n_new: float, confidence: float) -> Prediction:
    """The line through two points in log-log, drawn from the draws of both."""
    if len(np.unique(n)) < 2:
        raise DataError("predict", got=f"two runs at n = {n[0]:g}", expected="two values of n", remedy="add a run")
    share = math.log(n_new / n[0]) / math.log(n[1] / n[0])
    rng = np.random.default_rng(0)
    lows = [np.log(np.maximum(rng.permutation(each.draws_low), np.finfo(float).tiny)) for each in tau]
    highs = [np.log(rng.permutation(each.draws_high)) for each in tau]
    # beyond the two n one of the weights is negative: there the prediction falls with that time
    weights = (1 - share, share)
    parts = [(w, low, high) for w, low, high in zip(weights, lows, highs, strict=True) if w != 0]
    lowest = sum(w * (low if w > 0 else high) for w, low, high in parts)
    highest = sum(w * (high if w > 0 else low) for w, low, high in parts)
    tail = (1 - confidence) / 2
    value = math.exp(sum(w * math.log(each.value) for w, each in zip(weights, tau, strict=True)))
    # no interpolation between draws: some are infinite, of times that were not reached
    low, high = (np.exp(np.quantile(e, q, method="inverted_cdf")) for e, q in ((lowest, tail), (highest, 1 - tail)))
    return Prediction(value, min(value, float(low)), max(value, float(high)))


def _points(
    n: ArrayLike, tau: ArrayLike | Sequence[Estimate], censored: ArrayLike | None
) -> tuple[Array, Array, np.ndarray]:
    """log n, log τ or its log bound, and whether it is a bound."""
    items: list[Any] = list(tau)  # type: ignore[arg-type]
    if items and isinstance(items[0], Estimate):
        censored = [each.censored for each in items]
        items = [each.bound for each in items]
    sizes, times = np.asarray(n, dtype=np.float64), np.asarray(items, dtype=np.float64)
    flags = np.zeros(times.shape, dtype=bool) if censored is None else np.asarray(censored, dtype=bool)
    if not (sizes.ndim == 1 and sizes.shape == times.shape == flags.shape):
        shapes = f"shapes {sizes.shape}, {times.shape}, {flags.shape}"
        raise DataError("fit_exponent", got=shapes, expected="(R,) all three", remedy="give one entry per run")
    if not (np.isfinite(sizes) & np.isfinite(times) & (sizes > 0) & (times > 0)).all():
        raise DataError(
            "fit_exponent",
            got="an n or τ that is not a positive number",
            expected="positive numbers",
            remedy="give the bound of a censored τ and mark it censored",
        )
    seen = sizes[~flags]
    if len(seen) < MIN_POINTS or len(np.unique(seen)) < 2:
        raise DataError(
            "fit_exponent",
            got=f"{len(seen)} uncensored points at {len(np.unique(seen))} values of n",
            expected=f"at least {MIN_POINTS} at 2 values of n",
            remedy="train more or longer runs, on more subsets",
        )
    return np.log(sizes), np.log(times), flags
