"""Data of known laws: what is drawn, what is nested, what is refused."""

import pytest
import torch

from diffmem.data import Gaussian, SymmetricMixture
from diffmem.errors import ConfigError


def ready(data):
    data.setup()
    return data


def test_the_covariance_has_the_spectrum_that_was_asked_for():
    data = ready(Gaussian(n=4000, dimension=4, population=[[0.5, 0.5], [1.5, 0.5]], num_test=10))
    assert data.train_images.var(0).tolist() == pytest.approx([0.5, 0.5, 1.5, 1.5], rel=0.1)
    assert data.law.variances.tolist() == [0.5, 0.5, 1.5, 1.5]


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
        ({"population": [[1.0, 0.5]]}, r"data\.population"),
        ({"population": [[1.0]]}, r"data\.population"),
        ({"population": [[-1.0, 1.0]]}, r"data\.population"),
        ({"dimension": 5, "population": [[0.5, 0.5], [1.5, 0.5]]}, "population"),
    ],
)
def test_impossible_data_are_refused(arguments, key):
    with pytest.raises(ConfigError, match=key):
        Gaussian(**arguments)
