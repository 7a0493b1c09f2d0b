"""Nearest images where each comes in several versions, as augmentation makes them."""

import torch
from torch import Tensor

from diffmem.metrics.memorization import nearest_neighbors


def nearest_over_versions(samples: Tensor, versions: Tensor, k: int = 2) -> tuple[Tensor, Tensor]:
    """The ``k`` nearest images of each sample in L2, the distance to an image being that to its nearest version.

    So a copy of any version is a copy, and two versions of one image are not taken for its first and second neighbour.

    Args:
        samples: (N, \\*), finite.
        versions: (V, n, \\*), the V versions of n ≥ k images, on the same device.
        k: Number of neighbours.

    Returns:
        distances (N, k) float64 ascending, indices (N, k) int64 of the images.

    Raises:
        ConfigError: As :func:`~diffmem.metrics.memorization.nearest_neighbors`.
    """
    found = [nearest_neighbors(samples, images, k) for images in versions]
    if len(found) == 1:
        return found[0]
    # the k nearest of all are among the k nearest in their own best version
    distances, order = torch.cat([each for each, _ in found], dim=1).sort(1)
    indices = torch.cat([each for _, each in found], dim=1).gather(1, order)
    seen_before = (indices[:, :, None] == indices[:, None, :]).tril(-1).any(2)
    distances, place = distances.masked_fill(seen_before, torch.inf).topk(k, largest=False)
    return distances, indices.gather(1, place)
