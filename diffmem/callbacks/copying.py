"""Tests of copying beside f_mem."""

from dataclasses import replace
from typing import ClassVar, Literal

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from diffmem.callbacks.feature_space import FeatureSpace
from diffmem.callbacks.observer import EvaluationObserver, Row, Snapshot
from diffmem.data.subset import SubsetData
from diffmem.errors import ConfigError, require_at_least
from diffmem.metrics.copying import CopyingTest, calibrated_distance, is_authentic
from diffmem.metrics.memorization import wilson_interval
from diffmem.metrics.versions import nearest_over_versions
from diffmem.roles import Role

CopyingTests = Literal["c_t", "authenticity", "calibrated_l2"]


class Copying(EvaluationObserver):
    """C_T, authenticity and calibrated distance of :mod:`diffmem.metrics.copying`. Off by default.

    With flips or shifts an image is as near as its nearest version, here as in f_mem; C_T takes all versions as T.

    Columns: ``c_t`` and ``c_t_p``, its one-sided p-value, both empty where no cell holds enough samples;
    ``authenticity``, the share of authentic samples, its 95% interval ``authenticity_low``, ``authenticity_high``
    (Wilson), and ``authenticity_heldout``, the share among the held-out images; ``calibrated_l2``, the median
    calibrated distance, and ``calibrated_l2_copies``, the share below 1.

    Args:
        tests: Which of them; None for none.
        num_cells: Cells of C_T.
        min_samples: Fewest samples of a cell that counts in C_T.
        num_neighbors: Neighbours of the calibrated distance; all training images where there are fewer.
        seed: Seed of the cells.
        features: As in :class:`diffmem.callbacks.memorization.Memorization`.

    Raises:
        ConfigError: A count below 1, an unknown test, or one twice; before training: more cells than training images.
    """

    switch = "tests"
    roles: ClassVar[dict[str, Role]] = dict.fromkeys(
        ("num_cells", "min_samples", "num_neighbors", "seed", "features"), "protocol"
    )

    needs_samples = True

    def __init__(
        self,
        tests: list[CopyingTests] | None = None,
        num_cells: int = 5,
        min_samples: int = 20,
        num_neighbors: int = 50,
        seed: int = 0,
        features: nn.Module | None = None,
    ) -> None:
        require_at_least(1, "copying", num_cells=num_cells, min_samples=min_samples)
        require_at_least(2, "copying", num_neighbors=num_neighbors)
        if tests is not None and (not tests or len(set(tests)) < len(tests)):
            raise ConfigError(
                "copying.tests",
                got=tests,
                expected="different tests, or null for none",
                remedy="set --copying.tests=[c_t,authenticity,calibrated_l2]",
            )
        self.tests, self.num_cells, self.min_samples = tests or [], num_cells, min_samples
        self.num_neighbors, self.seed, self._space = num_neighbors, seed, FeatureSpace(features)
        self._test: CopyingTest | None = None
        self._spacing: Tensor | None = None
        self._authenticity_heldout = 0.0

    def check(self, data: SubsetData, num_samples: int, model: pl.LightningModule) -> None:
        if "c_t" in self.tests and self.num_cells > data.n:
            raise ConfigError(
                "copying.num_cells",
                got=self.num_cells,
                expected=f"at most n = {data.n}",
                remedy="lower --copying.num_cells",
            )

    def measure(self, snapshot: Snapshot) -> Row:
        if not self.tests:
            return {}
        snapshot = self._space(snapshot)
        measured = {"c_t": self._c_t, "authenticity": self._authenticity, "calibrated_l2": self._calibrated}
        return {name: value for test in self.tests for name, value in measured[test](snapshot).items()}

    def _c_t(self, snapshot: Snapshot) -> Row:
        samples = snapshot.gathered(snapshot.samples)
        if self._test is None:
            train, held_out = snapshot.train_versions.flatten(0, 1), snapshot.heldout_images
            self._test = CopyingTest(train, held_out, self.num_cells, self.min_samples, self.seed)
        statistic, p = self._test(samples) or (None, None)
        return {"c_t": statistic, "c_t_p": p}

    def _authenticity(self, snapshot: Snapshot) -> Row:
        if self._spacing is None:
            self._spacing = nearest_over_versions(snapshot.train_images, snapshot.train_versions)[0][:, 1]
            heldout = replace(snapshot, samples=snapshot.heldout_images).train_neighbors
            self._authenticity_heldout = is_authentic(*heldout, self._spacing).double().mean().item()
        authentic = snapshot.gathered(is_authentic(*snapshot.train_neighbors, self._spacing).double())
        share = authentic.mean().item()
        low, high = wilson_interval(share, snapshot.num_samples)
        return {
            "authenticity": share,
            "authenticity_low": low,
            "authenticity_high": high,
            "authenticity_heldout": self._authenticity_heldout,
        }

    def _calibrated(self, snapshot: Snapshot) -> Row:
        k = min(self.num_neighbors, len(snapshot.train_images))
        distances = nearest_over_versions(snapshot.samples, snapshot.train_versions, k)[0]
        calibrated = snapshot.gathered(calibrated_distance(distances))
        copies = (calibrated < 1).double().mean().item()
        return {"calibrated_l2": torch.quantile(calibrated, 0.5).item(), "calibrated_l2_copies": copies}
