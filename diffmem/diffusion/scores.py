"""Scores in closed form: of laws that are known, and of the training images themselves.

Every law here is a mixture of Gaussians with equal weights and one covariance. Diffused to time t it stays one, with
means e^{−t}μ_k and covariance e^{−2t}Σ + Δ_t I, Δ_t = 1 − e^{−2t}. One Gaussian has K = 1. The training images are n
means with Σ = 0; their score ∇log (1/n) Σ_ν N(x; e^{−t}x^ν, Δ_t I) is what a model of unlimited capacity learns.
"""

import math

import torch
from torch import Tensor

from diffmem.errors import ConfigError

_CHUNK = 1 << 22  # distances held at once


class GaussianMixture:
    """(1/K) Σ_k N(μ_k, Σ) on R^d, Σ diagonal.

    All results are float64 on the device of the points.

    Args:
        means: (K, d).
        variances: (d,), the diagonal of Σ; zeros for the K points themselves.

    Raises:
        ConfigError: Shapes that do not match, or a negative variance.
    """

    def __init__(self, means: Tensor, variances: Tensor) -> None:
        if means.ndim != 2 or variances.shape != means.shape[1:] or len(means) == 0:
            raise ConfigError(
                "means, variances",
                got=f"shapes {tuple(means.shape)}, {tuple(variances.shape)}",
                expected="(K, d) and (d,)",
                remedy="fix the law",
            )
        if not bool((variances >= 0).all()):
            raise ConfigError("variances", got=variances.min().item(), expected="0 or more", remedy="fix the law")
        self.means, self.variances = means.double(), variances.double()

    @property
    def dim(self) -> int:
        """Number d of dimensions."""
        return self.means.shape[1]

    def draw(self, generator: torch.Generator) -> Tensor:
        """One point, (d,) float32."""
        component = self.draw_component(generator)
        noise = torch.randn(self.dim, generator=generator, dtype=torch.float64)
        return (self.means[component] + self.variances.sqrt() * noise).float()

    def draw_component(self, generator: torch.Generator) -> int:
        """The component of the point that :meth:`draw` makes with a generator in the same state."""
        return int(torch.randint(len(self.means), (), generator=generator))

    def log_density(self, x: Tensor, t: float = 0.0) -> Tensor:
        """log P_t (N,) in nats of ``x`` (N, \\*); t = 0 is the law itself.

        Raises:
            ConfigError: ``t`` is negative, or 0 where a variance is 0.
        """
        means, deviations = self._at(x, t)
        constant = self.dim / 2 * math.log(2 * math.pi) + deviations.log().sum() + math.log(len(means))
        parts = [
            torch.logsumexp(_exponents(points / deviations, means / deviations), dim=1) - constant
            for points in self._blocks(x)
        ]
        return torch.cat(parts)

    def score(self, x: Tensor, t: float = 0.0) -> Tensor:
        """∇log P_t = Σ_k r_k(x) (e^{−t}μ_k − x)/(e^{−2t}Σ + Δ_t), r_k the responsibilities, shaped as ``x`` (N, \\*).

        Raises:
            ConfigError: As :meth:`log_density`.
        """
        means, deviations = self._at(x, t)
        parts = []
        for points in self._blocks(x):
            responsibilities = torch.softmax(_exponents(points / deviations, means / deviations), dim=1)
            parts.append((responsibilities @ means - points) / deviations.square())
        return torch.cat(parts).reshape(x.shape)

    def _at(self, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """Means (K, d) and standard deviations (d,) of P_t."""
        variances = math.exp(-2 * t) * self.variances - math.expm1(-2 * t)
        if t < 0 or not bool((variances > 0).all()):
            raise ConfigError("diffusion time t", got=t, expected="above 0", remedy="change it")
        return math.exp(-t) * self.means.to(x.device), variances.sqrt().to(x.device)

    def _blocks(self, x: Tensor) -> tuple[Tensor, ...]:
        """``x`` flattened to (N, d) float64, in chunks whose distances fit in memory."""
        return x.flatten(1).double().split(max(1, _CHUNK // len(self.means)))


def gaussian(variances: Tensor) -> GaussianMixture:
    """N(0, diag(variances)), variances (d,)."""
    return GaussianMixture(torch.zeros(1, len(variances)), variances)


def symmetric_mixture(mean: Tensor) -> GaussianMixture:
    """½N(μ, I) + ½N(−μ, I), μ = mean (d,): the paper's mixture has μ = (1, …, 1)."""
    return GaussianMixture(torch.stack([mean, -mean]), torch.ones(len(mean)))


def empirical_law(points: Tensor) -> GaussianMixture:
    """(1/n) Σ_ν δ(x − x^ν) of ``points`` (n, \\*), whose score at t > 0 is the empirical score."""
    means = points.flatten(1)
    return GaussianMixture(means, torch.zeros(means.shape[1]))


def _exponents(x: Tensor, means: Tensor) -> Tensor:
    """−‖x − μ_k‖²/2, (N, K)."""
    return x @ means.T - x.square().sum(1, keepdim=True) / 2 - means.square().sum(1) / 2
