"""Quality and diversity of the samples apart, since a Fréchet distance falls while a model copies."""

from typing import ClassVar

import lightning.pytorch as pl
from torch import nn

from diffmem.callbacks.feature_space import FeatureSpace
from diffmem.callbacks.observer import EvaluationObserver, Row, Snapshot
from diffmem.data.subset import SubsetData
from diffmem.errors import ConfigError, require_at_least
from diffmem.metrics.prdc import prdc
from diffmem.roles import Role


class PRDC(EvaluationObserver):
    """``precision``, ``recall``, ``density`` and ``coverage`` against the held-out images. Off by default.

    Args:
        k: Which neighbour the balls of :mod:`diffmem.metrics.prdc` reach to; 5 in its sources. None for no columns.
        features: As in :class:`diffmem.callbacks.memorization.Memorization`.

    Raises:
        ConfigError: ``k`` below 1; before training: no more samples or held-out images than ``k``.
    """

    switch = "k"
    roles: ClassVar[dict[str, Role]] = {"k": "protocol", "features": "protocol"}

    needs_samples = True

    def __init__(self, k: int | None = None, features: nn.Module | None = None) -> None:
        require_at_least(1, "prdc", k=k)
        self.k, self._space = k, FeatureSpace(features)

    def check(self, data: SubsetData, num_samples: int, model: pl.LightningModule) -> None:
        if self.k and num_samples and min(num_samples, data.num_test) <= self.k:
            raise ConfigError(
                "prdc.k",
                got=self.k,
                expected=f"below the {num_samples} samples and {data.num_test} held-out images",
                remedy="lower --prdc.k, or raise --evaluation.num_samples or --data.num_test",
            )

    def measure(self, snapshot: Snapshot) -> Row:
        if self.k is None:
            return {}
        snapshot = self._space(snapshot)
        return prdc(snapshot.heldout_images, snapshot.gathered(snapshot.samples), self.k)._asdict()
