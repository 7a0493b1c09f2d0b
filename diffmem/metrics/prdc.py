"""Precision, recall, density and coverage: quality and diversity of samples apart.

A real or generated set stands for the region that the balls around its points cover, a ball reaching to the point's
k-th nearest other point of its set.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from diffmem.errors import ConfigError, require_at_least
from diffmem.metrics.memorization import nearest_neighbors

_BLOCK = 1024


class PRDC(NamedTuple):
    """Quality and diversity.

    Attributes:
        precision: Share of the samples in a ball of a real image (Kynkäänniemi et al. 2019, arXiv 1904.06991).
        recall: Share of the real images in a ball of a sample (the same).
        density: Mean number of real balls that hold a sample, over k (Naeem et al. 2020, arXiv 2002.09797).
        coverage: Share of the real images whose ball holds a sample (the same).
    """

    precision: float
    recall: float
    density: float
    coverage: float


def radii(points: Tensor, k: int) -> Tensor:
    """Distance of each of the points (N, \\*) to its k-th nearest other one, (N,) float64.

    Raises:
        ConfigError: ``k`` below 1, or fewer than k + 1 points.
    """
    require_at_least(1, k=k)
    if len(points) <= k:
        raise ConfigError("k", got=k, expected=f"below the {len(points)} points", remedy="lower k or take more points")
    return nearest_neighbors(points, points, k + 1)[0][:, k]


def prdc(real: Tensor, fake: Tensor, k: int = 5) -> PRDC:
    """Precision, recall, density and coverage of ``fake`` (M, \\*) with respect to ``real`` (N, \\*), N, M > k.

    Distances in float64. Values of other N, M or k cannot be compared.

    Raises:
        ConfigError: ``k`` below 1, too few points, or points of different shapes.
    """
    real, fake = real.flatten(1).double(), fake.flatten(1).double()
    of_real, of_fake = radii(real, k), radii(fake, k)
    holds_real = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered, held_by = holds_real.clone(), []
    for block, reach in zip(fake.split(_BLOCK), of_fake.split(_BLOCK), strict=True):
        distances = torch.cdist(block, real, compute_mode="donot_use_mm_for_euclid_dist")
        inside = distances < of_real
        held_by.append(inside.sum(1))
        covered |= inside.any(0)
        holds_real |= (distances < reach[:, None]).any(0)
    count = torch.cat(held_by).double()
    return PRDC(
        precision=(count > 0).double().mean().item(),
        recall=holds_real.double().mean().item(),
        density=count.mean().item() / k,
        coverage=covered.double().mean().item(),
    )
