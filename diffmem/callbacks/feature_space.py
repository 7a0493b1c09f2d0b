"""A scheduled step as it looks in the features of some network, in which distances may mean more than in pixels."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from diffmem.callbacks.contract import Images
from diffmem.callbacks.observer import Snapshot
from diffmem.errors import ConfigError, ParameterError, parameters_of

_BATCH = 256


class FeatureImages:
    """Training and held-out images as features (·, D).

    Args:
        data: The images.
        features_of: Features (N, D) of images (N, \\*) in the units of the source.
    """

    def __init__(self, data: Images, features_of: Callable[[Tensor], Tensor]) -> None:
        self.train_images = features_of(data.to_unit(data.train_images))
        self.test_images = features_of(data.to_unit(data.test_images))
        self.batch_size = data.batch_size

    def to_unit(self, images: Tensor) -> Tensor:
        """The features themselves."""
        return images


class FeatureSpace:
    """Makes of a snapshot one whose samples and images are features; those of the images are computed once.

    Args:
        features: ``features(images)`` → (B, …) for images (B, C, H, W) in [0, 1], not clamped, or vectors; frozen here,
            in eval mode. One with a method ``fit(images)`` is given the training and held-out images together first, so
            that it favours neither. None leaves a snapshot as it is.

    Raises:
        ParameterError: ``features`` has no ``forward``.
    """

    def __init__(self, features: nn.Module | None) -> None:
        if features is not None and type(features).forward is nn.Module.forward:
            raise ParameterError(
                "features",
                got=f"{type(features).__name__}, which computes nothing",
                expected="a module that makes a vector of each image",
            )
        self.features = None if features is None else features.eval().requires_grad_(False)
        self._images: FeatureImages | None = None

    def __call__(self, snapshot: Snapshot) -> Snapshot:
        """``snapshot`` in the space of the features.

        Raises:
            ConfigError: The features of an image are no vector.
        """
        if self.features is None:
            return snapshot
        self.features.to(snapshot.device)

        def features_of(images: Tensor) -> Tensor:
            if not len(images):
                return images.new_empty(0, 0)
            return torch.cat([self._vectors(each.to(snapshot.device)) for each in images.split(_BATCH)])

        if self._images is None:
            data = snapshot.data
            if hasattr(self.features, "fit"):
                with parameters_of("memorization.features.init_args"):
                    self.features.fit(data.to_unit(torch.cat([data.train_images, data.test_images])))
            self._images = FeatureImages(data, features_of)
        samples = features_of(snapshot.data.to_unit(snapshot.samples))
        width = self._images.train_images.shape[1]
        return replace(snapshot, samples=samples.reshape(len(samples), width), data=self._images)

    def _vectors(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            found = self.features(images)  # type: ignore[misc]
        if not isinstance(found, Tensor) or len(found) != len(images):
            raise ConfigError(
                "features",
                got="no tensor with a vector for each image",
                expected="features (B, D) of images (B, …)",
                remedy="set --memorization.features.class_path to another module",
            )
        return found.flatten(1).float()
