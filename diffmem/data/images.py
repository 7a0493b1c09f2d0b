"""Subsets of n images beside held-out sets that none of them can touch."""

import hashlib
import math
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from diffmem import ranks, rng
from diffmem.data.augmentation import Augmentation
from diffmem.data.labels import Part
from diffmem.data.shift import mean_distance
from diffmem.data.subset import BatchMode, SubsetData
from diffmem.errors import ConfigError, DataError, require_at_least
from diffmem.limits import require_memory
from diffmem.roles import Role
from diffmem.transfer import send


class ImageData(SubsetData):
    """Training subset ``index · n … (index + 1) · n − 1`` of a pool of images, and held-out images.

    The last ``num_test`` images of the order are the test set (with ``test_index`` i, those i sets further to the
    front) and the ``num_references · reference_size`` before them the reference sets; subsets are taken from those
    before both. At index 0 subsets of growing n are nested. Pixels
    span [0, ``pixel_scale``] and the mean image of the training subset is subtracted from training and test set;
    nothing is divided by a standard deviation, as in the paper.

    Args:
        n: Number of training images, at least 2.
        index: Which of the disjoint subsets of size n.
        batch_size: Images of a global batch, over all ranks.
        batch_mode: ``"min"``: min(batch_size, n), as in the paper; ``"full"``: n; ``"fixed"``: batch_size even where it
            is larger than n, so that a batch wraps around into the next epoch.
        num_test: Number of held-out images of the losses, of the null f_mem and of the distance in pixels.
        test_index: Which of the disjoint held-out sets of that size, from the end of the order, so that what was
            chosen on one set can be reported on another.
        num_references: Number of disjoint held-out sets that FID compares with.
        reference_size: Images of each of these sets.
        permutation_seed: Seed of the order of the images; None for the order in which they come.
        pixel_scale: Width of the pixel range the model sees: 1 for [0, 1] as in the paper, 2 for the span of [−1, 1].
        seed: Seed of the batches and of the augmentation.
        duplicates: ``"K:M"``: the first K training images come M times in every epoch, which has n + K (M − 1) images
            then. Everything that is measured is measured on the n different ones.
        flip: Train on images mirrored left to right at random.
        shift: Train on images moved at random by up to so many pixels along each axis; borders repeat.
        labels: What conditional models are told: ``none``, ``true`` (where the source has labels), ``true:ATTRIBUTE``
            (where it has several), ``random:K`` or ``unique``; see :class:`diffmem.data.labels.Labels`.

    Attributes:
        train_images: (n, C, H, W) float32, centred. After ``setup``.
        test_images: (num_test, C, H, W) float32, centred by the training mean.
        mean: (C, H, W), the mean image of the training subset.

    Raises:
        ConfigError: An impossible n, index or batch size.
        DataError: Too few images, or what are none.
    """

    roles: ClassVar[dict[str, Role]] = {
        "test_index": "protocol",
        "num_references": "measurement",
        "reference_size": "measurement",
    }

    def __init__(
        self,
        n: int = 64,
        index: int = 0,
        batch_size: int = 512,
        batch_mode: BatchMode = "min",
        num_test: int = 512,
        num_references: int = 0,
        reference_size: int = 10_000,
        permutation_seed: int | None = 0,
        pixel_scale: float = 1.0,
        seed: int = 0,
        duplicates: str | None = None,
        flip: bool = False,
        shift: int = 0,
        labels: str | bool = "none",
        test_index: int = 0,
    ) -> None:
        super().__init__(n, index, batch_size, batch_mode, num_test, seed, duplicates, labels)
        require_at_least(0, "data", test_index=test_index)
        self.test_index = test_index
        self.augmentation = Augmentation(flip, shift)
        self.permutation_seed, self.pixel_scale = permutation_seed, pixel_scale
        self.num_references, self.reference_size = num_references, reference_size
        require_at_least(0, "data", num_references=num_references)
        require_at_least(2, "data", reference_size=reference_size)
        check_pixel_scale(pixel_scale)

    def load_images(self) -> np.ndarray:
        """All images of the source, (N, C, H, W), uint8 in [0, 255] or float in [0, 1]; a memory map or a tensor, too.

        Other types and shapes are refused before a run begins, other values when they are read.
        """
        raise NotImplementedError

    def load_labels(self) -> np.ndarray | None:
        """Labels of all images of the source, (N,) integers from 0 on, in the same order; None where it has none."""
        return None

    @cached_property
    def _pool_labels(self) -> Tensor | None:
        labels = self.load_labels()
        if labels is None:
            return None
        labels = np.asarray(labels)
        whole = labels.shape == (len(self._pool),) and np.issubdtype(labels.dtype, np.integer)
        if not whole or labels.min() < 0:
            others = f", the least {labels.min()}," if whole else ""
            raise DataError(
                "data.labels",
                got=f"labels of shape {labels.shape} and type {labels.dtype}{others} of {len(self._pool)} images",
                expected="a whole number from 0 on for each image",
                remedy=f"change load_labels of {type(self).__name__}",
            )
        return torch.from_numpy(labels.astype(np.int64))

    @property
    def label_names(self) -> Sequence[str]:
        return () if self._pool_labels is None else ("",)

    @property
    def num_true_classes(self) -> int:
        return 0 if self._pool_labels is None else int(self._pool_labels.max()) + 1

    def true_labels(self, part: Part) -> Tensor | None:
        if self._pool_labels is None:
            return None
        positions = self.train_positions if part == "train" else self._test_positions
        return self._pool_labels[self._order()[positions.start : positions.stop]]

    def fingerprint(self) -> dict[str, Any]:
        """What identifies the images of the source, and the labels where models are told them."""
        digest = hashlib.sha256(np.ascontiguousarray(self._pool))
        of_images = {"source": type(self).__name__, "num_images": len(self._pool), "sha256": digest.hexdigest()}
        if self.labels.kind != "true" or self._pool_labels is None:
            return of_images
        return {**of_images, "labels_sha256": hashlib.sha256(self._pool_labels.numpy()).hexdigest()}

    @property
    def _pool(self) -> np.ndarray:
        if not hasattr(self, "_loaded"):
            self._loaded = np.asanyarray(self.load_images())  # a tensor is as good; a memory map stays one
            kind, shape = self._loaded.dtype, self._loaded.shape
            if len(shape) != 4 or 0 in shape[1:] or not (kind == np.uint8 or np.issubdtype(kind, np.floating)):
                raise self._not_images(f"{kind} of shape {shape}")
            if len(self._loaded) < self.num_held_out + 2:
                raise DataError(
                    "data",
                    got=f"{len(self._loaded)} images",
                    expected=f"at least 2 beside the {self.num_held_out} held out",
                    remedy="use more images or lower --data.num_test, --data.num_references or --data.reference_size",
                )
        return self._loaded

    @property
    def sample_size(self) -> int:
        return math.prod(self._pool.shape[1:])

    def _not_images(self, got: str) -> DataError:
        return DataError(
            "data",
            got=got,
            expected="images (N, C, H, W), uint8 or float in [0, 1]",
            remedy=f"change load_images of {type(self).__name__}",
        )

    def check(self, world_size: int = 1) -> None:
        """Refuse a subset that would reach into the held-out images, and a batch that the ranks cannot share.

        Raises:
            ConfigError: (index + 1)·n is more than the images left, or as in :class:`SubsetData`.
        """
        available = len(self._pool) - self.num_held_out
        if (self.index + 1) * self.n > available:
            most = available // (self.index + 1)
            raise ConfigError(
                "data.n, data.index",
                got=f"n = {self.n}, index = {self.index}",
                expected=f"(index + 1) * n <= {available}, the images left beside the {self.num_held_out} held out",
                remedy=f"lower --data.n to at most {most} or --data.index" if most > 1 else "lower --data.index",
            )
        shift = self.augmentation.shift
        if shift and shift >= min(self.unit_images(range(1)).shape[-2:]):
            raise ConfigError(
                "data.shift",
                got=shift,
                expected="less than the smaller side of the images",
                remedy="lower --data.shift",
            )
        if (count := self.augmentation.num_versions) > 1:  # an evaluation stacks them
            name, value = ("shift", shift) if shift else ("flip", True)
            require_memory(name, value, 2 * 4 * count * max(self.n, self.num_test) * self.sample_size, "data")
        super().check(world_size)

    @property
    def num_held_out(self) -> int:
        """Number of images at the end of the order that no training subset may reach."""
        return (self.test_index + 1) * self.num_test + self.num_references * self.reference_size

    def setup(self, stage: str | None = None) -> None:
        self.check()
        train = self.unit_images(self.train_positions) * self.pixel_scale
        self.mean = train.mean(0)
        self.train_images = train - self.mean
        self.test_images = self.unit_images(self._test_positions) * self.pixel_scale - self.mean
        distance, limit = mean_distance(self.train_images, self.test_images)
        if distance > limit and ranks.rank_and_world()[0] == 0:
            warnings.warn(
                f"the training subset is no random part of the images: its mean is "
                f"{math.sqrt(distance):.0f} times as far from that of the held-out images as of a random part, so that "
                "losses and distances compare two kinds of images; set --data.permutation_seed=0 to mix them",
                stacklevel=1,
            )

    def augmented(self, images: Tensor, number: int) -> Tensor:
        """Each image in one of its versions, drawn for the global batch; this rank takes its share."""
        if self.augmentation.num_versions == 1:
            return images
        size, mine = ranks.batch_share(len(images))
        version = send(self.augmentation.draw(self.seed, number, size)[mine], images.device)
        mean = self.mean.to(images)
        return self.augmentation.apply(images + mean, version) - mean

    def versions(self, images: Tensor) -> Tensor:
        """All versions in which centred ``images`` (N, C, H, W) would be trained on, (V, N, C, H, W)."""
        if self.augmentation.num_versions == 1:
            return images[None]
        mean = self.mean.to(images)
        return self.augmentation.versions(images + mean) - mean

    @property
    def _test_positions(self) -> range:
        end = len(self._pool) - self.test_index * self.num_test
        return range(end - self.num_test, end)

    def reference_positions(self, number: int) -> range:
        """Positions of reference set ``number`` in the order."""
        first = len(self._pool) - self.num_held_out + number * self.reference_size
        return range(first, first + self.reference_size)

    def unit_images(self, positions: range) -> Tensor:
        """Images at ``positions`` of the order, (len(positions), C, H, W) in [0, 1], not centred."""
        images = torch.from_numpy(np.ascontiguousarray(self._pool[self._order()[positions.start : positions.stop]]))
        if images.dtype == torch.uint8:
            return images.float() / 255
        low, high = (images.min().item(), images.max().item()) if images.numel() else (0.0, 1.0)
        if not (low >= 0 and high <= 1):
            raise self._not_images(f"values from {low:g} to {high:g}")
        return images.float()

    def _order(self) -> np.ndarray:
        num = len(self._pool)
        if self.permutation_seed is None:
            return np.arange(num)
        return torch.randperm(num, generator=rng.stream(self.permutation_seed, "order of the images")).numpy()

    def to_unit(self, images: Tensor) -> Tensor:
        """Centred images (N, C, H, W) back in the pixel range [0, 1] (not clamped)."""
        return (images + self.mean.to(images)) / self.pixel_scale


def check_pixel_scale(pixel_scale: float) -> None:
    """Raise ConfigError for a ``pixel_scale`` that is not a finite number above 0."""
    if not 0 < pixel_scale < math.inf:
        raise ConfigError(
            "data.pixel_scale", got=pixel_scale, expected="a number above 0", remedy="set --data.pixel_scale"
        )
