"""Memorization of each class: classes are copied at different times."""

from typing import ClassVar

import torch

from diffmem import ranks
from diffmem.callbacks.observer import EvaluationObserver, Row, Snapshot
from diffmem.errors import parameters_of
from diffmem.metrics.memorization import check_threshold, is_memorized, wilson_interval
from diffmem.roles import Role


class PerClass(EvaluationObserver):
    """Writes ``per_class.csv`` of a conditional model: a row for each scheduled step and label.

    Columns: ``step``, ``label``, ``num_samples`` with this label, ``f_mem`` among them and its 95% interval (Wilson)
    ``f_mem_low``, ``f_mem_high``. A copy counts for the label that was asked for, whatever the label of its original.

    Args:
        threshold: As in :class:`diffmem.callbacks.memorization.Memorization`.

    Raises:
        ConfigError: ``threshold`` outside (0, 1).
    """

    role: ClassVar[Role] = "measurement"
    needs_samples = True
    tables: ClassVar[tuple[str, ...]] = ("per_class.csv",)

    def __init__(self, threshold: float = 1 / 3) -> None:
        with parameters_of("memorization"):
            check_threshold(threshold)
        self.threshold = threshold

    def measure(self, snapshot: Snapshot) -> Row:
        if snapshot.labels is not None:
            self._write(snapshot)
        return {}

    def _write(self, snapshot: Snapshot) -> None:
        num_classes: int = snapshot.model.num_classes  # type: ignore[assignment]
        copies = snapshot.labels[is_memorized(snapshot.train_neighbors.distances, self.threshold)]
        counts = torch.stack([each.bincount(minlength=num_classes) for each in (snapshot.labels, copies)])
        totals, memorized = ranks.sum_over_ranks(counts).tolist()
        rows = []
        for label, (total, hits) in enumerate(zip(totals, memorized, strict=True)):
            if total:
                low, high = wilson_interval(hits / total, total)
                found = {"f_mem": hits / total, "f_mem_low": low, "f_mem_high": high}
                rows.append({"label": label, "num_samples": total, **found})
        snapshot.put_rows("per_class.csv", rows)
