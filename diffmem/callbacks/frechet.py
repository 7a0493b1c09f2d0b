"""Quality of the samples where Inception is not at hand or not meaningful: Fréchet distance in pixel space."""

from diffmem.callbacks.evaluation import Columns, EvaluationCallback, Snapshot
from diffmem.metrics.features import PixelFeatures
from diffmem.metrics.frechet import FrechetDistance, Reference, frechet_distance

_MIN_SAMPLES_FOR_ERROR = 20


class Frechet(EvaluationCallback):
    """Fréchet distance of the samples to the held-out images, in pixels of the range [0, 1].

    At 8×8 a pixel covariance holds the strokes themselves, needs no weights, and 64 dimensions are few enough for some
    hundred samples. The held-out set is the same for every n, so values of different n can be compared.

    Columns: ``frechet_pixels``; ``frechet_pixels_std``, its standard error over the samples (jackknife);
    ``frechet_pixels_train``, the distance of the training subset itself: where a model that only copies ends up.
    """

    def __init__(self) -> None:
        self._reference: Reference | None = None
        self._train: float | None = None

    def measure(self, snapshot: Snapshot) -> Columns:
        data = snapshot.data
        features = PixelFeatures(tuple(snapshot.samples.shape[1:]))
        if self._reference is None:
            self._reference = Reference.from_features(features(data.to_unit(data.test_images))).to(snapshot.device)
            train = Reference.from_features(features(data.to_unit(data.train_images))).to(snapshot.device)
            self._train = frechet_distance(
                train.mean, train.covariance, self._reference.mean, self._reference.covariance
            )
        num_groups = 10 if snapshot.num_samples >= _MIN_SAMPLES_FOR_ERROR else 1
        metric = FrechetDistance(self._reference, snapshot.num_samples, num_groups).to(snapshot.device)
        metric.update(features(data.to_unit(snapshot.samples)), snapshot.rows)
        return {
            features.metric_name: metric.compute().item(),
            f"{features.metric_name}_std": metric.standard_error().item() if num_groups > 1 else None,
            f"{features.metric_name}_train": self._train,
        }
