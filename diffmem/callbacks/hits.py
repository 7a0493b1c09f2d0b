"""Which training images are copied, how often, and how unevenly."""

from typing import ClassVar

from torch import nn

from diffmem.callbacks.feature_space import FeatureSpace
from diffmem.callbacks.observer import EvaluationObserver, Row, Snapshot
from diffmem.errors import parameters_of
from diffmem.metrics.hits import CopiesOfImages, chao1, share_of_top
from diffmem.metrics.memorization import check_threshold
from diffmem.roles import Role


class Hits(EvaluationObserver):
    """Writes ``hits.csv``: for each step and copied image its row in the training set and its number of copies.

    Columns of ``evaluations.csv``: ``images_copied``, how many training images are copied at least once;
    ``images_copied_chao``, an estimate of how many would be with more samples; ``copies_top_tenth``, the share of the
    copies that the most copied tenth of the training images holds, empty without copies.

    Args:
        threshold: As in :class:`diffmem.callbacks.memorization.Memorization`.
        features: As in :class:`diffmem.callbacks.memorization.Memorization`.

    Raises:
        ConfigError: ``threshold`` outside (0, 1).
    """

    roles: ClassVar[dict[str, Role]] = {"threshold": "protocol", "features": "protocol"}

    needs_samples = True
    tables: ClassVar[tuple[str, ...]] = ("hits.csv",)

    def __init__(self, threshold: float = 1 / 3, features: nn.Module | None = None) -> None:
        with parameters_of("memorization"):
            check_threshold(threshold)
        self.threshold, self._space = threshold, FeatureSpace(features)

    def measure(self, snapshot: Snapshot) -> Row:
        snapshot = self._space(snapshot)
        metric = CopiesOfImages(len(snapshot.train_images), self.threshold).to(snapshot.device)
        metric.update(*snapshot.train_neighbors)
        counts = metric.compute().cpu()
        copied = counts.nonzero()[:, 0].tolist()
        snapshot.put_rows("hits.csv", [{"image": image, "copies": counts[image].item()} for image in copied])
        return {
            "images_copied": len(copied),
            "images_copied_chao": chao1(counts),
            "copies_top_tenth": share_of_top(counts),
        }
