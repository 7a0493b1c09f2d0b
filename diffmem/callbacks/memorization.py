"""Memorization of the training images, beside what chance gives on images never trained on."""

import torch
from torch import Tensor
from torchmetrics import MeanMetric

from diffmem.callbacks.observer import EvaluationObserver, Row, Snapshot
from diffmem.metrics.memorization import (
    MemorizationFraction,
    check_threshold,
    duplicate_count,
    nearest_neighbors,
    wilson_interval,
)


class Memorization(EvaluationObserver):
    """f_mem with its 95% interval, the null f_mem, and the mean distances to the nearest images.

    Columns: ``f_mem``; ``f_mem_low``, ``f_mem_high`` (Wilson); ``f_mem_null``, the same test against as many held-out
    images as there are training images, empty where there are fewer; ``nn_train`` and ``nn_heldout``, mean L2 distance
    to the nearest training and held-out image; ``train_duplicates``, training images that equal an earlier one;
    ``threshold``.

    Args:
        threshold: Largest ratio of the distances to the first and second neighbour that counts as memorized.

    Raises:
        ConfigError: ``threshold`` outside (0, 1).
    """

    needs_samples = True

    def __init__(self, threshold: float = 1 / 3) -> None:
        check_threshold(threshold)
        self.threshold = threshold
        self._duplicates: int | None = None

    def measure(self, snapshot: Snapshot) -> Row:
        train, held_out = snapshot.data.train_images, snapshot.data.test_images
        if self._duplicates is None:
            self._duplicates = duplicate_count(train)
        f_mem, nn_train = self._fraction_and_distance(snapshot, train)
        low, high = wilson_interval(f_mem, snapshot.num_samples)
        null = self._fraction_and_distance(snapshot, held_out[: len(train)])[0] if len(held_out) >= len(train) else None
        return {
            "f_mem": f_mem,
            "f_mem_low": low,
            "f_mem_high": high,
            "f_mem_null": null,
            "nn_train": nn_train,
            "nn_heldout": self._fraction_and_distance(snapshot, held_out)[1],
            "train_duplicates": self._duplicates,
            "threshold": self.threshold,
        }

    def _fraction_and_distance(self, snapshot: Snapshot, images: Tensor) -> tuple[float, float]:
        """Memorized share and mean nearest distance with respect to ``images``, over all ranks."""
        images = images.to(snapshot.device)
        fraction = MemorizationFraction(images, self.threshold).to(snapshot.device)
        nearest = MeanMetric().set_dtype(torch.float64).to(snapshot.device)
        distances = nearest_neighbors(snapshot.samples, images)[0]
        fraction.update(snapshot.samples, distances)
        nearest.update(distances[:, 0])
        return fraction.compute().item(), nearest.compute().item()
