import numpy as np
import pytest
import scipy.linalg
from hand_made import snapshot

from diffmem.callbacks import Frechet
from diffmem.data.images import ImageData
from diffmem.errors import ConfigError


class Large(ImageData):
    def load_images(self):
        return np.zeros((20, 3, 40, 40), np.uint8)


def test_images_whose_covariance_is_too_large_are_refused_before_a_run():
    data = Large(n=2, num_test=4)
    with pytest.raises(ConfigError, match=r"4800 values.*--frechet\.features=null"):
        Frechet().check(data, 10, None)


def test_the_distance_can_be_switched_off():
    callback = Frechet(features=None)
    callback.check(Large(n=2, num_test=4), 10, None)
    assert callback.measure(None) == {}


def wasserstein(a, b):
    """Squared distance of the Gaussians of two sets, Heusel et al. 2017, eq. 6."""
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)


def test_columns_are_distances_to_the_held_out_images_in_unit_pixels():
    generator = np.random.default_rng(0)
    samples, train, test = (generator.normal(at, width, (30, 1, 1, 2)) for at, width in ((0, 1), (2, 3), (5, 0.5)))
    columns = Frechet().measure(snapshot(samples, train, test, mean=7.0))
    samples, train, test = (each.reshape(30, 2) + 7.0 for each in (samples, train, test))
    assert columns["frechet_pixels"] == pytest.approx(wasserstein(samples, test), rel=1e-5)
    assert columns["frechet_pixels_train"] == pytest.approx(wasserstein(train, test), rel=1e-5)
    without = [wasserstein(np.delete(samples, np.s_[group::10], axis=0), test) for group in range(10)]
    assert columns["frechet_pixels_std"] == pytest.approx((9 * np.var(without)) ** 0.5, rel=1e-4)


def test_too_few_samples_have_no_error():
    points = np.random.default_rng(0).normal(size=(19, 1, 1, 2))
    assert Frechet().measure(snapshot(points, points, points))["frechet_pixels_std"] is None
