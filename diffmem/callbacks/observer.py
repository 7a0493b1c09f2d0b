"""What takes part in a scheduled evaluation, and what it is shown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple

import lightning.pytorch as pl
import torch
from torch import Tensor

from diffmem import ranks
from diffmem.callbacks.contract import Images
from diffmem.data.labels import Part
from diffmem.data.subset import SubsetData
from diffmem.files import put_rows
from diffmem.metrics.versions import nearest_over_versions

#: What one evaluation measured, by column.
Row = Mapping[str, float | int | str | None]


def view_folder(run: Path, view: str) -> Path:
    """Where the tables and pictures of the view called ``view`` lie in the folder of a run; "" is the default view."""
    return run / "views" / view if view else run


class Neighbors(NamedTuple):
    """Nearest images of this rank's samples.

    Attributes:
        distances: (·, k) float64, ascending, L2 in the space of the samples.
        indices: (·, k) int64, which images those are.
    """

    distances: Tensor
    indices: Tensor


@dataclass(frozen=True)
class Snapshot:
    """One scheduled step as the measurements see it.

    What several measurements read is computed when the first of them asks for it, and once.

    Attributes:
        step: Number of optimizer updates.
        samples: This rank's share of the samples, (·, \\*), centred like the training images.
        numbers: Which of the samples those are.
        num_samples: Number of samples over all ranks, 0 for a model that cannot sample.
        model: The module, in eval mode, with ``schedule``, ``losses`` and ``score``.
        data: Training and held-out images.
        folder: The run's folder.
        view: Name of the view; "" for the default one.
        labels: The label (·,) int64 that each sample was asked for; None for an unconditional model.
    """

    step: int
    samples: Tensor
    numbers: range
    num_samples: int
    model: pl.LightningModule
    data: Images
    folder: Path
    view: str = ""
    labels: Tensor | None = None

    @property
    def view_folder(self) -> Path:
        """Where tables and pictures of the samples lie."""
        return view_folder(self.folder, self.view)

    def labels_of(self, part: Part) -> Tensor | None:
        """Labels of the training or held-out images, on the CPU; None for an unconditional model."""
        return getattr(self.data, f"{part}_labels") if getattr(self.model, "num_classes", 0) else None

    @property
    def device(self) -> torch.device:
        return self.samples.device

    @cached_property
    def train_images(self) -> Tensor:
        """The training images (n, \\*) on the device of the samples."""
        return self.data.train_images.to(self.device)

    @cached_property
    def heldout_images(self) -> Tensor:
        """The held-out images on the device of the samples."""
        return self.data.test_images.to(self.device)

    @property
    def train_versions(self) -> Tensor:
        """The training images in all versions that are trained on, (V, n, \\*); in a space of features V = 1."""
        return self._versions(self.train_images)

    @cached_property
    def train_neighbors(self) -> Neighbors:
        """The two nearest training images of each sample."""
        return Neighbors(*nearest_over_versions(self.samples, self.train_versions))

    @cached_property
    def heldout_neighbors(self) -> Neighbors:
        """The two nearest held-out images of each sample."""
        return self._nearest(self.heldout_images)

    @cached_property
    def null_neighbors(self) -> Neighbors | None:
        """The two nearest among as many held-out images as there are training images; None where there are fewer."""
        n = len(self.train_images)
        if len(self.heldout_images) <= n:
            return self.heldout_neighbors if len(self.heldout_images) == n else None
        return self._nearest(self.heldout_images[:n])

    def gathered(self, values: Tensor) -> Tensor:
        """One value or vector for each sample of this rank, (·, \\*), as (num_samples, \\*) in the samples' order.

        Exact, so that what is computed from it does not depend on the number of ranks. A collective.
        """
        whole = values.new_zeros(self.num_samples, *values.shape[1:])
        whole[self.numbers.start : self.numbers.stop] = values
        return ranks.sum_over_ranks(whole)

    def put_rows(self, table: str, rows: Iterable[Row]) -> None:
        """Make ``rows`` those of this step in the file ``table`` of the run or view.

        Every rank has the same rows, and the first writes them.
        Written before the step's row of ``evaluations.csv``, so that a resumed run has no hole, and in place of rows
        of the same step, so that it has none twice.
        """
        path, found = self.view_folder / table, [{"step": self.step, **row} for row in rows]
        if ranks.rank_and_world()[0] == 0 and (found or path.exists()):
            put_rows(path, self.step, found)

    def _nearest(self, images: Tensor) -> Neighbors:
        """The two nearest ``images``; one that augmentation changes is as near as its nearest version."""
        return Neighbors(*nearest_over_versions(self.samples, self._versions(images)))

    def _versions(self, images: Tensor) -> Tensor:
        return self.data.versions(images) if hasattr(self.data, "versions") else images[None]


class EvaluationObserver(pl.Callback):
    """A callback that takes part in the evaluations: every rank calls every method equally often.

    Attributes:
        needs_samples: Whether ``measure`` reads the samples; it is not called where there are none.
        switch: Parameter of the class that null switches the measurement off by; "" for none.
        tables: Files that ``measure`` writes with :meth:`Snapshot.put_rows`; a run that starts afresh removes them.
    """

    needs_samples = False
    switch = ""
    tables: ClassVar[tuple[str, ...]] = ()

    @property
    def measures_quality(self) -> bool:
        """Whether its columns tell how good the samples are."""
        return False

    @property
    def needs_quality(self) -> bool:
        """Whether it reads such columns of others."""
        return False

    def check(self, data: SubsetData, num_samples: int, model: pl.LightningModule) -> None:
        """Refuse, before anything is written, what could not be measured: a ConfigError says how to change it."""

    def on_sampling(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The next batch of samples is about to be drawn, or the network to be called for it."""

    def measure(self, snapshot: Snapshot) -> Row:
        """Columns to add to the row of this step; the same on every rank."""
        return {}

    def on_row(self, trainer: pl.Trainer, row: Row) -> None:
        """The row of a step is complete and, on rank 0, written."""


def observers_of(trainer: pl.Trainer) -> list[EvaluationObserver]:
    """Those among the trainer's callbacks, in their order."""
    return [each for each in trainer.callbacks if isinstance(each, EvaluationObserver)]  # type: ignore[attr-defined]
