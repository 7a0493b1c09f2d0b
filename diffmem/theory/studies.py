"""The numbers behind ``python -m diffmem.theory``: one table a study, as pandas frames."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from diffmem.errors import ConfigError
from diffmem.limits import require_memory
from diffmem.theory.constants import noise_variance
from diffmem.theory.criteria import crossings, time_grid
from diffmem.theory.dynamics import PopulationMoments, TrainingDynamics
from diffmem.theory.saddle_point import Population
from diffmem.theory.simulation import (
    diagonal_covariance,
    equivalent_eigenvalues,
    feature_weights,
    gaussian_images,
    population_moments,
    training_moments,
)
from diffmem.theory.spectrum import bulks, cuts, memorization_time, spectral_density, third_bulk_center

BEST = "least E_score"  # a criterion beside those of :mod:`diffmem.theory.criteria`


@dataclass(frozen=True)
class Setting:
    """One random-feature problem: p = psi_p·dim features of ``activation`` at diffusion time ``t``."""

    psi_p: float
    t: float
    dim: int
    activation: str = "tanh"
    seed: int = 0

    def count(self, name: str, ratio: float) -> int:
        """ratio·d as a whole number above 0.

        Raises:
            ConfigError: It is not one, or its matrices, p × p or n × d, are larger than this machine's memory.
        """
        number = ratio * self.dim
        if number < 1 or abs(number - round(number)) > 1e-6:
            raise ConfigError(name, got=f"{ratio:g} at d = {self.dim}", expected=f"{name}·d a whole number above 0",
                              remedy=f"change {name} or dim")  # fmt: skip
        columns = number if name == "psi_p" else self.dim
        require_memory(name, f"{ratio:g} at d = {self.dim}", 8 * number * columns, remedy=f"lower {name} or dim")
        return round(number)


def spectrum(
    setting: Setting, psi_n: float, population: Population, exact: bool
) -> tuple[pd.DataFrame, pd.DataFrame, NDArray[np.float64]]:
    """Density on a grid (``lambda, density``), the bulks, and the simulated eigenvalues (p,).

    The bulks have columns ``bulk, low, high, mass``, the same three with ``simulated_``, ``kolmogorov``, the largest
    difference between the distribution functions of theory and simulation inside the bulk, and ``tau_first, tau_last``.
    Simulated eigenvalues are told apart by :func:`diffmem.theory.spectrum.cuts`.
    """
    found = bulks(setting.psi_p, psi_n, setting.t, population, setting.activation)
    grid = np.concatenate([
        (bulk.low + bulk.high) / 2 - (bulk.high - bulk.low) / 2 * np.cos(np.linspace(0, math.pi, 300))
        for bulk in found if bulk.high > bulk.low
    ])  # fmt: skip
    density = spectral_density(grid, setting.psi_p, psi_n, setting.t, population, setting.activation)
    curve = pd.DataFrame({"lambda": grid, "density": density})

    covariance = diagonal_covariance(setting.dim, population)
    W = feature_weights(setting.count("psi_p", setting.psi_p), setting.dim, setting.seed)
    X = gaussian_images(setting.count("psi_n", psi_n), covariance, setting.seed)
    if exact:
        sigma_x = math.sqrt(float(covariance.mean()))
        simulated = torch.linalg.eigvalsh(training_moments(W, X, setting.t, setting.activation, sigma_x)[0]).numpy()
    else:
        simulated = equivalent_eigenvalues(W, X, covariance, setting.t, setting.activation, setting.seed).numpy()
    limits = [-np.inf, *cuts(found), np.inf]
    rows = []
    for bulk, (low, high) in zip(found, pairwise(limits), strict=True):
        inside = simulated[(simulated > low) & (simulated <= high)]
        first, last = bulk.times(setting.psi_p, setting.t)
        ends = (inside.min(), inside.max()) if len(inside) else (math.nan, math.nan)
        share = len(inside) / len(simulated)
        distance = _kolmogorov(inside, curve[curve["lambda"].between(bulk.low, bulk.high)])
        rows.append((bulk.name, bulk.low, bulk.high, bulk.mass, *ends, share, distance, first, last))
    columns = [
        "bulk",
        "low",
        "high",
        "mass",
        "simulated_low",
        "simulated_high",
        "simulated_mass",
        "kolmogorov",
        "tau_first",
        "tau_last",
    ]
    return curve, pd.DataFrame(rows, columns=columns), simulated


def training_runs(setting: Setting, psi_n: Sequence[float]) -> Iterator[tuple[float, TrainingDynamics]]:
    """Runs at each of ``psi_n``, ascending, on nested training sets from N(0, I) with one W."""
    covariance = torch.ones(setting.dim, dtype=torch.float64)
    W, population = _features(setting, covariance)
    for ratio, U, V in _nested_moments(setting, W, psi_n, covariance):
        yield ratio, TrainingDynamics(U, V, setting.psi_p, setting.t, population)


def dynamics(
    setting: Setting, psi_n: Sequence[float], times: NDArray[np.float64], step: float | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Curves (``psi_n, tau, tau_over_tau_mem, score_error, loss_train, loss_test``) and one summary row a psi_n."""
    curves, summary = [], []
    for ratio, run in training_runs(setting, psi_n):
        found, ending = run.curves(times, step), run.curves([math.inf], step)
        tau_mem = memorization_time(setting.psi_p, ratio, setting.t, setting.activation)
        curves.append(pd.DataFrame({
            "psi_n": ratio, "tau": found.times, "tau_over_tau_mem": found.times / tau_mem,
            "score_error": found.score_error, "loss_train": found.loss_train, "loss_test": found.loss_test,
        }))  # fmt: skip
        assert ending.loss_test is not None
        tau_best, least = _least_score_error(run, times, step)
        summary.append({
            "psi_n": ratio, "tau_best": tau_best, "score_error_best": least,
            "tau_mem_paper": tau_mem, "loss_train_final": ending.loss_train[0], "loss_test_final": ending.loss_test[0],
        })  # fmt: skip
    return pd.concat(curves, ignore_index=True), pd.DataFrame(summary)


