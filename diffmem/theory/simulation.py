"""Finite-size matrices of the random-feature model, to set beside the theory (arXiv 2505.17638, section 3).

U = E[φφᵀ] and V = E[φξᵀ] average over the noise ξ exactly: given an image, two preactivations are jointly Gaussian with
correlation R_ij = w_i·w_j/(|w_i||w_j|), so E_ξ[φ_i φ_j] = Σ_k c_k(i) c_k(j) R_ij^k/k! with the Hermite coefficients
c_k = E_v[σ(m + s v) He_k(v)] (Mehler's formula).
"""

import math

import numpy as np
import torch
from torch import Tensor

from diffmem.errors import ConfigError
from diffmem.networks.random_features import Activation, resolve_activation
from diffmem.rng import stream
from diffmem.theory.constants import activation_constants, gaussian_rule, noise_variance
from diffmem.theory.dynamics import PopulationMoments
from diffmem.theory.saddle_point import Population

_NOISE_NODES = 32
_MAX_DEGREE = 24
_SERIES_TOLERANCE = 1e-5
_SAMPLE = 64  # rows that settle where the series ends
_CHUNK = 1 << 24  # numbers held at once while averaging over the noise


def feature_weights(num_features: int, dim: int, seed: int) -> Tensor:
    """W (p, d) float64 of independent N(0, 1), the frozen layer."""
    return torch.randn(num_features, dim, generator=stream(seed, "theory.W"), dtype=torch.float64)


def gaussian_images(num_images: int, covariance: Tensor, seed: int) -> Tensor:
    """X (n, d) float64, rows from N(0, diag(covariance)), covariance (d,)."""
    noise = torch.randn(num_images, len(covariance), generator=stream(seed, "theory.X"), dtype=torch.float64)
    return noise * covariance.sqrt()


def diagonal_covariance(dim: int, population: Population) -> Tensor:
    """(d,) eigenvalues of Σ in the proportions of ``population``.

    Raises:
        ConfigError: d is too small to hold each eigenvalue in its proportion.
    """
    counts = [weight * dim for _, weight in population]
    if any(abs(count - round(count)) > 1e-6 for count in counts):
        raise ConfigError("population", got=f"weights {[weight for _, weight in population]} at d = {dim}",
                          expected="a whole number of dimensions each", remedy="change d")  # fmt: skip
    return torch.cat([
        torch.full((round(count),), float(value), dtype=torch.float64)
        for (value, _), count in zip(population, counts, strict=True)
    ])  # fmt: skip


def equivalent_eigenvalues(
    W: Tensor, X: Tensor, covariance: Tensor, t: float, activation: str | Activation = "tanh", seed: int = 0
) -> Tensor:
    """Eigenvalues (p,), ascending, of the Gaussian equivalent GGᵀ/n + b²WWᵀ/d + s²I of U, G = e^{−t}a WXᵀ/√d + vΩ.

    U − s²I = FFᵀ with F = (G/√n, bW/√d), so the smaller of FFᵀ and FᵀF is diagonalized.

    Args:
        W: (p, d).
        X: (n, d) images from N(0, diag(covariance)).
        covariance: (d,) eigenvalues of Σ.
        t: Diffusion time.
        activation: As in :func:`diffmem.theory.constants.activation_constants`.
        seed: Of Ω (p, n).

    Raises:
        ConfigError: ``t`` or the activation is not usable.
    """
    num_features, dim = W.shape
    constants = activation_constants(t, math.sqrt(float(covariance.mean())), activation)
    omega = torch.randn(num_features, len(X), generator=stream(seed, "theory.Omega"), dtype=W.dtype)
    G = math.exp(-t) * constants.a / math.sqrt(dim) * W @ X.T.to(W) + math.sqrt(constants.v2) * omega
    F = torch.cat([G / math.sqrt(len(X)), constants.b / math.sqrt(dim) * W], dim=1)
    gram = F.T @ F if F.shape[1] < num_features else F @ F.T
    rest = torch.zeros(num_features - len(gram), dtype=W.dtype)
    return torch.cat([rest, torch.linalg.eigvalsh(gram)]) + constants.s2


