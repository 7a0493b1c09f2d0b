"""Kernel distance between two feature sets (KID when they are Inception's)."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.image.kid import poly_mmd

from diffmem.errors import ConfigError
from diffmem.rng import stream


def kernel_distance(
    features: Tensor, reference: Tensor, seed: int, num_subsets: int = 100, subset_size: int = 1000
) -> float:
    """Unbiased squared MMD, mean over subsets, with the kernel (x·y/D + 1)³ in float64 (arXiv 1801.01401).

    Each subset is drawn without replacement from both sets by a stream of its own, so the value depends on the
    features, their order and ``seed`` alone.

    Args:
        features: (N, D), in the order of the sample numbers.
        reference: (M, D).
        seed: Seed of the subsets.
        num_subsets: Number of subsets.
        subset_size: Samples in a subset, at most min(N, M).

    Raises:
        ConfigError: A set is smaller than a subset, the dimensions differ, or a number is impossible.
    """
    if features.ndim != 2 or reference.ndim != 2 or features.shape[1] != reference.shape[1]:
        raise ConfigError(
            "features",
            got=f"shapes {tuple(features.shape)} and {tuple(reference.shape)}",
            expected="(N, D) and (M, D)",
            remedy="compare features of one space",
        )
    fewest = min(len(features), len(reference))
    if not 2 <= subset_size <= fewest:
        raise ConfigError(
            "subset_size",
            got=subset_size,
            expected=f"2 to {fewest}, the smaller of the two sets",
            remedy="use a smaller subset or more samples",
        )
    if num_subsets < 1:
        raise ConfigError("num_subsets", got=num_subsets, expected="at least 1", remedy="the usual value is 100")
    values = []
    for subset in range(num_subsets):
        generator = stream(seed, "kernel_distance", subset)
        chosen, others = (
            each[torch.randperm(len(each), generator=generator)[:subset_size].to(each.device)].double()
            for each in (features, reference)
        )
        values.append(poly_mmd(others, chosen))
    return float(torch.stack(values).mean())
