"""Closed-form scores against autograd, known limits and scipy's densities."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from diffmem import rng
from diffmem.diffusion import scores
from diffmem.diffusion.scores import GaussianMixture, empirical_law, gaussian, symmetric_mixture
from diffmem.errors import ConfigError


def points(num: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(num, dim, generator=rng.stream(seed, "test"), dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 5), st.integers(1, 4), st.floats(1e-3, 3), st.floats(0, 2), st.floats(1, 30), st.integers(0, 1000)
)
def test_score_is_the_gradient_of_the_log_density(num_means, dim, t, variance, reach, seed):
    law = GaussianMixture(reach * points(num_means, dim, seed), torch.full((dim,), variance))
    x = points(7, dim, seed + 1).requires_grad_()
    (gradient,) = torch.autograd.grad(law.log_density(x, t).sum(), x)
    assert torch.allclose(law.score(x.detach(), t), gradient, rtol=1e-8, atol=1e-8 * gradient.abs().max().item())


def test_log_density_is_scipys():
    law = GaussianMixture(points(3, 4), torch.tensor([0.5, 1.0, 2.0, 0.1]))
    t, x = 0.3, points(9, 4, 1)
    variances = math.exp(-2 * t) * law.variances + 1 - math.exp(-2 * t)
    components = [multivariate_normal(math.exp(-t) * mean, variances.diag()) for mean in law.means]
    expected = np.mean([component.pdf(x) for component in components], axis=0)
    assert law.log_density(x, t).exp().numpy() == pytest.approx(expected)


def test_gaussian_score_is_linear():
    variances, x = torch.tensor([0.5, 1.0, 1.5]), points(6, 3)
    expected = -x / (math.exp(-0.2) * variances + 1 - math.exp(-0.2))
    assert torch.allclose(gaussian(variances).score(x, 0.1), expected)


def test_mixture_score_is_the_hyperbolic_tangent():
    """∇log P_t = −x + e^{−t}μ tanh(e^{−t}μ·x) for components of unit variance."""
    mean, x, t = torch.ones(8).double(), points(20, 8), 0.2
    m = math.exp(-t) * mean
    assert torch.allclose(symmetric_mixture(mean).score(x, t), -x + m * torch.tanh(x @ m)[:, None])


@pytest.mark.parametrize("t", [1e-10, 1e-6, 1e-3])
def test_empirical_score_points_at_the_nearest_image_at_small_times(t):
    images = points(5, 6).reshape(5, 1, 2, 3)
    noise = points(5, 6, 1).reshape(5, 1, 2, 3)
    deviation = math.sqrt(-math.expm1(-2 * t))
    noised = math.exp(-t) * images + deviation * noise
    found = empirical_law(images).score(noised, t)
    assert found.shape == images.shape
    assert torch.allclose(found, -noise / deviation, rtol=1e-4)


def test_empirical_score_forgets_the_images_at_large_times():
    x = points(4, 3)
    assert torch.allclose(empirical_law(points(10, 3, 1)).score(x, 19.0), -x, atol=1e-7)


def test_empirical_score_of_float32_images_far_from_the_origin_is_exact():
    images = (points(50, 16) + 100).float()
    x = (math.exp(-0.001) * images[:10] + 0.04 * points(10, 16, 1)).float()
    differences = math.exp(-0.001) * images.double() - x.double()[:, None]
    variance = 1 - math.exp(-0.002)
    weights = torch.softmax(-differences.square().sum(2) / (2 * variance), dim=1)
    expected = (weights[:, :, None] * differences).sum(1) / variance
    assert torch.allclose(empirical_law(images).score(x, 0.001), expected, rtol=1e-6)


def test_chunks_do_not_show(monkeypatch):
    law, x = empirical_law(points(30, 4)), points(25, 4, 1)
    whole = law.score(x, 0.1), law.log_density(x, 0.1)
    monkeypatch.setattr(scores, "_CHUNK", 100)
    assert torch.allclose(law.score(x, 0.1), whole[0])
    assert torch.allclose(law.log_density(x, 0.1), whole[1])


def test_draws_have_the_moments_of_the_law():
    law = symmetric_mixture(torch.full((2,), 3.0))
    generator = rng.stream(0, "draws")
    drawn = torch.stack([law.draw(generator) for _ in range(4000)])
    assert (drawn.mean(1) > 0).float().mean() == pytest.approx(0.5, abs=0.03)
    assert (drawn.abs() - 3).std(0).tolist() == pytest.approx([1.0, 1.0], abs=0.05)


def test_what_has_no_density_is_refused():
    law = empirical_law(points(3, 2))
    for t in (0.0, -1.0):
        with pytest.raises(ConfigError, match="time t"):
            law.score(points(1, 2), t)
    with pytest.raises(ConfigError, match="shapes"):
        GaussianMixture(torch.zeros(2, 3), torch.ones(2))
    with pytest.raises(ConfigError, match="variances"):
        gaussian(torch.tensor([-1.0, 1.0]))
