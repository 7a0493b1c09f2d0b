"""Gaussian averages of the activation that enter the random-feature theory (arXiv 2505.17638, section 3)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from diffmem.errors import ConfigError
from diffmem.networks.random_features import Activation, resolve_activation

Array = NDArray[np.float64]

_CUTOFF = 13.0  # standard deviations; the Gaussian weight beyond is below 1e-37
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


@dataclass(frozen=True)
class ActivationConstants:
    """With u, v, w independent N(0, 1), Δ = 1 − e^{−2t}, Γ² = e^{−2t}σ_x² + Δ and h(u, v) = σ(e^{−t}σ_x u + √Δ v):

    Attributes:
        a: E[h(u, v) u] / (e^{−t}σ_x), the response to the image.
        b: E[h(u, v) v] = √Δ a, the response to the noise.
        v2: E[h(u, v) h(u, w)] − a² e^{−2t}σ_x², what else a noised image has of its own.
        s2: E[σ(Γu)²] − a² e^{−2t}σ_x² − v2 − b², what is left; U has a point mass there.
        mu1: E[σ(Γu) u] = Γ a.
        norm2: E[σ(Γu)²].
        delta: Δ.
        gamma: Γ.
    """

    a: float
    b: float
    v2: float
    s2: float
    mu1: float
    norm2: float
    delta: float
    gamma: float


def noise_variance(t: float) -> float:
    """Δ_t = 1 − e^{−2t}.

    Raises:
        ConfigError: ``t`` is not in (0, 20]; at 20 nothing of the image is left.
    """
    if not 0 < t <= 20:
        raise ConfigError("t", got=t, expected="a diffusion time in (0, 20]", remedy="set t, e.g. 0.01 or 0.1")
    return -math.expm1(-2 * t)


def activation_constants(
    t: float, sigma_x: float = 1.0, activation: str | Activation = "tanh", kinks: Sequence[float] = (0.0,)
) -> ActivationConstants:
    """Constants of ``activation`` at diffusion time ``t``, to 1e-12 for σ_x up to 5 and 1e-8 at 10.

    Composite Gauss–Legendre quadrature whose panels end at the kinks, so ReLU converges as fast as tanh.

    Args:
        t: Diffusion time in (0, 20].
        sigma_x: Standard deviation σ_x of the data, √(Tr Σ/d).
        activation: A name (``"relu"`` is centred at Γ_t) or an elementwise function of a float64 tensor.
        kinks: Where ``activation`` is not smooth.

    Raises:
        ConfigError: ``t`` is not in (0, 20], ``sigma_x`` is not above 0, the activation is unknown or
            not finite, or its mean E σ(Γu) is not 0, for which the theory has no term.
    """
    noise_variance(t)
    if not (0 < sigma_x < math.inf):
        raise ConfigError("sigma_x", got=sigma_x, expected="above 0", remedy="give the data's standard deviation")
    return _constants(float(t), float(sigma_x), activation, tuple(kinks))


@lru_cache(maxsize=64)
def _constants(t: float, sigma_x: float, activation: str | Activation, kinks: tuple[float, ...]) -> ActivationConstants:
    delta = noise_variance(t)
    signal, noise = math.exp(-t) * sigma_x, math.sqrt(delta)
    gamma = math.hypot(signal, noise)
    function = resolve_activation(activation, gamma)

    def sigma(x: Array) -> Array:
        return function(torch.from_numpy(x)).numpy()

    u, weight = gaussian_rule(np.sort(np.array(kinks) / gamma)[None])
    values = sigma(gamma * u)
    mean, mu1, norm2 = (float((weight * moment).sum()) for moment in (values, values * u, values**2))
    if not abs(mean) <= 1e-9 * max(1.0, math.sqrt(norm2)):
        raise ConfigError("activation", got=f"mean {mean:.3g} under N(0, {gamma:.4g}²)", expected="mean 0",
                          remedy="subtract the mean from the activation")  # fmt: skip

    # E[h(u, v) h(u, w)] = E_u g(u)² with g(u) = E_v h(u, v): smooth, but on the scale noise/signal around a kink.
    centers = np.array(kinks) / signal
    reach = np.array([-8.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 8.0]) * noise / signal
    outer, outer_weight = gaussian_rule(np.sort((centers[:, None] + reach).ravel())[None])
    inner, inner_weight = gaussian_rule(np.sort((np.array(kinks) - signal * outer.T) / noise, axis=1))
    smoothed = (inner_weight * sigma(signal * outer.T + noise * inner)).sum(axis=1)
    correlation = float((outer_weight[0] * smoothed**2).sum())

    a = mu1 / gamma
    v2 = correlation - a**2 * signal**2
    return ActivationConstants(
        a=a, b=noise * a, v2=v2, s2=norm2 - correlation - a**2 * delta, mu1=mu1, norm2=norm2, delta=delta, gamma=gamma
    )  # fmt: skip


def gaussian_rule(breaks: Array) -> tuple[Array, Array]:
    """Nodes and weights (R, N) of E f(u), u ~ N(0, 1), for f smooth between the ascending ``breaks`` (R, K)."""
    ends = np.full((len(breaks), 1), _CUTOFF)
    edges = np.concatenate([-ends, np.clip(breaks, -_CUTOFF, _CUTOFF), ends], axis=1)
    parts = np.linspace(0.0, 1.0, 9)
    panels = edges[:, :-1, None] + (edges[:, 1:] - edges[:, :-1])[:, :, None] * parts
    left, right = panels[..., :-1].reshape(len(breaks), -1, 1), panels[..., 1:].reshape(len(breaks), -1, 1)
    half = (right - left) / 2
    nodes = ((left + right) / 2 + half * _NODES).reshape(len(breaks), -1)
    weights = (half * _WEIGHTS).reshape(len(breaks), -1)
    return nodes, weights * np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
