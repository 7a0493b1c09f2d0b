"""Which training images are copied, and how many more would be with more samples."""

import torch
from torch import Tensor
from torchmetrics import Metric

from diffmem.metrics.memorization import is_memorized


def copies_of_images(distances: Tensor, indices: Tensor, num_images: int, threshold: float = 1 / 3) -> Tensor:
    """How often each of the training images is copied, (num_images,) int64.

    A sample that is memorized by the rule of :func:`diffmem.metrics.memorization.is_memorized` is a copy of its nearest
    image.

    Args:
        distances: (N, ≥ 2) ascending, of the samples to their nearest training images.
        indices: (N, ≥ 1), which images those are.
        num_images: Number n of training images.
        threshold: As in :mod:`diffmem.metrics.memorization`.
    """
    return indices[is_memorized(distances, threshold), 0].bincount(minlength=num_images)


def share_of_top(counts: Tensor, share: float = 0.1) -> float | None:
    """Share of all copies that the most copied ``share`` of the images holds; None without copies.

    ``share`` where all images are copied alike, up to the rounding of a tenth of them to whole images (at least one); 1
    where no more than that are copied at all.
    """
    total = counts.sum().item()
    if total == 0:
        return None
    return counts.sort(descending=True).values[: max(1, round(share * len(counts)))].sum().item() / total


def chao1(counts: Tensor) -> float:
    """Estimate of the number of images that would be copied with ever more samples (Chao 1984, bias-corrected form).

    S + (m − 1)/m · f₁(f₁ − 1)/(2(f₂ + 1)), with S images copied, m copies, and f₁ and f₂ images copied once and twice:
    a lower bound in expectation, whatever the images' probabilities, of how many have one.

    Args:
        counts: Copies of each image, (n,).
    """
    seen, total = (counts > 0).sum().item(), counts.sum().item()
    once, twice = (counts == 1).sum().item(), (counts == 2).sum().item()
    return seen + (total - 1) / total * once * (once - 1) / (2 * (twice + 1)) if total else 0.0


class CopiesOfImages(Metric):
    """:func:`copies_of_images` as a metric that merges over ranks.

    Args:
        num_images: Number n of training images.
        threshold: Largest ratio of the two distances that counts as memorized.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self, num_images: int, threshold: float = 1 / 3) -> None:
        super().__init__()
        self.threshold = threshold
        self.add_state("counts", torch.zeros(num_images, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, distances: Tensor, indices: Tensor) -> None:
        """Count samples by their neighbours, both (N, ≥ 2)."""
        self.counts += copies_of_images(distances, indices, len(self.counts), self.threshold)

    def compute(self) -> Tensor:
        """Copies of each image, (n,) int64."""
        return self.counts
