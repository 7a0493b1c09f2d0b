"""What the callbacks read of a model, of its data and of a batch: what a Lightning project of one's own has to give.

- A **model** is a LightningModule. With ``sample`` it is measured by samples, without it by losses alone; its
  ``schedule`` is :class:`Times`, its methods are those of :class:`DiffusionModel`.
- The **data** are a LightningDataModule with the attributes of :class:`Images`.
- A **batch** is read by ``training_step`` alone. That of :class:`diffmem.models.DDPM` takes a
  :class:`diffmem.data.subset.Batch`; one of your own takes what your loader gives.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import lightning.pytorch as pl
from torch import Tensor

from diffmem.data.subset import SubsetData
from diffmem.diffusion.sampling import Sampler, StepNoise
from diffmem.errors import ConfigError


class Times(Protocol):
    """The diffusion times of a model by index, as :class:`diffmem.diffusion.schedule.LinearSchedule` is one."""

    num_steps: int
    alpha_bar: Tensor  # (num_steps,) float64

    def index_of(self, t: float) -> int:
        """Index of the diffusion time ``t``."""


class DiffusionModel(Protocol):
    """What the measurements call."""

    schedule: Times

    def losses(self, images: Tensor, noise: Tensor, index: Tensor) -> Tensor:
        """Noise-prediction loss (B,) of images (B, \\*) at steps ``index`` (B,): read by ``Losses``."""

    def sample(self, noise: Tensor, sampler: Sampler, step_noise: StepNoise) -> Tensor:
        """Samples (B, \\*) from ``noise``: read by all that looks at samples."""

    def score(self, x_t: Tensor, index: Tensor) -> Tensor:
        """∇log P_t (B, \\*) as learned: read by ``ScoreDistance`` and ``Likelihood``."""


class Images(Protocol):
    """What every evaluation reads of the data: float images (·, C, H, W) or vectors (·, d), as the model sees them.

    They are there after ``setup``. Some measurements, FID among them, read more: of
    :class:`diffmem.data.images.ImageData`.
    """

    train_images: Tensor
    test_images: Tensor
    batch_size: int  # images of an update over all ranks

    def to_unit(self, images: Tensor) -> Tensor:
        """Images in the pixel range [0, 1]; vectors in the units of the source."""


class DescribedImages:
    """Data of one's own as the checks of the measurements see them.

    Args:
        data: The data, set up.
    """

    law = None
    num_references = 0

    def __init__(self, data: Images) -> None:
        self._data = data
        self.n, self.num_test, self.batch_size = len(data.train_images), len(data.test_images), data.batch_size
        self.sample_size = data.train_images[0].numel()

    def unit_images(self, positions: range) -> Tensor:
        """Training images at ``positions`` in the units of the source."""
        return self._data.to_unit(self._data.train_images[positions.start : positions.stop])


def require_of_model(model: pl.LightningModule, *names: str) -> None:
    """Refuse a model that lacks what is read of it.

    Args:
        model: The trainer's module.
        *names: Members of :class:`DiffusionModel`.

    Raises:
        ConfigError: All that is missing or of another kind, in one line.
    """
    _refuse_missing("model", model, {name: _OF_MODEL[name] for name in names})
    if "schedule" in names:
        _refuse_missing("model.schedule", model.schedule, _OF_SCHEDULE)


def described(data: object) -> SubsetData:
    """``data``, which a project of one's own gave the trainer, as the measurements check them before they begin.

    Raises:
        ConfigError: All that is missing or of another kind, in one line.
    """
    if isinstance(data, SubsetData):
        return data
    if data is None:
        raise ConfigError("data", got="none", expected=", ".join(_OF_DATA), remedy="call trainer.fit(…, datamodule=…)")
    _refuse_missing("data", data, _OF_DATA)
    return DescribedImages(data)  # type: ignore[arg-type, return-value]


def _is_images(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() >= 2 and len(value) >= 2


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 1


def _is_there(value: object) -> bool:
    return value is not None


_OF_MODEL = {"schedule": _is_there, "losses": callable, "sample": callable, "score": callable}
_OF_SCHEDULE = {"num_steps": _is_count, "alpha_bar": _is_there, "index_of": callable}
_OF_DATA = {"train_images": _is_images, "test_images": _is_images, "batch_size": _is_count, "to_unit": callable}


def _refuse_missing(what: str, owner: object, wanted: Mapping[str, Callable[[object], bool]]) -> None:
    found = {name: getattr(owner, name, None) for name in wanted}
    missing = [name for name, value in found.items() if value is None]
    other = [f"another {name}" for name, value in found.items() if value is not None and not wanted[name](value)]
    if missing or other:
        got = " and ".join(filter(None, (missing and f"no {', '.join(missing)}", ", ".join(other))))
        raise ConfigError(
            what,
            got=f"{type(owner).__name__} with {got}",
            expected=", ".join(wanted),
            remedy="diffmem/callbacks/contract.py says what each has to be",
        )
