"""A training set of n samples held in memory, beside held-out samples, in step-addressed batches."""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import lightning.pytorch as pl
import torch
from torch import Tensor

from diffmem.data.labels import Labels, Part
from diffmem.data.stream import BatchStream, RankBatches
from diffmem.diffusion.scores import GaussianMixture
from diffmem.errors import ConfigError, require_at_least, require_one_of
from diffmem.limits import require_memory
from diffmem.roles import Role
from diffmem.transfer import send

BatchMode = Literal["min", "full", "fixed"]


class Batch(NamedTuple):
    """One rank's share of a global batch.

    Attributes:
        number: Which batch of the run this is, k.
        images: (B, \\*) float32, as the model sees them.
        members: (B,) int64, which of the training samples these are.
        labels: (B,) int64, of data with labels.
    """

    number: int
    images: Tensor
    members: Tensor
    labels: Tensor | None = None

    @classmethod
    def of(cls, batch: object) -> "Batch":
        """``batch`` itself.

        Raises:
            ConfigError: It is something else, of a loader of one's own.
        """
        if isinstance(batch, cls):
            return batch
        raise ConfigError(
            "data",
            got=f"batches that are {type(batch).__name__}s",
            expected="diffmem.data.Batch(number, images, members): number k of the run, images as the model sees them",
            remedy="make them so in transfer_batch_to_device of the data module, or write a training_step of your own",
        )