def phase(setting: Setting, psi_p: Sequence[float], psi_n: Sequence[float], times: Sequence[float]) -> pd.DataFrame:
    """L_gen (``tau, psi_p, psi_n, generalization_loss``); the smaller problems are corners of the largest."""
    widest = Setting(max(psi_p), setting.t, setting.dim, setting.activation, setting.seed)
    covariance = torch.ones(setting.dim, dtype=torch.float64)
    W, population = _features(widest, covariance)
    rows = []
    for images, U, V in _nested_moments(widest, W, psi_n, covariance):
        for features in sorted(psi_p):
            p = widest.count("psi_p", features)
            inner = PopulationMoments(population.U[:p, :p], population.V[:p], population.score_norm)
            run = TrainingDynamics(U[:p, :p], V[:p], features, setting.t, inner)
            gap = run.curves(times).generalization_loss
            rows += [(tau, features, images, value) for tau, value in zip(times, gap, strict=True)]
    return pd.DataFrame(rows, columns=["tau", "psi_p", "psi_n", "generalization_loss"])


def measured_times(setting: Setting, psi_n: Sequence[float]) -> pd.DataFrame:
    """``dim, seed, psi_n`` and the columns of :func:`diffmem.theory.criteria.crossings`, for one seed.

    One more criterion is where E_score is least; its τ is not a number where E_score falls to the end.
    """
    tables = []
    for ratio, run in training_runs(setting, psi_n):
        found = crossings(run)
        best, _ = _least_score_error(run, time_grid(run))
        found.loc[len(found)] = [BEST, math.nan, best, found["final_gap"][0]]
        tables.append(found.assign(dim=setting.dim, seed=setting.seed, psi_n=ratio))
    table = pd.concat(tables, ignore_index=True)
    return table[["dim", "seed", "psi_n", "criterion", "level", "tau", "final_gap"]]


def predicted_times(setting: Setting, psi_n: Sequence[float]) -> pd.DataFrame:
    """psi_p/(Δ_t λ) of the edges of each bulk, the paper's τ_mem, and that of λ₃, one row a psi_n.

    ``bulks`` names what ``tau_rho3`` and ``tau_rho1`` span: the same interval where the two have merged.
    """
    rows = []
    for ratio in psi_n:
        found = bulks(setting.psi_p, ratio, setting.t, activation=setting.activation)
        row: dict[str, object] = {"psi_n": ratio, "bulks": " ".join(bulk.name for bulk in found)}
        for key, name in (("rho2", "ρ₂"), ("rho1", "ρ₁"), ("rho3", "ρ₃")):
            spans = [bulk.times(setting.psi_p, setting.t) for bulk in found if name in bulk.name]
            row[f"tau_{key}_first"] = min((first for first, _ in spans), default=math.nan)
            row[f"tau_{key}_last"] = max((last for _, last in spans), default=math.nan)
        row["tau_mem_paper"] = memorization_time(setting.psi_p, ratio, setting.t, setting.activation)
        center = third_bulk_center(setting.psi_p, ratio, setting.t, setting.activation)
        row["tau_third"] = setting.psi_p / (noise_variance(setting.t) * center)
        rows.append(row)
    return pd.DataFrame(rows)


