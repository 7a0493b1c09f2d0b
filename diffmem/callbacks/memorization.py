"""Memorization of the training images, beside what chance gives on images never trained on."""

from typing import ClassVar

import torch
from torch import nn

from diffmem.callbacks.feature_space import FeatureSpace
from diffmem.callbacks.observer import EvaluationObserver, Neighbors, Row, Snapshot
from diffmem.errors import parameters_of
from diffmem.metrics.memorization import (
    MemorizationFraction,
    check_threshold,
    duplicate_count,
    wilson_interval,
)
from diffmem.metrics.ratios import ratio_of_means
from diffmem.roles import Role


class Memorization(EvaluationObserver):
    """f_mem with its 95% interval, the null f_mem, and the mean distances to the nearest images.

    Columns: ``f_mem``; ``f_mem_low``, ``f_mem_high`` (Wilson); ``f_mem_null``, the same test against as many held-out
    images as there are training images, empty where there are fewer; ``nn_train`` and ``nn_heldout``, mean L2 distance
    to the nearest training and held-out image; ``nn_ratio``, nn_heldout / nn_train with its 95% interval
    ``nn_ratio_low``, ``nn_ratio_high``: it rises at the onset of memorization, long before f_mem does, and is empty
    where all samples are exact copies; ``train_duplicates``, training images that equal an earlier one;
    ``threshold``.

    Args:
        threshold: Largest ratio of the distances to the first and second neighbour that counts as memorized.
        features: Module in whose features of the images, (B, C, H, W) in [0, 1], all distances are measured, also those
            of the ratios, hits and tests of copying, and precision to coverage; None for pixels. In features the
            flips and shifts of a training image are not looked for. Pictures and training duplicates stay in pixels.
            SSCD (arXiv 2202.10261) with weights from disk is an example; images below 32×32 are too small for it, and
            it calls unrelated ones copies.

    Raises:
        ConfigError: ``threshold`` outside (0, 1).
    """

    roles: ClassVar[dict[str, Role]] = {"threshold": "protocol", "features": "protocol"}

    needs_samples = True

    def __init__(self, threshold: float = 1 / 3, features: nn.Module | None = None) -> None:
        with parameters_of("memorization"):
            check_threshold(threshold)
            self.threshold, self._space = threshold, FeatureSpace(features)
        self._duplicates: int | None = None

    def measure(self, snapshot: Snapshot) -> Row:
        if self._duplicates is None:
            self._duplicates = duplicate_count(snapshot.train_images)
        snapshot = self._space(snapshot)
        f_mem = self._fraction(snapshot, snapshot.train_neighbors)
        low, high = wilson_interval(f_mem, snapshot.num_samples)
        null = snapshot.null_neighbors
        return {
            "f_mem": f_mem,
            "f_mem_low": low,
            "f_mem_high": high,
            "f_mem_null": None if null is None else self._fraction(snapshot, null),
            **self._distances(snapshot),
            "train_duplicates": self._duplicates,
            "threshold": self.threshold,
        }

    def _fraction(self, snapshot: Snapshot, neighbors: Neighbors) -> float:
        """Share of the samples of all ranks that are memorized with respect to the images of ``neighbors``."""
        fraction = MemorizationFraction(snapshot.train_images, self.threshold).to(snapshot.device)
        fraction.update(snapshot.samples, neighbors.distances)
        return fraction.compute().item()

    @staticmethod
    def _distances(snapshot: Snapshot) -> Row:
        """Mean distance of the samples of all ranks to the nearest image of both sets, and the ratio of the two."""
        nearest = torch.stack([snapshot.heldout_neighbors.distances[:, 0], snapshot.train_neighbors.distances[:, 0]], 1)
        heldout, train = snapshot.gathered(nearest).unbind(1)
        interval = ratio_of_means(heldout, train) or (None, None, None)
        return {
            "nn_train": train.mean().item(),
            "nn_heldout": heldout.mean().item(),
            **dict(zip(("nn_ratio", "nn_ratio_low", "nn_ratio_high"), interval, strict=True)),
        }