class SubsetData(pl.LightningDataModule):
    """What all data share: a subset of n training samples, a test set, and batches that are a function of their number.

    Args:
        n: Number of training samples, at least 2.
        index: Which of the disjoint subsets of size n.
        batch_size: Samples of a global batch, over all ranks.
        batch_mode: ``"min"``: min(batch_size, n), as in the paper; ``"full"``: n; ``"fixed"``: batch_size even where it
            is larger than n, so that a batch wraps around into the next epoch.
        num_test: Number of held-out samples.
        seed: Seed of the batches.
        duplicates: ``"K:M"``: the first K training samples come M times in every epoch, which has n + K (M − 1) samples
            then; n stays the number of different ones, and everything that is measured is measured on these.
        labels: What conditional models are told of each sample; see :class:`diffmem.data.labels.Labels`.

    Attributes:
        train_images: (n, \\*) float32, on the CPU. After ``setup``, which subclasses define.
        test_images: (num_test, \\*) float32, on the CPU.
        mean: (\\*), what was subtracted from both.
        num_references: Number of reference sets that FID can compare with.
        test_index: Which of several disjoint test sets it is.
        law: Where the samples come from, where that is known.

    Raises:
        ConfigError: An impossible n, index or batch size.
    """

    roles: ClassVar[dict[str, Role]] = {"num_test": "protocol"}

    train_images: Tensor
    test_images: Tensor
    mean: Tensor
    num_references = 0
    test_index = 0
    law: GaussianMixture | None = None
    #: How to come by the labels that a config asks for.
    labels_remedy: ClassVar[str] = "set --data.labels"

    def __init__(
        self,
        n: int,
        index: int,
        batch_size: int,
        batch_mode: BatchMode = "min",
        num_test: int = 512,
        seed: int = 0,
        duplicates: str | None = None,
        labels: str | bool = "none",
    ) -> None:
        super().__init__()
        self.labels = Labels.parse(labels)
        require_at_least(2, "data", n=n, num_test=num_test)
        require_at_least(0, "data", index=index)
        require_at_least(1, "data", batch_size=batch_size)
        require_one_of(get_args(BatchMode), "data.batch_mode", batch_mode)
        self.n, self.index, self.num_test, self.seed = n, index, num_test, seed
        self.num_duplicated, self.num_copies = _duplicates(duplicates, n)
        epoch = self.epoch_size
        self.batch_size = {"min": min(batch_size, epoch), "full": epoch, "fixed": batch_size}[batch_mode]
        self._resident: Tensor | None = None  # the training samples on the model's device
        self._resident_labels: Tensor | None = None

    def check(self, world_size: int = 1) -> None:
        """Refuse a batch that the ranks cannot share, and what no machine holds.

        Raises:
            ConfigError: The batch size is no multiple of ``world_size``, true labels that these data do not have, or
                more samples than the machine's memory has room for.
        """
        if self.labels.kind == "true":
            self._check_true_label()
        if self.batch_size % world_size:
            raise ConfigError(
                "data.batch_size",
                got=f"an effective batch of {self.batch_size} on {world_size} ranks",
                expected=f"a multiple of {world_size}: the batch is shared by the ranks",
                remedy="change --data.batch_size or --trainer.devices",
            )
        for name, value in (("n", self.n), ("num_test", self.num_test), ("batch_size", self.batch_size)):
            require_memory(name, value, 4 * value * self.sample_size, "data")
        if self.num_duplicated:  # an epoch is a permutation of int64, two of which a batch may need
            duplicates = f"{self.num_duplicated}:{self.num_copies}"
            require_memory("duplicates", duplicates, 2 * 8 * self.epoch_size, "data")

    def _check_true_label(self) -> None:
        names, chosen = self.label_names, self.labels.attribute
        if chosen in names or (not chosen and len(names) == 1):
            return
        own = (
            "no labels" if not names else "one label, without a name" if names == ("",) else f"{len(names)} attributes"
        )
        true = "" if not names else "true, " if names == ("",) else f"true:ATTRIBUTE with one of {', '.join(names)}; "
        raise ConfigError(
            "data.labels",
            got=f"{self.labels.name}, but these data have {own}",
            expected=f"{true}none, unique or random:K",
            remedy=self.labels_remedy,
        )

    def fingerprint(self) -> dict[str, Any]:
        """What identifies the source of the samples, for the record of the run; at least its ``sha256``."""
        raise NotImplementedError

    @property
    def train_positions(self) -> range:
        """Positions of the training subset in the order."""
        return range(self.index * self.n, (self.index + 1) * self.n)

    @property
    def epoch_size(self) -> int:
        """Samples of an epoch, duplicates among them."""
        return self.n + self.num_duplicated * (self.num_copies - 1)

    @property
    def sample_size(self) -> int:
        """Numbers in one sample, known before ``setup``."""
        return self.unit_images(range(1)).numel()

    def unit_images(self, positions: range) -> Tensor:
        """Samples at ``positions`` of the order, (len(positions), \\*), in the units of the source, not centred."""
        raise NotImplementedError

    def true_labels(self, part: Part) -> Tensor | None:
        """The labels of the source, (n,) or (num_test,) int64 from 0 on; None where it has none."""
        return None

    @property
    def label_names(self) -> Sequence[str]:
        """Names of the attributes of which ``true:NAME`` takes one; ("",) for one without a name, () for none."""
        return ()

    @property
    def num_true_classes(self) -> int:
        """Number of the labels of the source."""
        return 0

    @property
    def num_classes(self) -> int:
        """Number K of labels; 0 for data without."""
        return self.labels.num_classes(self)

    @cached_property
    def train_labels(self) -> Tensor | None:
        """(n,) int64, on the CPU; None for data without labels."""
        return self.labels.of(self.train_positions, "train", self)

    @cached_property
    def test_labels(self) -> Tensor | None:
        """(num_test,) int64, on the CPU, K where an image has no label; None for data without labels."""
        return self.labels.of(range(self.num_test), "test", self)

    def to_unit(self, images: Tensor) -> Tensor:
        """Samples (N, \\*) as the model sees them, back in the units of the source (not clamped)."""
        raise NotImplementedError

    def train_dataloader(self) -> RankBatches:
        return RankBatches(BatchStream(self.epoch_size, self.batch_size, self.seed), self._first_batch)

    def _first_batch(self) -> int:
        trainer = self.trainer
        return trainer.global_step * trainer.accumulate_grad_batches if trainer else 0

    def transfer_batch_to_device(self, batch: tuple[int, Tensor], device: torch.device, dataloader_idx: int) -> Batch:
        """Members of the resident training set, as they are trained on."""
        number, members = batch
        if self.num_duplicated:  # members from n on are the further copies, of the first K over and over
            members = torch.where(members < self.n, members, (members - self.n) % self.num_duplicated)
        if self._resident is None or self._resident.device != device:
            self._resident = self.train_images.to(device)
            self._resident_labels = None if self.train_labels is None else self.train_labels.to(device)
        members = send(members, device)
        labels = None if self._resident_labels is None else self._resident_labels[members]
        return Batch(number, self.augmented(self._resident[members], number), members, labels)

    def augmented(self, images: Tensor, number: int) -> Tensor:
        """This rank's ``images`` (B, \\*) of global batch ``number`` as they are trained on: here, as they are."""
        return images


def _duplicates(text: str | None, n: int) -> tuple[int, int]:
    """K and M of ``"K:M"``; 0 and 1 for None."""
    if text is None:
        return 0, 1
    found = re.fullmatch(r"(\d+):(\d+)", text)
    num, copies = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (1 <= num <= n and copies >= 2):
        raise ConfigError(
            "data.duplicates",
            got=text,
            expected=f"K:M, the first K of the {n} samples M times each, K >= 1 and M >= 2, or null",
            remedy="set --data.duplicates, e.g. 4:10",
        )
    return num, copies
