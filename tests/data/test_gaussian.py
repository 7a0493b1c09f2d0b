"""Data of known laws: what is drawn, what is nested, what is refused."""

import pytest
import torch

from diffmem.data import Digits, Gaussian, GaussianDigits, SymmetricMixture
from diffmem.errors import ConfigError


def ready(data):
    data.setup()
    return data


def test_the_covariance_has_the_spectrum_that_was_asked_for():
    data = ready(Gaussian(n=4000, dimension=4, population=[[0.5, 0.5], [1.5, 0.5]], num_test=10))
    assert data.train_images.var(0).tolist() == pytest.approx([0.5, 0.5, 1.5, 1.5], rel=0.1)
    assert data.law.variances.tolist() == [0.5, 0.5, 1.5, 1.5]


def test_a_power_law_keeps_the_trace_and_a_subspace_holds_all_points():
    variances = Gaussian(n=2, dimension=16, population=[[0.5, 1.0]], decay=1.5).law.variances
    assert variances.sum().item() == pytest.approx(8)
    ranks = torch.arange(1, 17, dtype=torch.float64)
    assert torch.allclose(variances / variances[0], ranks**-1.5)
    data = ready(Gaussian(n=300, dimension=8, population=[[2.0, 0.25], [0.0, 0.75]], num_test=5))
    assert data.train_images[:, 2:].abs().max() == 0
    assert data.train_images[:, :2].var(0).tolist() == pytest.approx([2, 2], rel=0.3)


def test_gaussian_digits_have_the_covariance_of_the_digits_up_to_a_rotation():
    digits = ready(Digits(n=1000, num_test=797, pixel_scale=2.0))
    pixels = torch.cat([digits.train_images, digits.test_images]).flatten(1).double()
    law = GaussianDigits(n=2).law
    assert law.variances.sum().item() == pytest.approx(pixels.var(0).sum().item(), rel=1e-4)
    assert law.variances.max().item() == pytest.approx(torch.linalg.eigvalsh(pixels.T.cov())[-1].item(), rel=1e-4)
    small = GaussianDigits(n=2, pixel_scale=1.0).law
    assert torch.allclose(law.variances, 4 * small.variances)


def test_nothing_is_centred():
    data = ready(SymmetricMixture(n=50, num_test=5))
    assert torch.equal(data.mean, torch.zeros(8))
    assert torch.equal(data.train_images, data.draw("train", range(50)))
    assert torch.equal(data.to_unit(data.train_images), data.train_images)
    assert data.train_images.mean(0).abs().max() > 0.01


def test_subsets_are_nested_in_n_and_disjoint_in_index_and_from_the_test_points():
    small, large = ready(Gaussian(n=8, dimension=3)), ready(Gaussian(n=20, dimension=3))
    assert torch.equal(small.train_images, large.train_images[:8])
    second = ready(Gaussian(n=8, index=1, dimension=3))
    assert torch.equal(second.train_images, large.train_images[8:16])
    points = torch.cat([small.train_images, second.train_images, small.test_images])
    assert len(torch.unique(points, dim=0)) == len(points)


def test_the_points_follow_their_own_seed_alone():
    reference = ready(Gaussian(n=5, dimension=3, num_test=2))
    assert torch.equal(ready(Gaussian(n=5, dimension=3, num_test=2, seed=7)).train_images, reference.train_images)
    other = ready(Gaussian(n=5, dimension=3, num_test=2, draw_seed=1))
    assert not torch.equal(other.train_images, reference.train_images)
    assert other.fingerprint()["sha256"] != reference.fingerprint()["sha256"]


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"n": 1}, r"data\.n"),
        ({"dimension": 0}, r"data\.dimension"),
        ({"dimension": 10**13}, r"data\.dimension: got 1\d+, which takes at least"),
        ({"population": [[1.0, 0.5]]}, r"data\.population"),
        ({"population": [[1.0]]}, r"data\.population"),
        ({"population": []}, r"data\.population"),
        ({"population": [[float("inf"), 1.0]]}, r"data\.population"),
        ({"population": [[-1.0, 1.0]]}, r"data\.population"),
        ({"population": [[float("inf"), 1.0]]}, r"data\.population"),
        ({"population": [[0.0, 1.0]]}, r"data\.population"),
        ({"decay": -1.0}, r"data\.decay"),
        ({"dimension": 5, "population": [[0.5, 0.5], [1.5, 0.5]]}, "population"),
    ],
)
def test_impossible_data_are_refused(arguments, key):
    with pytest.raises(ConfigError, match=key):
        Gaussian(**arguments)


@pytest.mark.parametrize("key", ["n", "num_test", "batch_size"])
def test_more_points_than_memory_are_refused_before_any_is_drawn(key):
    data = Gaussian(**{key: 10**13}, batch_mode="fixed")
    with pytest.raises(ConfigError, match=rf"data\.{key}: got 1\d+, which takes at least .* of memory"):
        data.check()
