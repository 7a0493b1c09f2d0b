"""Solutions of the saddle-point equations, against simulation, other solvers and limits."""

import itertools
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import root
from scipy.stats import ks_1samp

from diffmem.errors import ConfigError
from diffmem.theory.constants import activation_constants, noise_variance
from diffmem.theory.saddle_point import Population, saddle_point
from diffmem.theory.simulation import (
    diagonal_covariance,
    equivalent_eigenvalues,
    feature_weights,
    gaussian_images,
    training_moments,
)
from diffmem.theory.spectrum import bulks, cuts, memorization_time, spectral_density, third_bulk_center

ONE: Population = ((1.0, 1.0),)
TWO: Population = ((0.5, 0.5), (1.5, 0.5))
SETTINGS = [(64, 8, 0.01, ONE), (64, 8, 0.1, ONE), (64, 8, 0.01, TWO), (64, 32, 0.1, ONE), (8, 64, 0.1, ONE)]
# psi_p, psi_n, t, population, activation, d, names: at these d the point mass of U itself ends below the third bulk
SEPARATED = [
    (32, 2, 0.01, ONE, "tanh", 128, "δ ρ₃ ρ₁ ρ₂"),
    (32, 2, 0.03, ONE, "erf", 128, "δ ρ₃ ρ₁ ρ₂"),
    (16, 1, 0.1, ONE, "tanh", 240, "δ ρ₃ ρ₂"),
    (16, 1, 0.05, TWO, "erf", 240, "δ ρ₃ ρ₂"),
    (4, 8, 0.1, ONE, "relu", 300, "ρ₁ ρ₂"),
]


def simulate(
    psi_p: float, psi_n: float, t: float, population: Population, dim: int, exact: bool,
    activation: str = "tanh", dtype: torch.dtype = torch.float64,
) -> np.ndarray:  # fmt: skip
    covariance = diagonal_covariance(dim, population)
    W = feature_weights(round(psi_p * dim), dim, seed=0).to(dtype)
    X = gaussian_images(round(psi_n * dim), covariance, seed=0).to(dtype)
    if exact:
        sigma_x = math.sqrt(float(covariance.mean()))
        return torch.linalg.eigvalsh(training_moments(W, X, t, activation, sigma_x)[0]).double().numpy()
    return equivalent_eigenvalues(W, X, covariance, t, activation).double().numpy()


def resolvent_error(psi_p: float, psi_n: float, t: float, population: Population, eigenvalues: np.ndarray) -> float:
    """Largest relative error of q(z) against Tr (U − z)⁻¹/p, over z = (1 + i/2)λ across the spectrum."""
    equations = saddle_point(psi_p, psi_n, t, population)
    scales = np.geomspace(0.5 * equations.s2, 0.7 * equations.upper_bound, 30)
    theory = np.array([equations.solve(np.array([scale]), scale / 2)[0][0] for scale in scales])
    simulated = (1 / (eigenvalues - (scales * (1 + 0.5j))[:, None])).mean(1)
    return float(np.abs(theory / simulated - 1).max())


@pytest.mark.parametrize("setting", SETTINGS)
def test_bulks_hold_the_eigenvalues_of_the_gaussian_equivalent(setting: tuple) -> None:
    eigenvalues = simulate(*setting, dim=30, exact=False)
    found = bulks(*setting)
    limits = [-np.inf, *(math.sqrt(a.high * b.low) for a, b in itertools.pairwise(found)), np.inf]
    for bulk, low, high in zip(found, limits[:-1], limits[1:], strict=True):
        inside = eigenvalues[(eigenvalues > low) & (eigenvalues <= high)]
        assert len(inside) / len(eigenvalues) == pytest.approx(bulk.mass, rel=0.01)
        assert 0.95 * bulk.low < inside.min()
        assert inside.max() < 1.05 * bulk.high


@pytest.mark.parametrize("setting", SETTINGS)
def test_resolvent_of_the_gaussian_equivalent(setting: tuple) -> None:
    assert resolvent_error(*setting, simulate(*setting, dim=30, exact=False)) < 0.01


