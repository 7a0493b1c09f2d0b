"""Exact training curves of the random-feature model, at any time without stepping (arXiv 2505.17638, section 3).

From A(0) = 0, gradient flow gives A(τ)/√p = −Vᵀ f(U)/√Δ with f(λ) = (1 − e^{−xλ})/λ and x = 2Δτ/ψ_p. Plain gradient
descent of k updates is the same with (1 − xλ/k)^k for e^{−xλ}.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from diffmem.errors import ConfigError
from diffmem.theory.constants import noise_variance
from diffmem.theory.krylov import dense_pairs, ritz_pairs

Method = Literal["auto", "dense", "krylov"]

_KRYLOV_FROM_P, _KRYLOV_FROM_PSI_P = 1500, 32


@dataclass(frozen=True)
class PopulationMoments:
    """What L_test and E_score need of the law of the images.

    Attributes:
        U: Ũ = E[φφᵀ] (p, p) under the noised law P_t.
        V: Ṽ = E[φξᵀ] (p, d).
        score_norm: (1/d) E‖∇log P_t‖² under P_t: Tr Σ_t⁻¹/d for Gaussian images.
    """

    U: Tensor
    V: Tensor
    score_norm: float


@dataclass(frozen=True)
class TrainingCurves:
    """Curves over the times τ, one float64 value each; the last two are None where no population was given.

    Attributes:
        times: τ = kη/d², the paper's time.
        loss_train: L_train = (1/d) E‖√Δ s_A(x_t) + ξ‖² over the training images.
        loss_test: The same over new images.
        score_error: E_score = (1/d) E‖s_A(y) − ∇log P_t(y)‖², y ~ P_t.
    """

    times: NDArray[np.float64]
    loss_train: NDArray[np.float64]
    loss_test: NDArray[np.float64] | None = None
    score_error: NDArray[np.float64] | None = None

    @property
    def generalization_loss(self) -> NDArray[np.float64]:
        """L_gen = L_test − L_train.

        Raises:
            ConfigError: The curves were computed without a population.
        """
        if self.loss_test is None:
            raise ConfigError(
                "population", got=None, expected="population moments", remedy="pass population to dynamics"
            )
        return self.loss_test - self.loss_train


class TrainingDynamics:
    """The modes of one training run, ready to be read at any τ.

    Args:
        U: (p, p) feature covariance of the training images. In float32 losses are good to about 1e-5.
        V: (p, d) covariance of features and noise.
        psi_p: p/d.
        t: Diffusion time.
        population: For L_test and E_score.
        method: ``"dense"`` diagonalizes U, in O(p³). ``"krylov"`` finds what V sees of U, in O(p²d) for each of some
            twenty blocks, with relative errors around 1e-5. ``"auto"``: krylov from p = 1500 and psi_p = 32 on.

    Raises:
        ConfigError: Shapes do not match, a value is out of range, or U or V is not finite.
    """

    def __init__(
        self, U: Tensor, V: Tensor, psi_p: float, t: float, population: PopulationMoments | None = None,
        method: Method = "auto",
    ) -> None:  # fmt: skip
        self.delta = noise_variance(t)
        self.psi_p, self.dim = psi_p, V.shape[1]
        _check_moments(U, V, psi_p)
        if population is not None and (population.U.shape != U.shape or population.V.shape != V.shape):
            raise ConfigError("population", got=f"Ũ {tuple(population.U.shape)}, Ṽ {tuple(population.V.shape)}",
                              expected=f"{tuple(U.shape)} and {tuple(V.shape)}", remedy="use the same W")  # fmt: skip
        if method not in ("auto", "dense", "krylov"):
            raise ConfigError("method", got=repr(method), expected="auto, dense or krylov", remedy="set method")
        krylov_pays = len(U) >= _KRYLOV_FROM_P and psi_p >= _KRYLOV_FROM_PSI_P
        dense = method == "dense" or (method == "auto" and not krylov_pays)
        values, coefficients, vectors = dense_pairs(U, V) if dense else ritz_pairs(U, V)
        self.eigenvalues = values.double().clamp_min(torch.finfo(U.dtype).eps * float(values.max()))
        self.coefficients = coefficients.double()
        self.score_norm = None
        if population is not None:
            self.score_norm = population.score_norm
            overlap = self.coefficients @ self.coefficients.T
            self.quadratic = overlap * (vectors.T @ (population.U.to(vectors) @ vectors)).double()
            self.linear = (self.coefficients * (vectors.T @ population.V.to(vectors)).double()).sum(1)

    @property
    def time_constants(self) -> tuple[float, float]:
        """psi_p/(2Δλ) of the fastest and of the slowest mode, in τ."""
        scale = self.psi_p / (2 * self.delta)
        return scale / float(self.eigenvalues.max()), scale / float(self.eigenvalues.min())

    def curves(self, times: ArrayLike, step: float | None = None) -> TrainingCurves:
        """Losses at each τ.

        Args:
            times: τ ≥ 0, (T,); inf is the end of training.
            step: None for gradient flow; else η/d², the τ of one update of plain gradient descent, and each τ is
                rounded to a whole number of updates.

        Raises:
            ConfigError: A time is negative, or ``step`` is so large that gradient descent diverges.
        """
        tau = torch.as_tensor(np.atleast_1d(np.asarray(times, dtype=np.float64))).to(self.eigenvalues)
        if tau.ndim != 1 or not bool((tau >= 0).all()):
            raise ConfigError("times", got=times, expected="a list of τ ≥ 0", remedy="fix the times")
        decay = self._decay(tau, step)
        train = _loss_train(self.eigenvalues, self.coefficients, decay)
        if self.score_norm is None:
            return TrainingCurves(tau.cpu().numpy(), train.cpu().numpy())
        f = (1 - decay) / self.eigenvalues
        test = 1 + ((f @ self.quadratic * f).sum(1) - 2 * f @ self.linear) / self.dim
        score = (test - 1) / self.delta + self.score_norm
        return TrainingCurves(*(curve.cpu().numpy() for curve in (tau, train, test, score)))

    def _decay(self, tau: Tensor, step: float | None) -> Tensor:
        """What is left of each mode's distance to its end: (T, k)."""
        rate = 2 * self.delta / self.psi_p * self.eigenvalues
        if step is None:
            return torch.exp(-tau[:, None] * rate)
        largest = 2 / float(rate.max())
        if not 0 < step < largest:
            raise ConfigError("step", got=step, expected=f"above 0 and below {largest:.4g}, the limit of stability",
                              remedy="lower the learning rate")  # fmt: skip
        return (1 - step * rate) ** torch.round(tau / step)[:, None]


