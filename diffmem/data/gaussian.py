"""Data from laws that are known: any number of fresh points, and the exact score at every time."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from diffmem import rng
from diffmem.data.digits import load_digits_images
from diffmem.data.images import check_pixel_scale
from diffmem.data.labels import Part
from diffmem.data.subset import BatchMode, SubsetData
from diffmem.diffusion.scores import GaussianMixture, gaussian, symmetric_mixture
from diffmem.errors import ConfigError, require_at_least
from diffmem.limits import require_memory
from diffmem.theory.simulation import diagonal_covariance


class DrawnData(SubsetData):
    """Training points number ``index · n … (index + 1) · n − 1`` of a law, and test points from streams of their own.

    A point depends on its number and ``draw_seed`` alone: at index 0 subsets of growing n are nested. Nothing is
    centred.

    Args:
        law: Where the points come from.
        n: Number of training points, at least 2.
        index: Which of the disjoint subsets of size n.
        batch_size: Points of a global batch, over all ranks.
        batch_mode: As in :class:`diffmem.data.images.ImageData`.
        num_test: Number of held-out points.
        draw_seed: Seed of the points, apart from ``seed``, so that runs may differ in all but their data.
        seed: Seed of the batches.
        labels: As in :class:`diffmem.data.images.ImageData`; the true label of a point is its component.

    Attributes:
        train_images: (n, d) float32. After ``setup``.
        test_images: (num_test, d) float32.
        mean: (d,) zeros.

    Raises:
        ConfigError: An impossible n, index or batch size.
    """

    def __init__(
        self,
        law: GaussianMixture,
        n: int,
        index: int,
        batch_size: int,
        batch_mode: BatchMode,
        num_test: int,
        draw_seed: int,
        seed: int,
        labels: str | bool = "none",
    ) -> None:
        super().__init__(n, index, batch_size, batch_mode, num_test, seed, labels=labels)
        self.law, self.draw_seed = law, draw_seed

    def setup(self, stage: str | None = None) -> None:
        self.check()
        self.mean = torch.zeros(self.law.dim)
        self.train_images = self.unit_images(self.train_positions)
        self.test_images = self.draw("test", range(self.num_test))

    def draw(self, name: str, numbers: range) -> Tensor:
        """Points number ``numbers`` of those called ``name``, (len(numbers), d)."""
        if not numbers:
            return torch.empty(0, self.law.dim)
        return torch.stack([self.law.draw(generator) for generator in self._streams(name, numbers)])

    def _streams(self, name: str, numbers: range) -> Iterator[torch.Generator]:
        return (rng.stream(self.draw_seed, f"points/{name}", number) for number in numbers)

    @property
    def label_names(self) -> Sequence[str]:
        return ("",) if self.num_true_classes > 1 else ()

    @property
    def num_true_classes(self) -> int:
        return len(self.law.means)

    def true_labels(self, part: Part) -> Tensor | None:
        if self.num_true_classes == 1:
            return None
        numbers = self.train_positions if part == "train" else range(self.num_test)
        return torch.tensor([self.law.draw_component(generator) for generator in self._streams(part, numbers)])

    def unit_images(self, positions: range) -> Tensor:
        """Training points at ``positions``, (len(positions), d)."""
        return self.draw("train", positions)

    def to_unit(self, images: Tensor) -> Tensor:
        """The points themselves, which have no pixel range."""
        return images

    def fingerprint(self) -> dict[str, Any]:
        law = torch.cat([self.law.means.flatten(), self.law.variances]).numpy().tobytes()
        digest = hashlib.sha256(law + str(self.draw_seed).encode())
        return {"source": type(self).__name__, "dim": self.law.dim, "sha256": digest.hexdigest()}


class Gaussian(DrawnData):
    """N(0, Σ) in d dimensions, as in the random-feature theory of arXiv 2505.17638, section 3.

    Args:
        n: Number of training points, at least 2.
        index: Which of the disjoint subsets of size n.
        dimension: Number d of dimensions.
        population: Eigenvalues of Σ with their weights, which sum to 1; 0 makes a subspace, e.g.
            [[16, 0.0625], [0, 0.9375]].
        decay: Exponent a of a power law: eigenvalue j becomes j^−a times itself, times what keeps the trace.
        batch_size: Points of a global batch, over all ranks.
        batch_mode: As in :class:`diffmem.data.images.ImageData`.
        num_test: Number of held-out points.
        draw_seed: Seed of the points.
        seed: Seed of the batches.

    Raises:
        ConfigError: An impossible n, index or batch size, or a population that d dimensions cannot hold.
    """

    def __init__(
        self,
        n: int = 400,
        index: int = 0,
        dimension: int = 100,
        population: list[list[float]] | None = None,
        decay: float = 0.0,
        batch_size: int = 512,
        batch_mode: BatchMode = "full",
        num_test: int = 2048,
        draw_seed: int = 0,
        seed: int = 0,
    ) -> None:
        law = gaussian(_eigenvalues(dimension, [[1.0, 1.0]] if population is None else population, decay))
        super().__init__(law, n, index, batch_size, batch_mode, num_test, draw_seed, seed)


class GaussianDigits(DrawnData):
    """N(0, Σ) in 64 dimensions, Σ with the eigenvalues of the digits' covariance: their spectrum without their shapes.

    Args:
        n: Number of training points, at least 2.
        index: Which of the disjoint subsets of size n.
        pixel_scale: As in :class:`diffmem.data.images.ImageData`.
        batch_size: Points of a global batch, over all ranks.
        batch_mode: As in :class:`diffmem.data.images.ImageData`.
        num_test: Number of held-out points.
        draw_seed: Seed of the points.
        seed: Seed of the batches.

    Raises:
        ConfigError: An impossible n, index, batch size or pixel_scale.
    """

    def __init__(
        self,
        n: int = 64,
        index: int = 0,
        pixel_scale: float = 2.0,
        batch_size: int = 512,
        batch_mode: BatchMode = "min",
        num_test: int = 512,
        draw_seed: int = 0,
        seed: int = 0,
    ) -> None:
        check_pixel_scale(pixel_scale)
        pixels = torch.from_numpy(load_digits_images()).flatten(1).double() * pixel_scale
        law = gaussian(torch.linalg.eigvalsh(pixels.T.cov()).clamp(min=0))
        super().__init__(law, n, index, batch_size, batch_mode, num_test, draw_seed, seed)


class SymmetricMixture(DrawnData):
    """½N(μ, I) + ½N(−μ, I) with μ = (1, …, 1): the paper's mixture of two Gaussians.

    Args:
        n: Number of training points, at least 2.
        index: Which of the disjoint subsets of size n.
        dimension: Number d of dimensions; 8 in the paper.
        batch_size: Points of a global batch, over all ranks.
        batch_mode: As in :class:`diffmem.data.images.ImageData`.
        num_test: Number of held-out points.
        draw_seed: Seed of the points.
        seed: Seed of the batches.
        labels: As in :class:`diffmem.data.images.ImageData`; the true label of a point is its Gaussian.

    Raises:
        ConfigError: An impossible n, index, dimension or batch size.
    """

    def __init__(
        self,
        n: int = 128,
        index: int = 0,
        dimension: int = 8,
        batch_size: int = 512,
        batch_mode: BatchMode = "full",
        num_test: int = 2048,
        draw_seed: int = 0,
        seed: int = 0,
        labels: str | bool = "none",
    ) -> None:
        law = symmetric_mixture(torch.ones(_checked(dimension)))
        super().__init__(law, n, index, batch_size, batch_mode, num_test, draw_seed, seed, labels)


def _eigenvalues(dimension: int, population: list[list[float]], decay: float) -> Tensor:
    """(d,) eigenvalues of Σ."""
    pairs = all(len(pair) == 2 and 0 <= pair[0] < math.inf and pair[1] > 0 for pair in population)
    if not pairs or abs(sum(weight for _, weight in population) - 1) > 1e-9 or not any(each for each, _ in population):
        raise ConfigError(
            "data.population",
            got=population,
            expected="[eigenvalue, weight] pairs, some above 0, whose weights sum to 1",
            remedy="set --data.population, e.g. [[0.5, 0.5], [1.5, 0.5]]",
        )
    if not decay >= 0:
        raise ConfigError("data.decay", got=decay, expected="0 or more", remedy="set --data.decay, e.g. 1")
    flat = diagonal_covariance(_checked(dimension), [(value, weight) for value, weight in population])
    if decay == 0:
        return flat
    decayed = flat * torch.arange(1, dimension + 1, dtype=torch.float64) ** -decay
    return decayed * flat.sum() / decayed.sum()


def _checked(dimension: int) -> int:
    require_at_least(1, "data", dimension=dimension)
    require_memory("dimension", dimension, 8 * dimension, "data")
    return dimension
