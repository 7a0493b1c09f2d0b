"""Disjoint patches of the two photographs that come with scikit-learn: natural statistics without a download."""

from typing import Any

import numpy as np
from einops import rearrange

from diffmem.data.images import ImageData
from diffmem.errors import ConfigError, require_at_least

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's


class Patches(ImageData):
    """Subsets of the patches in a seeded order: 8,480 at 8×8, 2,080 at 16×16, 520 at 32×32.

    The photographs are cut from their upper left corner; what is left over at the other sides is not used. Patches of
    the held-out images touch training patches, and many show the same roof, petal or sky: they are less independent
    than photographs of different scenes.

    Args:
        size: Height and width of a patch, in pixels.
        rgb: Colours, or else their luma.
        **subset: See :class:`diffmem.data.images.ImageData`.

    Raises:
        ConfigError: A size below 1, or as there.
        DataError: Patches so large that too few are left beside the held-out ones.
    """

    def __init__(self, size: int = 8, rgb: bool = False, **subset: Any) -> None:
        super().__init__(**subset)
        require_at_least(1, "data", size=size)
        self.size, self.rgb = size, rgb

    def load_images(self) -> np.ndarray:
        from sklearn.datasets import load_sample_images  # slow to import, and other data do without

        patches = [self._cut(photograph) for photograph in load_sample_images().images]
        return np.concatenate(patches)

    def _cut(self, photograph: np.ndarray) -> np.ndarray:
        """The patches of one photograph (H, W, 3) uint8, row by row, (N, C, size, size) uint8."""
        down, across = (length // self.size for length in photograph.shape[:2])
        if not down * across:
            height, width = photograph.shape[:2]
            raise ConfigError(
                "data.size",
                got=self.size,
                expected=f"at most {min(height, width)}, a side of the photographs",
                remedy="lower --data.size",
            )
        whole = photograph[: down * self.size, : across * self.size]
        if not self.rgb:
            whole = np.rint(whole @ _LUMA)[..., None].astype(np.uint8)
        return rearrange(whole, "(down h) (across w) c -> (down across) c h w", h=self.size, w=self.size)
