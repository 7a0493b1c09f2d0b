"""The distribution of the distance ratio, so that the threshold of memorization can be chosen after a run."""

from typing import ClassVar

import torch
from torch import nn

from diffmem.callbacks.feature_space import FeatureSpace
from diffmem.callbacks.observer import EvaluationObserver, Row, Snapshot
from diffmem.errors import ConfigError, parameters_of
from diffmem.metrics.memorization import check_threshold
from diffmem.metrics.ratios import distance_ratios, shares_below
from diffmem.roles import Role

QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)


class Ratios(EvaluationObserver):
    """Writes ``ratios.csv``: quantiles of the ratio, and f_mem at a grid of thresholds beside its null.

    One row for each threshold and step, with columns ``step``, ``num_samples``, ``threshold``, ``f_mem`` and
    ``f_mem_null`` (as many held-out images in place of the training images, empty where there are fewer); and one row
    for each of the quantiles 1%, 5%, 10%, 25%, 50%, 75%, 90%, with columns ``quantile``, ``ratio`` and ``ratio_null``.

    Args:
        thresholds: Increasing thresholds in (0, 1); None for no table.
        features: As in :class:`diffmem.callbacks.memorization.Memorization`.

    Raises:
        ConfigError: A threshold outside (0, 1), or two that do not increase.
    """

    roles: ClassVar[dict[str, Role]] = {"features": "protocol"}

    needs_samples = True
    tables: ClassVar[tuple[str, ...]] = ("ratios.csv",)

    def __init__(
        self,
        thresholds: list[float] | None = [0.1, 0.2, 0.3, 1 / 3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],  # noqa: B006
        features: nn.Module | None = None,
    ) -> None:
        with parameters_of("ratios", threshold="thresholds"):
            for threshold in thresholds or ():
                check_threshold(threshold)
        if thresholds is not None and (not thresholds or sorted(set(thresholds)) != list(thresholds)):
            raise ConfigError(
                "ratios.thresholds",
                got=thresholds,
                expected="increasing thresholds, or null for no table",
                remedy="set --ratios.thresholds",
            )
        self.thresholds, self._space = thresholds, FeatureSpace(features)

    def measure(self, snapshot: Snapshot) -> Row:
        if self.thresholds is None:
            return {}
        snapshot = self._space(snapshot)
        null = snapshot.null_neighbors
        ratios = snapshot.gathered(distance_ratios(snapshot.train_neighbors.distances))
        nulls = None if null is None else snapshot.gathered(distance_ratios(null.distances))
        num = {"num_samples": snapshot.num_samples}
        thresholds = torch.tensor(self.thresholds, dtype=torch.float64, device=ratios.device)
        quantiles = torch.tensor(QUANTILES, dtype=torch.float64, device=ratios.device)
        shares, below = ([f(ratios, at), None if nulls is None else f(nulls, at)]
                         for f, at in ((shares_below, thresholds), (torch.quantile, quantiles)))  # fmt: skip
        rows: list[Row] = []
        for name, places, value, (found, chance) in (
            ("threshold", self.thresholds, "f_mem", shares),
            ("quantile", QUANTILES, "ratio", below),
        ):
            for place, at in enumerate(places):
                chances = None if chance is None else chance[place].item()
                rows.append({**num, name: at, value: found[place].item(), f"{value}_null": chances})
        snapshot.put_rows("ratios.csv", rows)
        return {}
