"""Quality of the samples where Inception is not at hand or not meaningful: Fréchet distance in pixel space."""

from typing import Literal

import lightning.pytorch as pl

from diffmem.callbacks.observer import EvaluationObserver, Row, Snapshot
from diffmem.data.subset import SubsetData
from diffmem.errors import ConfigError, require_at_least, require_one_of
from diffmem.metrics.frechet import FrechetDistance, Reference, frechet_distance

_MIN_SAMPLES_FOR_ERROR = 20
_MAX_DIMENSION = 4096


class Frechet(EvaluationObserver):
    """Fréchet distance of the samples to the held-out images, in pixels of the range [0, 1].

    At 8×8 a pixel covariance holds the strokes themselves, needs no weights, and 64 dimensions are few enough for some
    hundred samples. The held-out set is the same for every n, so values of different n can be compared.

    Columns: ``frechet_pixels``; ``frechet_pixels_std``, its standard error over the samples (jackknife);
    ``frechet_pixels_train``, the distance of the training subset itself: where a model that only copies ends up.

    Args:
        features: None switches the distance off, for images whose covariance is too large.

    Raises:
        ConfigError: Another name; before training: images of more than 4096 values.
    """

    needs_samples = True

    def __init__(self, features: Literal["pixels"] | None = "pixels") -> None:
        require_one_of(("pixels", None), "frechet.features", features)
        self.features = features
        self._reference: Reference | None = None
        self._train: float | None = None

    @property
    def measures_quality(self) -> bool:
        return self.features is not None

    def check(self, data: SubsetData, num_samples: int, model: pl.LightningModule) -> None:
        if self.features and num_samples:
            require_at_least(2, "evaluation", num_samples=num_samples)
        dimension = data.unit_images(range(1)).numel()
        if self.features and dimension > _MAX_DIMENSION:
            raise ConfigError(
                "frechet.features",
                got=f"pixels of images with {dimension} values",
                expected=f"at most {_MAX_DIMENSION}, whose covariance can be handled",
                remedy="set --frechet.features=null and --fid.weights=FILE",
            )

    def measure(self, snapshot: Snapshot) -> Row:
        if self.features is None:
            return {}
        data = snapshot.data
        if self._reference is None:
            self._reference = Reference.from_features(data.to_unit(data.test_images).flatten(1)).to(snapshot.device)
            train = Reference.from_features(data.to_unit(data.train_images).flatten(1)).to(snapshot.device)
            self._train = frechet_distance(
                train.mean, train.covariance, self._reference.mean, self._reference.covariance
            )
        num_groups = 10 if snapshot.num_samples >= _MIN_SAMPLES_FOR_ERROR else 1
        metric = FrechetDistance(self._reference, snapshot.num_samples, num_groups).to(snapshot.device)
        metric.update(data.to_unit(snapshot.samples).flatten(1), snapshot.numbers)
        return {
            "frechet_pixels": metric.compute().item(),
            "frechet_pixels_std": metric.standard_error().item() if num_groups > 1 else None,
            "frechet_pixels_train": self._train,
        }
