"""The saddle-point equations for the spectrum of U (arXiv 2505.17638, Theorem 3.1), solved on a whole grid at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffmem.errors import ConfigError, UserError
from diffmem.networks.random_features import Activation
from diffmem.theory.constants import activation_constants

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Population = Sequence[tuple[float, float]]

_HEIGHT, _STEPS = 200.0, 60  # first Im z of the continuation, and its number of geometric steps
_TOLERANCE = 1e-10


class SaddlePointError(UserError):
    """The saddle-point equations have no converged physical solution where one was asked for (exit code 1)."""


@dataclass(frozen=True)
class SaddlePoint:
    """Coefficients of the two equations of Theorem 3.1 in (q, r), with 1/√d inside W.

    With D = 1 + image·r + own·q and η_j = 1/(1 + q (psi_p b² + λ_j signal/D)):
    psi_p (s² − z) q + psi_p v² q/D + 1 − psi_p − Σ_j w_j η_j = 0 and r = q Σ_j w_j λ_j η_j.
    The density is Im q/π at z = λ + i0⁺ and ∫ρ = 1.
    """

    psi_p: float
    psi_n: float
    b2: float
    v2: float
    s2: float
    signal: float
    eigenvalues: Real
    weights: Real

    @property
    def point_mass(self) -> float:
        """Share of eigenvalues at s²: U − s² has rank min(p, n + d)."""
        return max(0.0, 1 - (1 + self.psi_n) / self.psi_p)

    @property
    def upper_bound(self) -> float:
        """Above the spectrum as d → ∞, from the norms of the Gaussian matrices."""
        features = 1 + math.sqrt(self.psi_p)
        image = math.sqrt(self.signal / self.psi_p * self.eigenvalues.max()) * features * (1 + self.psi_n**-0.5)
        own = math.sqrt(self.v2) * (1 + math.sqrt(self.psi_p / self.psi_n))
        return self.s2 + self.b2 * features**2 + (image + own) ** 2

    def newton(self, z: Complex, q: Complex, r: Complex) -> tuple[Complex, Complex, Complex, Real]:
        """One Newton step: the new (q, r), dq/dz, and the larger of the relative step and residual, all (N,)."""
        image, own = self.signal / self.psi_n, self.psi_p * self.v2 / self.psi_n
        D = 1 + image * r + own * q
        r_hat = self.signal / D
        lam, weights = self.eigenvalues[:, None], self.weights[:, None]
        slope = self.psi_p * self.b2 + lam * r_hat
        eta = 1 / (1 + q * slope)
        u_q = slope - q * lam * r_hat * own / D
        u_r = -q * lam * r_hat * image / D
        wl, w_eta2 = weights * lam, weights * eta**2

        f = self.psi_p * q * (self.s2 - z + self.v2 / D) + 1 - self.psi_p - (weights * eta).sum(0)
        mean = (wl * eta).sum(0)
        g = r - q * mean
        f_q = self.psi_p * (self.s2 - z + self.v2 / D * (1 - q * own / D)) + (w_eta2 * u_q).sum(0)
        f_r = -self.psi_p * self.v2 * q * image / D**2 + (w_eta2 * u_r).sum(0)
        g_q = -mean + q * (lam * w_eta2 * u_q).sum(0)
        g_r = 1 + q * (lam * w_eta2 * u_r).sum(0)

        det = f_q * g_r - f_r * g_q
        step = (g_r * f - f_r * g) / det
        error = np.maximum.reduce([np.abs(step / q), np.abs(f) / self.psi_p, np.abs(g / r)])
        return q - step, r - (f_q * g - g_q * f) / det, self.psi_p * q * g_r / det, error

    def continuous_part(self, eigenvalues: Real, floor: float) -> tuple[Real, Real]:
        """Im q at λ + i·floor less the point mass, and its derivative by the floor, (N,) each.

        Raises:
            SaddlePointError: As :meth:`solve`.
        """
        q, dq = self.solve(eigenvalues, floor)
        offset = self.s2 - eigenvalues - 1j * floor
        return (q - self.point_mass / offset).imag, (dq - self.point_mass / offset**2).real

    def solve(self, eigenvalues: Real, floor: float) -> tuple[Complex, Complex]:
        """q and dq/dz at λ + i·floor for each λ (N,), continued from far above the real axis.

        Raises:
            SaddlePointError: A point did not converge, or left the physical branch Im q > 0.
        """
        q, dq, failed = self._continue(eigenvalues, floor, _STEPS)
        if failed.any():
            q[failed], dq[failed], still = self._continue(eigenvalues[failed], floor, 10 * _STEPS)
            if still.any():
                where = eigenvalues[failed][still]
                raise SaddlePointError("saddle-point equations", got=f"no solution with Im q > 0 at λ = {where[0]:.6g}",
                                       expected="one at every λ", remedy="move λ off the edge of a bulk")  # fmt: skip
        return q, dq

    def _continue(self, eigenvalues: Real, floor: float, steps: int) -> tuple[Complex, Complex, NDArray[np.bool_]]:
        top = max(_HEIGHT, 10 * self.upper_bound)
        heights = np.geomspace(top, floor, steps + 1)
        q: Complex = (-1 / (eigenvalues + 1j * top)).astype(np.complex128)
        r = q * float(self.weights @ self.eigenvalues)
        error = np.full(len(q), np.inf)
        with np.errstate(all="ignore"):
            for height in heights:
                for _ in range(60 if height == floor else 4):
                    q, r, dq, error = self.newton(eigenvalues + 1j * height, q, r)
                    if np.all(error < (1e-14 if height == floor else 1e-6)):
                        break
        return q, dq, ~((error < _TOLERANCE) & (q.imag > 0))


def saddle_point(
    psi_p: float, psi_n: float, t: float, population: Population = ((1.0, 1.0),), activation: str | Activation = "tanh"
) -> SaddlePoint:
    """Equations for p = psi_p·d features and n = psi_n·d images of covariance Σ at diffusion time ``t``.

    Args:
        psi_p: p/d, above 0.
        psi_n: n/d, above 0.
        t: Diffusion time in (0, 20].
        population: (eigenvalue, weight) pairs of Σ; weights sum to 1.
        activation: As in :func:`diffmem.theory.constants.activation_constants`.

    Raises:
        ConfigError: One of these is out of range.
    """
    for name, value in (("psi_p", psi_p), ("psi_n", psi_n)):
        if not 0 < value < math.inf:
            raise ConfigError(name, got=value, expected="a ratio above 0", remedy=f"set {name}, e.g. 64")
    table = np.array(population, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != 2 or not (table > 0).all() or abs(table[:, 1].sum() - 1) > 1e-9:
        raise ConfigError("population", got=population, expected="(eigenvalue, weight) pairs above 0, weights of sum 1",
                          remedy="e.g. ((0.5, 0.5), (1.5, 0.5))")  # fmt: skip
    eigenvalues, weights = table.T
    constants = activation_constants(t, math.sqrt(eigenvalues @ weights), activation)
    signal = psi_p * constants.a**2 * math.exp(-2 * t)
    return SaddlePoint(psi_p, psi_n, constants.b**2, constants.v2, constants.s2, signal, eigenvalues, weights)