def summarize_times(measured: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """Geometric mean over seeds of each measured time with its 95% Student interval, and its ratios to predictions.

    Columns: ``dim, psi_n, criterion, level, seeds, tau, tau_low, tau_high, tau_mem_paper, tau_third, over_paper,
    over_third``.
    """
    keys = ["dim", "psi_n", "criterion", "level"]
    rows = [
        (*key, len(group), *_geometric_interval(group["tau"]))
        for key, group in measured.groupby(keys, sort=False, dropna=False)
    ]
    table = pd.DataFrame(rows, columns=[*keys, "seeds", "tau", "tau_low", "tau_high"])
    table = table.merge(predicted[["psi_n", "tau_mem_paper", "tau_third"]], on="psi_n")
    table["over_paper"] = table["tau"] / table["tau_mem_paper"]
    table["over_third"] = table["tau"] / table["tau_third"]
    return table


def changes_of_ratios(summary: pd.DataFrame) -> pd.DataFrame:
    """How much the ratios of :func:`summarize_times` change over psi_n, a row for each dim and criterion.

    Columns: ``dim, criterion, level, exponent, change_paper, change_third``: the slope of log τ over log psi_n, and the
    largest ratio over the smallest. Not a number where the criterion is not reached at every psi_n.
    """
    rows = []
    for key, group in summary.groupby(["dim", "criterion", "level"], sort=False, dropna=False):
        changes = [
            group[name].max(skipna=False) / group[name].min(skipna=False) for name in ("over_paper", "over_third")
        ]
        rows.append((*key, log_slope(group["psi_n"], group["tau"]), *changes))
    return pd.DataFrame(rows, columns=["dim", "criterion", "level", "exponent", "change_paper", "change_third"])


def log_slope(x: pd.Series, y: pd.Series) -> float:
    """Least-squares slope of log y against log x; not a number where there is one x or a y is missing."""
    if y.isna().any() or x.nunique() < 2:
        return math.nan
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def score_exponent(summary: pd.DataFrame) -> float:
    """Slope of log min E_score against log psi_n; about −0.59 in the paper."""
    return log_slope(summary["psi_n"], summary["score_error_best"])


def _kolmogorov(eigenvalues: NDArray[np.float64], curve: pd.DataFrame) -> float:
    """Kolmogorov distance to the law of density ``curve``; not a number where one of them is empty."""
    if not len(eigenvalues) or curve.empty:
        return math.nan
    grid, density = curve["lambda"].to_numpy(), curve["density"].to_numpy()
    below = np.append(0.0, np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(grid)))
    return float(stats.ks_1samp(eigenvalues, lambda x: np.interp(x, grid, below / below[-1])).statistic)


def _features(setting: Setting, covariance: Tensor) -> tuple[Tensor, PopulationMoments]:
    W = feature_weights(setting.count("psi_p", setting.psi_p), setting.dim, setting.seed).float()
    return W, population_moments(W, covariance, setting.t, setting.activation)


def _nested_moments(
    setting: Setting, W: Tensor, psi_n: Sequence[float], covariance: Tensor
) -> Iterator[tuple[float, Tensor, Tensor]]:
    """(psi_n, U, V) for growing training sets, each the beginning of the next, so that each image is averaged once."""
    X = gaussian_images(setting.count("psi_n", max(psi_n)), covariance, setting.seed)
    U, V = torch.zeros(len(W), len(W)), torch.zeros_like(W)
    done = 0
    for ratio in sorted(set(psi_n)):
        num = setting.count("psi_n", ratio)
        added_U, added_V = training_moments(W, X[done:num], setting.t, setting.activation)
        U.lerp_(added_U, (num - done) / num)
        V.lerp_(added_V, (num - done) / num)
        del added_U
        done = num
        yield ratio, U, V


def _least_score_error(
    run: TrainingDynamics, times: NDArray[np.float64], step: float | None = None
) -> tuple[float, float]:
    """τ and value of the least E_score, first on ``times``, then a hundred times finer around it.

    τ is not a number where E_score is least at an end of ``times``.
    """
    coarse = times
    for _ in range(2):
        error = run.curves(times, step).score_error
        assert error is not None
        best = int(np.argmin(error))
        found = float(times[best]), float(error[best])
        times = np.geomspace(times[max(best - 1, 0)], times[min(best + 1, len(times) - 1)], 201)
    return (found[0] if coarse[0] < found[0] < coarse[-1] else math.nan), found[1]


def _geometric_interval(values: pd.Series) -> tuple[float, float, float]:
    logs = np.log(values.to_numpy())
    if len(logs) < 2:
        return float(values.iloc[0]), math.nan, math.nan
    half = stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / math.sqrt(len(logs))
    return math.exp(logs.mean()), math.exp(logs.mean() - half), math.exp(logs.mean() + half)