def gradient_flow(
    U: Tensor, V: Tensor, times: ArrayLike, psi_p: float, t: float, population: PopulationMoments | None = None,
    *, step: float | None = None, method: Method = "auto",
) -> TrainingCurves:  # fmt: skip
    """L_train, L_test and E_score at ``times`` for training from A = 0 by gradient flow, or by gradient descent.

    L_train(τ) = 1 − (1/d) Σ_λ |Vᵀv_λ|²/λ (1 − e^{−4Δλτ/ψ_p}); E_score = (L_test − 1)/Δ + (1/d) E‖∇log P_t‖².

    Args:
        U, V, psi_p, t, population, method: As in :class:`TrainingDynamics`.
        times, step: As in :meth:`TrainingDynamics.curves`.

    Raises:
        ConfigError: As there.
    """
    return TrainingDynamics(U, V, psi_p, t, population, method).curves(times, step)


def _loss_train(eigenvalues: Tensor, coefficients: Tensor, decay: Tensor) -> Tensor:
    share = coefficients.square().sum(1) / eigenvalues / coefficients.shape[1]
    return 1 - (1 - decay.square()) @ share


def _check_moments(U: Tensor, V: Tensor, psi_p: float) -> None:
    if U.ndim != 2 or U.shape[0] != U.shape[1] or V.ndim != 2 or len(V) != len(U):
        raise ConfigError("U, V", got=f"shapes {tuple(U.shape)}, {tuple(V.shape)}", expected="(p, p) and (p, d)",
                          remedy="pass the moments of the same features")  # fmt: skip
    if not math.isclose(psi_p * V.shape[1], len(U), rel_tol=1e-9):
        raise ConfigError(
            "psi_p", got=psi_p, expected=f"p/d = {len(U) / V.shape[1]:g}", remedy="pass the p/d of U and V"
        )
    if not bool(torch.isfinite(U).all() and torch.isfinite(V).all()):
        raise ConfigError(
            "U, V", got="values that are not finite", expected="finite moments", remedy="check the activation"
        )
