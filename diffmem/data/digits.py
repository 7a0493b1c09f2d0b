"""scikit-learn's 1,797 handwritten digits, 8×8 (UCI, Alpaydin and Kaynak 1998): real images without a download."""

import numpy as np

from diffmem.data.images import ImageData


class Digits(ImageData):
    """Subsets of the digits; see :class:`diffmem.data.images.ImageData` for the arguments."""

    def load_images(self) -> np.ndarray:
        return load_digits_images()

    def load_labels(self) -> np.ndarray:
        from sklearn.datasets import load_digits

        return load_digits().target


def load_digits_images() -> np.ndarray:
    """All 1,797 digits, (1797, 1, 8, 8) float32 in [0, 1]."""
    from sklearn.datasets import load_digits  # slow to import, and other data do without

    return (load_digits().images[:, None] / 16).astype(np.float32)
