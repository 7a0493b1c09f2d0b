import numpy as np
import pytest

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
