"""Random flips and shifts of training images."""

import torch
from torch import Tensor

from diffmem import rng
from diffmem.errors import require_at_least


class Augmentation:
    """The versions of an image: itself, mirrored left to right, and moved by whole pixels; borders repeat.

    Every version is equally likely. Which one an image of a batch takes depends on the seed, the number of the batch
    and the place in the global batch alone.

    Args:
        flip: Whether images are mirrored.
        shift: Largest move along each axis, in pixels.

    Raises:
        ConfigError: A negative shift.
    """

    def __init__(self, flip: bool = False, shift: int = 0) -> None:
        require_at_least(0, "data", shift=shift)
        self.flip, self.shift = flip, shift

    @property
    def num_versions(self) -> int:
        """Number V of versions of an image; 1 without augmentation."""
        return (1 + self.flip) * (2 * self.shift + 1) ** 2

    def draw(self, seed: int, number: int, size: int) -> Tensor:
        """Versions (size,) int64 of the images of global batch ``number``, on the CPU."""
        return torch.randint(self.num_versions, (size,), generator=rng.stream(seed, "augmentation", number))

    def apply(self, images: Tensor, version: Tensor) -> Tensor:
        """``images`` (B, C, H, W), each in its ``version`` (B,), on the same device."""
        moves = 2 * self.shift + 1
        row_move, column_move = version // moves % moves - self.shift, version % moves - self.shift
        height, width = images.shape[2:]
        y = (torch.arange(height, device=version.device) - row_move[:, None]).clamp(0, height - 1)
        x = (torch.arange(width, device=version.device) - column_move[:, None]).clamp(0, width - 1)
        x = torch.where(version[:, None] // moves**2 == 1, width - 1 - x, x)
        batch = torch.arange(len(images), device=version.device)[:, None, None]
        return images.permute(0, 2, 3, 1)[batch, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)

    def versions(self, images: Tensor) -> Tensor:
        """All versions of ``images`` (n, C, H, W), (V, n, C, H, W)."""
        each = (torch.full((len(images),), k, device=images.device) for k in range(self.num_versions))
        return torch.stack([self.apply(images, version) for version in each])