@pytest.mark.parametrize(
    ("exact", "kolmogorov"),
    [pytest.param(False, 0.03, id="equivalent"), pytest.param(True, 0.12, id="exact", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("setting", SEPARATED)
def test_every_bulk_has_its_mass_and_its_density(setting: tuple, exact: bool, kolmogorov: float) -> None:
    """Masses to 1%; inside a bulk the distribution functions of theory and simulation differ by ``kolmogorov`` at most.

    The widest is ρ₁ of U at psi_p = 32, broadened by the norms of d = 128 pixels; all others are within 0.05.
    """
    *parameters, activation, dim, names = setting
    found = bulks(*parameters, activation)
    assert " ".join(bulk.name for bulk in found) == names
    dtype = torch.float32 if exact else torch.float64
    eigenvalues = simulate(*parameters, dim=dim, exact=exact, activation=activation, dtype=dtype)
    theta = np.linspace(0, np.pi, 800)
    for bulk, (low, high) in zip(found, pairwise([-np.inf, *cuts(found), np.inf]), strict=True):
        inside = eigenvalues[(eigenvalues > low) & (eigenvalues <= high)]
        assert len(inside) / len(eigenvalues) == pytest.approx(bulk.mass, rel=0.01)
        if bulk.name == "δ":
            assert inside.mean() == pytest.approx(bulk.low, rel=0.03)
            continue
        half = (bulk.high - bulk.low) / 2
        grid = (bulk.low + bulk.high) / 2 - half * np.cos(theta)
        density = spectral_density(grid, *parameters, activation) * half * np.sin(theta)
        below = np.append(0, np.cumsum(density[1:] + density[:-1]))
        limit = kolmogorov if bulk.name == "ρ₁" else min(kolmogorov, 0.05)
        assert ks_1samp(inside, lambda x, grid=grid, law=below / below[-1]: np.interp(x, grid, law))[0] < limit


@pytest.mark.parametrize(
    "setting", [(8, 2, 0.1, ONE), (8, 2, 0.01, ONE), (8, 2, 0.1, TWO), (4, 16, 0.1, ONE), (4, 2, 0.01, ONE)]
)
def test_u_itself_approaches_the_theory_with_dimension(setting: tuple) -> None:
    """At finite d the point mass is a bulk of relative width ~√(psi_p/d): the error falls about as 1/d."""
    eigenvalues = simulate(*setting, dim=60, exact=True)
    error = resolvent_error(*setting, eigenvalues)
    assert error < 0.4
    assert error < 0.5 * resolvent_error(*setting, simulate(*setting, dim=16, exact=True))
    top = bulks(*setting)[-1]
    assert (eigenvalues > 0.8 * top.low).mean() == pytest.approx(top.mass)


def test_the_third_bulk_holds_d_eigenvalues() -> None:
    """Edges of science: [0.0037, 0.0099], [0.092, 0.358] and [10.1, 44.2] in simulations at d = 100 and 200."""
    point, third, first, second = bulks(64, 8, 0.01)
    assert [bulk.name for bulk in (point, third, first, second)] == ["δ", "ρ₃", "ρ₁", "ρ₂"]
    assert [bulk.mass * 64 for bulk in (point, third, first, second)] == pytest.approx([55, 1, 7, 1], rel=1e-3)
    assert (third.low, third.high) == pytest.approx((0.0037, 0.0101), rel=0.01)
    assert (first.low, first.high) == pytest.approx((0.0915, 0.359), rel=0.01)
    assert (second.low, second.high) == pytest.approx((9.9, 44.6), rel=0.01)
    delta = 1 - math.exp(-0.02)
    assert second.times(64, 0.01) == pytest.approx((64 / delta / second.high, 64 / delta / second.low))
    edge = 64 / (delta * memorization_time(64, 8, 0.01))
    assert edge == pytest.approx(first.low, rel=0.06)


@pytest.mark.parametrize(("psi_p", "psi_n", "t"), [(64, 32, 0.01), (64, 8, 0.03), (16, 4, 0.03), (256, 128, 0.01)])
def test_the_center_of_the_third_bulk_lies_inside_it(psi_p: float, psi_n: float, t: float) -> None:
    """At (64, 32, 0.01) the bulk is [0.00217, 0.00268]."""
    (third,) = [bulk for bulk in bulks(psi_p, psi_n, t) if bulk.name == "ρ₃"]
    assert third.low < third_bulk_center(psi_p, psi_n, t) < third.high
    assert math.isnan(third_bulk_center(psi_p, psi_p, t))


@settings(max_examples=6, deadline=None)
@given(
    psi_p=st.floats(0.5, 128), psi_n=st.floats(0.5, 128), t=st.floats(0.005, 0.5),
    population=st.sampled_from([ONE, TWO, ((0.1, 0.3), (1.0, 0.5), (2.0, 0.2))]),
)  # fmt: skip
def test_masses_sum_to_one_and_the_trace_is_right(psi_p: float, psi_n: float, t: float, population: Population) -> None:
    """∫λρ = Tr U/p = E σ²: known without the saddle point."""
    found = bulks(psi_p, psi_n, t, population)
    assert sum(bulk.mass for bulk in found) == pytest.approx(1, abs=0.01)
    assert all(bulk.name for bulk in found)
    assert all(left.high < right.low for left, right in pairwise(found))
    theta = (np.arange(800) + 0.5) * np.pi / 800
    trace = 0.0
    for bulk in found:
        half = (bulk.high - bulk.low) / 2
        grid = (bulk.low + bulk.high) / 2 - half * np.cos(theta)
        density = spectral_density(grid, psi_p, psi_n, t, population)
        trace += (grid * density * np.sin(theta)).sum() * half * np.pi / 800 if half else bulk.low * bulk.mass
    sigma_x = math.sqrt(sum(value * weight for value, weight in population))
    assert trace == pytest.approx(activation_constants(t, sigma_x).norm2, rel=0.01)


def test_many_images_give_the_marchenko_pastur_law() -> None:
    """n → ∞: U = s² + v² + (a²e^{−2t} + b²) WWᵀ/d, whose top bulk is Marchenko–Pastur's."""
    psi_p, t = 4.0, 0.1
    constants = activation_constants(t)
    scale, shift = constants.a**2 * math.exp(-2 * t) + constants.b**2, constants.s2 + constants.v2
    top = bulks(psi_p, 1e6, t)[-1]
    low, high = (shift + scale * (math.sqrt(psi_p) + sign) ** 2 for sign in (-1, 1))
    assert (top.low, top.high) == pytest.approx((low, high), rel=0.01)
    grid = np.linspace(1.1 * top.low, 0.95 * top.high, 20)
    law = np.sqrt((high - grid) * (grid - low)) / (2 * np.pi * psi_p * scale * (grid - shift))
    assert spectral_density(grid, psi_p, 1e6, t) == pytest.approx(law, rel=0.01)


@pytest.mark.parametrize("setting", SETTINGS)
def test_newton_agrees_with_an_independent_solver(setting: tuple) -> None:
    """The equations as the paper prints them, handed to MINPACK point by point from Im z = 200 down."""
    psi_p, psi_n, t, population = setting
    constants = activation_constants(t, math.sqrt(sum(value * weight for value, weight in population)))
    signal = psi_p * constants.a**2 * math.exp(-2 * t)
    values, weights = np.array(population).T

    def printed(unknown: np.ndarray, z: complex) -> np.ndarray:
        q, r = unknown[0] + 1j * unknown[1], unknown[2] + 1j * unknown[3]
        D = 1 + signal / psi_n * r + psi_p * constants.v2 / psi_n * q
        terms = weights / (constants.b**2 * psi_p + 1 / q + values * signal / D)
        first = psi_p * (constants.s2 - z) + psi_p * constants.v2 / D + (1 - psi_p) / q - terms.sum() / q**2
        second = r - (values * terms).sum()
        return np.array([first.real, first.imag, second.real, second.imag])

    equations = saddle_point(*setting)
    for bulk in bulks(*setting):
        if bulk.high == bulk.low:
            continue
        center = (bulk.low + bulk.high) / 2
        q = -1 / (center + 200j)
        unknown = np.array([q.real, q.imag, q.real, q.imag])
        for height in np.geomspace(200, 1e-9, 120):
            unknown = root(printed, unknown, args=(center + 1j * height,), tol=1e-14).x
        expected = unknown[0] + 1j * unknown[1]
        assert equations.solve(np.array([center]), 1e-9)[0][0] == pytest.approx(expected, rel=1e-10)


def test_the_density_vanishes_between_bulks_and_below_the_spectrum() -> None:
    between = spectral_density([[1e-4, 0.0028], [0.03, 3.0]], 64, 8, 0.01)
    assert between.shape == (2, 2)
    assert between.max() < 1e-6


@pytest.mark.parametrize(
    ("arguments", "what"),
    [((0, 8, 0.1), "psi_p"), ((64, -1, 0.1), "psi_n"), ((64, 8, 0.0), "t"), ((64, 8, 0.1, ((1.0, 0.5),)), "population"),
     ((64, 8, 0.1, ((-1.0, 1.0),)), "population"), ((64, 8, 0.1, ()), "population")],
)  # fmt: skip
def test_impossible_settings_are_refused(arguments: tuple, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spectral_density([1.0], *arguments)
    assert caught.value.what == what


def test_a_grid_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ConfigError, match="eigenvalues"):
        spectral_density([1.0, math.nan], 64, 8, 0.1)


@pytest.mark.parametrize("t", [0.01, 0.1])
def test_with_many_features_the_time_of_the_third_bulk_is_in_proportion_to_n(t):
    """ψ_n/(v_t² Δ_t²)."""
    psi_p, delta = 1e6, noise_variance(t)
    for psi_n in (1.0, 4.0, 16.0):
        time = psi_p / (delta * third_bulk_center(psi_p, psi_n, t))
        assert time == pytest.approx(psi_n / (activation_constants(t).v2 * delta**2), rel=1e-2)
