"""FID and KID: quality of the samples in the features of the Inception network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch
from torch import Tensor

from diffmem import ranks
from diffmem.callbacks.cache import cached, short_hash
from diffmem.callbacks.evaluation import Evaluation
from diffmem.callbacks.observer import EvaluationObserver, Row, Snapshot
from diffmem.callbacks.provenance import update_record
from diffmem.data.images import ImageData
from diffmem.errors import ConfigError, parameters_of, require_at_least
from diffmem.metrics.features import InceptionFeatures
from diffmem.metrics.frechet import Reference, feature_moments
from diffmem.metrics.kernel import kernel_distance
from diffmem.roles import Role


class FID(EvaluationObserver):
    """Fréchet and kernel distance of the samples to held-out reference sets, in Inception features. Off by default.

    The reference sets are the same for every n and disjoint from every training subset. Their features are computed
    once and kept in ``cache`` for all runs.

    Columns: ``fid`` and ``kid``, means over the reference sets; ``fid_std`` and ``kid_std``, standard deviations over
    them, empty for a single one; ``fid_train``, the FID of the training subset itself: where a model that only copies
    ends up; ``protocol``, a hash of features, weights, resize rule, counts and reference sets. The run's
    ``provenance.json`` spells the protocol out. Values of different protocols cannot be compared.

    Args:
        weights: torch-fidelity's Inception weights, a local file; None for no FID.
        references: Numbers of the reference sets to compare with; None for all that the data has.
        batch_size: Images per call of the Inception network.
        kid_subsets: Number of subsets of which KID is the mean.
        kid_subset_size: Samples of a subset; None for 1000, or fewer where there are fewer samples or reference images.
        cache: Folder for the features of the reference sets; None for ``.cache/fid`` in the run root.

    Raises:
        ConfigError: A count below 1, or torch-fidelity is not installed.
        DataError: The weights are missing or something else.
    """

    switch = "weights"
    roles: ClassVar[dict[str, Role]] = {
        "references": "protocol",
        "kid_subsets": "protocol",
        "kid_subset_size": "protocol",
    }

    needs_samples = True

    def __init__(
        self,
        weights: str | None = None,
        references: list[int] | None = None,
        batch_size: int = 128,
        kid_subsets: int = 100,
        kid_subset_size: int | None = None,
        cache: str | None = None,
    ) -> None:
        require_at_least(1, "fid", batch_size=batch_size, kid_subsets=kid_subsets)
        require_at_least(2, "fid", kid_subset_size=kid_subset_size)
        with parameters_of("fid"):
            self.inception = None if weights is None else InceptionFeatures(weights)
        self.references, self.batch_size = references, batch_size
        self.kid_subsets, self.kid_subset_size, self.cache = kid_subsets, kid_subset_size, cache
        self._references: list[tuple[Reference, Tensor]] | None = None
        self._train: float | None = None

    @property
    def measures_quality(self) -> bool:
        return self.inception is not None

    def check(self, data: ImageData, num_samples: int, model: pl.LightningModule) -> None:
        if self.inception is None:
            return
        if data.num_references < 1:
            raise ConfigError(
                "fid.weights",
                got="a file, but data without reference sets",
                expected="reference sets to compare with",
                remedy="set --data.num_references and --data.reference_size, or leave --fid.weights out",
            )
        numbers = self._numbers(data)
        if not numbers or len(set(numbers)) < len(numbers) or not set(numbers) <= set(range(data.num_references)):
            raise ConfigError(
                "fid.references",
                got=self.references,
                expected=f"some of 0 to {data.num_references - 1}, each once",
                remedy="set --fid.references",
            )
        fewest = min(num_samples, data.reference_size)
        if num_samples < 2 or (self.kid_subset_size or 2) > fewest:
            raise ConfigError(
                "evaluation.num_samples, data.reference_size",
                got=f"{num_samples} and {data.reference_size}",
                expected=f"at least {self.kid_subset_size or 2} each",
                remedy="ask for more samples, or lower --fid.kid_subset_size",
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.inception is None or not trainer.is_global_zero:
            return
        (evaluation,) = (each for each in trainer.callbacks if isinstance(each, Evaluation))
        protocol = self.protocol(trainer.datamodule, evaluation.samples.num)  # type: ignore[attr-defined]
        update_record(Path(trainer.default_root_dir), fid=protocol)

    def protocol(self, data: ImageData, num_samples: int) -> dict[str, Any]:
        """Everything that ``fid`` and ``kid`` depend on beside the samples; ``id`` is the column ``protocol``."""
        protocol = {
            **self.inception.protocol,
            "num_samples": num_samples,
            "reference_size": data.reference_size,
            "references": [self._source(data, data.reference_positions(number)) for number in self._numbers(data)],
            "kid": f"kernel (x·y/2048 + 1)³, {self.kid_subsets} subsets of {self._subset_size(data, num_samples)}",
        }
        return {"id": f"fid-{short_hash(protocol)}", **protocol}

    def measure(self, snapshot: Snapshot) -> Row:
        if self.inception is None:
            return {}
        data: ImageData = snapshot.data
        self.inception.to(snapshot.device)
        features = self._sample_features(snapshot)
        if self._references is None:
            self._references = [
                self._reference(snapshot, data.reference_positions(each)) for each in self._numbers(data)
            ]
            self._train = self._training_distance(snapshot)
        size = self._subset_size(data, snapshot.num_samples)
        kid = [kernel_distance(features, others, 0, self.kid_subsets, size) for _, others in self._references]
        return {
            **_mean_and_std("fid", self._distances(features)),
            "fid_train": self._train,
            **_mean_and_std("kid", torch.tensor(kid, dtype=torch.float64)),
            "protocol": self.protocol(data, snapshot.num_samples)["id"],
        }

    def _sample_features(self, snapshot: Snapshot) -> Tensor:
        """Features of the samples of all ranks, (num_samples, 2048), in the order of their numbers."""
        num = int(ranks.sum_over_ranks(torch.tensor(len(snapshot.samples), device=snapshot.device)))
        if num != snapshot.num_samples:
            raise ConfigError(
                f"step {snapshot.step}",
                got=f"{num} samples",
                expected=f"{snapshot.num_samples} for FID",
                remedy="give every rank its share of the samples",
            )
        first = snapshot.numbers.start
        return self._features(
            snapshot.num_samples,
            snapshot.numbers,
            lambda numbers: snapshot.data.to_unit(snapshot.samples[numbers.start - first : numbers.stop - first]),
            snapshot.device,
        )

    def _reference(self, snapshot: Snapshot, positions: range) -> tuple[Reference, Tensor]:
        """Moments and features (reference_size, 2048) of the images at ``positions``."""
        key = {**self.inception.protocol, **self._source(snapshot.data, positions)}
        features = self._cached(snapshot, "reference", key, lambda: self._features_at(snapshot, positions))
        return Reference.from_features(features), features

    def _training_distance(self, snapshot: Snapshot) -> float:
        data: ImageData = snapshot.data
        key = {
            **self.inception.protocol,
            "train": self._source(data, data.train_positions),
            "references": [self._source(data, data.reference_positions(number)) for number in self._numbers(data)],
        }
        distances = self._cached(
            snapshot, "train", key, lambda: self._distances(self._features_at(snapshot, data.train_positions))
        )
        return distances.mean().item()

    def _distances(self, features: Tensor) -> Tensor:
        """FID of ``features`` to each of the reference sets, float64."""
        mean, covariance, _ = feature_moments(features)
        distances = [reference.distance(mean, covariance) for reference, _ in self._references]
        return torch.tensor(distances, dtype=torch.float64)

    def _features_at(self, snapshot: Snapshot, positions: range) -> Tensor:
        """Features of the images at ``positions`` of the data's order, (len(positions), 2048)."""
        num, unit_images = len(positions), snapshot.data.unit_images
        return self._features(
            num, ranks.share(num), lambda numbers: unit_images(positions[numbers.start : numbers.stop]), snapshot.device
        )

    def _features(self, num: int, numbers: range, images: Callable[[range], Tensor], device: torch.device) -> Tensor:
        """Features (num, 2048) of which this rank computes ``numbers``, on every rank."""
        features = torch.zeros(num, self.inception.dimension, device=device)
        for start in range(numbers.start, numbers.stop, self.batch_size):
            block = range(start, min(start + self.batch_size, numbers.stop))
            features[block.start : block.stop] = self.inception(images(block).to(device))
        return ranks.sum_over_ranks(features)

    def _cached(self, snapshot: Snapshot, name: str, key: dict[str, Any], compute: Callable[[], Tensor]) -> Tensor:
        folder = Path(self.cache) if self.cache else snapshot.folder.parent.parent / ".cache" / "fid"
        return cached(folder, name, key, compute, snapshot.device)

    def _numbers(self, data: ImageData) -> list[int]:
        return list(range(data.num_references)) if self.references is None else self.references

    def _subset_size(self, data: ImageData, num_samples: int) -> int:
        return self.kid_subset_size or min(1000, num_samples, data.reference_size)

    @staticmethod
    def _source(data: ImageData, positions: range) -> dict[str, Any]:
        """What determines the images at ``positions``."""
        return {
            "data_sha256": data.fingerprint()["sha256"],
            "permutation_seed": data.permutation_seed,
            "positions": [positions.start, positions.stop],
        }


def _mean_and_std(name: str, values: Tensor) -> dict[str, float | None]:
    return {name: values.mean().item(), f"{name}_std": values.std().item() if len(values) > 1 else None}