def training_moments(
    W: Tensor, X: Tensor, t: float, activation: str | Activation = "tanh", sigma_x: float = 1.0
) -> tuple[Tensor, Tensor]:
    """U (p, p) and V (p, d) of the training images, averaged over all noise.

    The average over the noise of one preactivation takes 32 Gauss–Hermite nodes: exact to 1e-7 for tanh and erf, while
    for a kinked activation such as ReLU it stands for a noise of 32 values.

    Args:
        W: (p, d); its dtype and device are those of the result (float32 is twice as fast, errors about 1e-6).
        X: (n, d) training images.
        t: Diffusion time.
        activation: A name or an elementwise function.
        sigma_x: σ_x of the images' law, at which ``"relu"`` is centred.

    Raises:
        ConfigError: ``t`` or the activation is not usable.
    """
    dim = W.shape[1]
    X = X.to(W)
    norm = W.norm(dim=1)
    spread = math.sqrt(noise_variance(t) / dim) * norm
    function = resolve_activation(activation, math.sqrt(math.exp(-2 * t) * sigma_x**2 + noise_variance(t)))
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NOISE_NODES)
    means = math.exp(-t) / math.sqrt(dim) * X @ W.T
    direction = W / norm[:, None]
    R = direction @ direction.T

    sample = _hermite(function, means[:_SAMPLE], spread, nodes, weights, _MAX_DEGREE)[0]
    degree = _degree(sample, R)
    coefficients, second = _hermite(function, means, spread, nodes, weights, degree)
    return _mehler(coefficients, second, R), coefficients[1].mean(0)[:, None] * direction


def population_moments(
    W: Tensor, covariance: Tensor, t: float, activation: str | Activation = "tanh"
) -> PopulationMoments:
    """Ũ, Ṽ over images from N(0, Σ), exactly at this W, with (1/d) E‖∇log P_t‖² = Tr Σ_t⁻¹/d.

    To leading order Ṽ = μ₁√Δ/Γ W/√d and Ũ = μ₁²/Γ² WΣ_tWᵀ/d + (‖σ‖² − μ₁²) I.

    Args:
        W: (p, d); its dtype and device are those of the result.
        covariance: (d,) eigenvalues of Σ.
        t: Diffusion time.
        activation: A name or an elementwise function, kinked at 0 at most.

    Raises:
        ConfigError: ``t`` or the activation is not usable.
    """
    dim = W.shape[1]
    delta = noise_variance(t)
    noised = (math.exp(-2 * t) * covariance + delta).to(W)
    function = resolve_activation(activation, math.sqrt(float(noised.mean())))
    scaled = W * (noised / dim).sqrt()
    spread = scaled.norm(dim=1)
    direction = scaled / spread[:, None]
    R = direction @ direction.T
    nodes, weights = gaussian_rule(np.zeros((1, 1)))
    coefficients, second = _hermite(function, torch.zeros_like(spread)[None], spread, nodes[0], weights[0], _MAX_DEGREE)
    U = _mehler(coefficients[: _degree(coefficients, R) + 1], second, R)
    V = math.sqrt(delta / dim) * (coefficients[1, 0] / spread)[:, None] * W
    return PopulationMoments(U, V, float((1 / noised).mean()))


def _hermite(
    function: Activation, means: Tensor, spread: Tensor, nodes: np.ndarray, weights: np.ndarray, degree: int
) -> tuple[Tensor, Tensor]:
    """c_k (degree + 1, n, p) of σ(means (n, p) + spread (p,) v), and E σ² averaged over n, (p,)."""
    weights = weights / weights.sum()
    basis = torch.from_numpy(np.polynomial.hermite_e.hermevander(nodes, degree).T * weights).to(means)
    v, w = torch.from_numpy(nodes).to(means), torch.from_numpy(weights).to(means)
    coefficients = means.new_empty(degree + 1, *means.shape)
    second = torch.zeros_like(spread)
    rows = max(1, _CHUNK // (len(nodes) * means.shape[1]))
    for start in range(0, len(means), rows):
        chunk = means[start : start + rows]
        values = function(chunk + v[:, None, None] * spread)
        coefficients[:, start : start + rows] = torch.tensordot(basis, values, dims=1)
        second += torch.einsum("v,vnp->p", w, values.square_())
    return coefficients, second / len(means)


def _degree(coefficients: Tensor, R: Tensor) -> int:
    """Last term of Mehler's series that moves the eigenvalues by more than 1e-5 E σ² in root mean square."""
    power = coefficients.square().mean(dim=(1, 2)).double()
    correlation = R[:_SAMPLE].abs().double()
    correlation.diagonal().zero_()
    enough = 1
    for k in range(2, len(power)):
        shift = float(power[k]) / math.factorial(k) * math.sqrt(float(correlation.pow(2 * k).mean()) * len(R))
        if shift > _SERIES_TOLERANCE * float(power[0] + power[1]):
            enough = k
    return enough


def _mehler(coefficients: Tensor, second: Tensor, R: Tensor) -> Tensor:
    """Σ_k C_kᵀC_k/n ∘ R^k/k!, with the exact diagonal."""
    num = coefficients.shape[1]
    U = torch.zeros_like(R)
    power = torch.ones_like(R)
    for k, C in enumerate(coefficients):
        U.addcmul_(C.T @ C, power, value=1 / (num * math.factorial(k)))
        power.mul_(R)
    U.diagonal().copy_(second)
    return U
