"""Agreement of two models trained on disjoint images and sampled from the same noise.

Models that generalize make nearly the same image of the same noise, though they share no training image; models that
copy make different ones, each an image of its own set (Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024,
arXiv 2310.02557, section 2).
"""

from typing import NamedTuple

from torch import Tensor

from diffmem.errors import ConfigError
from diffmem.metrics.memorization import nearest_neighbors


class Agreement(NamedTuple):
    """Of each pair of samples, (N,) float64.

    Attributes:
        correlation: Correlation of the two samples, as deviations from a fixed mean image.
        distance: L2 distance of the two samples.
        train_correlation: Correlation of a sample with its own model's nearest training image, mean of the pair.
        train_distance: Its distance, mean of the pair.
    """

    correlation: Tensor
    distance: Tensor
    train_correlation: Tensor
    train_distance: Tensor


def twin_agreement(
    samples: tuple[Tensor, Tensor], trains: tuple[Tensor, Tensor], mean: Tensor
) -> tuple[Agreement, tuple[Tensor, Tensor]]:
    """Agreement of two models' samples, beside that of each with its own training images.

    Args:
        samples: Of each model, (N, \\*); row i of both from the same noise, in the same units.
        trains: Training images of each model, (n, \\*).
        mean: What the correlations are taken around, (\\*): the mean of held-out images.

    Returns:
        The agreement, and for each model the row of the nearest training image, (N,).

    Raises:
        ConfigError: The two models' samples have different shapes.
    """
    if samples[0].shape != samples[1].shape:
        raise ConfigError(
            "samples",
            got=f"shapes {tuple(samples[0].shape)} and {tuple(samples[1].shape)}",
            expected="one shape",
            remedy="sample both models from the same noise",
        )
    found = [nearest_neighbors(mine, train, 1) for mine, train in zip(samples, trains, strict=True)]
    nearest = [indices[:, 0] for _, indices in found]
    own = [
        _correlation(mine - mean, train[chosen] - mean)
        for mine, train, chosen in zip(samples, trains, nearest, strict=True)
    ]
    agreement = Agreement(
        correlation=_correlation(samples[0] - mean, samples[1] - mean),
        distance=(samples[0] - samples[1]).double().flatten(1).norm(dim=1),
        train_correlation=(own[0] + own[1]) / 2,
        train_distance=(found[0][0][:, 0] + found[1][0][:, 0]) / 2,
    )
    return agreement, (nearest[0], nearest[1])


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of the angle between the vectors, (N,) float64; 0 where one of them is zero."""
    a, b = a.double().flatten(1), b.double().flatten(1)
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp(min=1e-300)
