"""Spectrum of the feature covariance U: its density, its bulks, and the times they predict (arXiv 2505.17638)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffmem.errors import ConfigError
from diffmem.networks.random_features import Activation
from diffmem.theory.constants import noise_variance
from diffmem.theory.saddle_point import Population, Real, SaddlePoint, SaddlePointError, saddle_point

_DENSITY_FLOOR = 1e-9  # Im z of the density, extrapolated from there to the real axis
_EDGE_FLOOR = 1e-10  # Im z at which support and gap are told apart
_MASS_TOLERANCE = 5e-3  # relative to the mass of d eigenvalues
_POINT_MASS_SHARE = 0.9  # of the gap above the point mass, in log λ, left to its spread


def spectral_density(
    eigenvalues: ArrayLike, psi_p: float, psi_n: float, t: float, population: Population = ((1.0, 1.0),),
    activation: str | Activation = "tanh",
) -> Real:  # fmt: skip
    """Density ρ(λ) of the eigenvalues of U, less the point mass at s_t², on the grid ``eigenvalues``.

    ρ(λ) = Im q(λ + i0⁺)/π. The value at Im z = 1e-9 is extrapolated to 0 along dq/dz, so that ρ vanishes between bulks.
    The point mass is max(0, 1 − (1 + psi_n)/psi_p); see :func:`bulks`.

    Args:
        eigenvalues: λ, any shape; below the spectrum ρ = 0.
        psi_p, psi_n, t, population, activation: As in :func:`diffmem.theory.saddle_point.saddle_point`.

    Raises:
        ConfigError: A parameter is out of range.
        SaddlePointError: The equations did not converge on the physical branch.
    """
    grid = np.asarray(eigenvalues, dtype=np.float64)
    if not np.isfinite(grid).all():
        raise ConfigError("eigenvalues", got="values that are not finite", expected="finite λ", remedy="fix the grid")
    return _density(saddle_point(psi_p, psi_n, t, population, activation), grid.ravel()).reshape(grid.shape)


@dataclass(frozen=True)
class Bulk:
    """One interval of the support of ρ.

    Attributes:
        name: ``"δ"`` (the point mass at s_t²), ``"ρ₁"`` and ``"ρ₂"`` of Theorem 3.2, ``"ρ₃"`` for the d further
            eigenvalues below ρ₁ that the theorem leaves out, or names joined by ``"+"`` where bulks have merged.
            The same name twice means that a bulk has split, as ρ₂ does when Σ has far-apart eigenvalues.
        low: Left edge λ.
        high: Right edge λ, equal to ``low`` for the point mass.
        mass: Share of the p eigenvalues.
    """

    name: str
    low: float
    high: float
    mass: float

    def times(self, psi_p: float, t: float) -> tuple[float, float]:
        """psi_p/(Δ_t λ) of the right and of the left edge: first and last time τ at which the bulk is learned."""
        scale = psi_p / noise_variance(t)
        return scale / self.high, scale / self.low


def bulks(
    psi_p: float, psi_n: float, t: float, population: Population = ((1.0, 1.0),), activation: str | Activation = "tanh"
) -> tuple[Bulk, ...]:
    """Every bulk of the spectrum of U, ascending in λ; masses sum to 1.

    The exponent α of Im q(λ + iε) ~ ε^α tells where λ lies: 0 inside a bulk, 1 outside, 1/2 on an edge. It is read off
    dq/dz, and edges are found to relative 1e-8 of their distance to s_t².

    Args:
        psi_p, psi_n, t, population, activation: As in :func:`diffmem.theory.saddle_point.saddle_point`.

    Raises:
        ConfigError: A parameter is out of range.
        SaddlePointError: The masses found do not sum to 1: a bulk is too narrow to be resolved in float64.
    """
    equations = saddle_point(psi_p, psi_n, t, population, activation)
    tolerance = _MASS_TOLERANCE * min(1.0, 1 / psi_p)
    for points in (400, 1600, 6400):
        intervals = [(low, high, _mass(equations, low, high, points)) for low, high in _support(equations, points)]
        total = equations.point_mass + sum(mass for _, _, mass in intervals)
        if abs(total - 1) < tolerance:
            break
    else:
        raise SaddlePointError("bulks of U", got=f"masses that sum to {total:.6f}",
                               expected="1", remedy="take t or psi_n less extreme")  # fmt: skip
    s2 = equations.s2
    found = [Bulk("δ", s2, s2, equations.point_mass)] if equations.point_mass else []
    below = equations.point_mass
    for low, high, mass in intervals:
        if mass < tolerance:  # rounding beside the point mass
            continue
        found.append(Bulk(_name(equations, below, below + mass), low, high, mass))
        below += mass
    return tuple(found)


def cuts(found: Sequence[Bulk]) -> tuple[float, ...]:
    """One λ in each gap, at which the eigenvalues of a simulation are told apart.

    Half-way in log λ between two bulks; nine tenths of the way from the point mass to the next bulk, because U itself
    spreads the point mass at finite d, by relative ±2√(psi_p/(psi_n d)) or so, while the next bulk keeps its edge.
    """
    between = []
    for left, right in pairwise(found):
        share = _POINT_MASS_SHARE if left.low == left.high else 0.5
        between.append(left.high ** (1 - share) * right.low**share)
    return tuple(between)


def memorization_time(psi_p: float, psi_n: float, t: float, activation: str | Activation = "tanh") -> float:
    """The paper's τ_mem = psi_p/(Δ_t λ_min), λ_min the left edge of ρ₁ in Theorem 3.2 (unit-variance data).

    Raises:
        ConfigError: A parameter is out of range.
    """
    equations = saddle_point(psi_p, psi_n, t, activation=activation)
    edge = equations.s2 + equations.v2 * (1 - math.sqrt(psi_p / psi_n)) ** 2
    return psi_p / (noise_variance(t) * edge)


def third_bulk_center(psi_p: float, psi_n: float, t: float, activation: str | Activation = "tanh") -> float:
    """λ₃ ≈ s_t² + ((psi_p − psi_n)/psi_n) v_t² Δ_t, near the median of the third bulk for Σ = I.

    First order in Δ_t, by the Schur complement on the row space of the data. It holds where the bulk is apart from ρ₁
    and t ≤ 0.03; at larger t it errs where psi_n is a large share of psi_p. NaN where psi_n ≥ psi_p: no such bulk.

    Raises:
        ConfigError: A parameter is out of range.
    """
    equations = saddle_point(psi_p, psi_n, t, activation=activation)
    if psi_n >= psi_p:
        return math.nan
    return equations.s2 + (psi_p - psi_n) / psi_n * equations.v2 * noise_variance(t)


def _density(equations: SaddlePoint, eigenvalues: Real) -> Real:
    imag, slope = equations.continuous_part(eigenvalues, _DENSITY_FLOOR)
    return np.maximum(imag - _DENSITY_FLOOR * slope, 0.0) / math.pi


def _name(equations: SaddlePoint, below: float, upto: float) -> str:
    """Names of the components whose ranks, counted from the smallest eigenvalue, overlap (below, upto)."""
    d, n = 1 / equations.psi_p, equations.psi_n / equations.psi_p
    second = 1 - d
    third = max(equations.point_mass, 0.0)
    first = min(third + d, second) if n < 1 else third
    ranges = (("ρ₃", third, first), ("ρ₁", first, second), ("ρ₂", second, 1.0))
    slack = 0.03 * min(d, upto - below)
    names = [name for name, start, end in ranges if min(end, upto) - max(start, below) > slack]
    return "+".join(names)


def _probe(equations: SaddlePoint, eigenvalues: Real) -> tuple[Real, Real]:
    """Im q(λ + iε) less the point mass, and its exponent: 0 in the support, 1 outside, 1/2 on an edge."""
    imag, slope = equations.continuous_part(eigenvalues, _EDGE_FLOOR)
    # outside, beside the point mass, rounding may leave nothing of Im q
    return imag, np.divide(_EDGE_FLOOR * slope, imag, out=np.ones_like(imag), where=imag > 0)


def _support(equations: SaddlePoint, points: int) -> list[tuple[float, float]]:
    """Intervals of the support, by bisection of the log distance to s² where inside turns to outside."""
    widest = equations.upper_bound - equations.s2
    narrowest = 1e-5 * min(equations.v2, equations.s2, equations.b2)
    grid = np.geomspace(narrowest, 1.1 * widest, points)
    for _ in range(3):
        imag, exponent = _probe(equations, equations.s2 + grid)
        inside: NDArray[np.bool_] = exponent < 0.5
        shallow = np.minimum(imag[:-2], imag[2:]) > 2 * imag[1:-1]
        dip = np.flatnonzero(shallow & inside[1:-1]) + 1  # where a narrow gap may hide
        if not len(dip):
            break
        grid = np.unique(np.concatenate([grid, *(np.geomspace(grid[i - 1], grid[i + 1], 40) for i in dip)]))
    inside = _probe(equations, equations.s2 + grid)[1] < 0.5
    turns = np.flatnonzero(inside[1:] != inside[:-1])
    left, right, starts = np.log(grid[turns]), np.log(grid[turns + 1]), inside[turns]
    for _ in range(5):  # each round narrows every bracket 32-fold
        middle = np.linspace(left, right, 33)
        middle_inside = _probe(equations, equations.s2 + np.exp(middle).ravel())[1].reshape(middle.shape) < 0.5
        same = middle_inside == starts
        last = np.where(same[1:-1].all(0), len(middle) - 2, np.argmin(same[1:-1], axis=0))
        left, right = np.take_along_axis(middle, np.stack([last, last + 1]), axis=0)
    edges = [float(equations.s2 + math.exp(edge)) for edge in (left + right) / 2]
    if inside[0]:
        edges.insert(0, equations.s2)
    return list(zip(edges[::2], edges[1::2], strict=True))


def _mass(equations: SaddlePoint, low: float, high: float, nodes: int) -> float:
    """∫ρ over a bulk with λ = mid − half·cos θ, which takes the square-root edges along."""
    theta = (np.arange(nodes) + 0.5) * math.pi / nodes
    half = (high - low) / 2
    density = _density(equations, (low + high) / 2 - half * np.cos(theta))
    return float((density * np.sin(theta)).sum() * half * math.pi / nodes)
