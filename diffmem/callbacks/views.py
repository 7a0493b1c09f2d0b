"""Views: ways of looking at the weights of one scheduled step."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, NamedTuple

import lightning.pytorch as pl
import torch
from torch import Tensor

from diffmem.callbacks.average import Average
from diffmem.data.subset import SubsetData
from diffmem.diffusion.guidance import Guidance
from diffmem.diffusion.sampling import Sampler, make_sampler
from diffmem.errors import ConfigError, parameters_of

#: The weights themselves, or the decay of one of their averages.
Weights = Literal["raw"] | float


@dataclass(frozen=True)
class View:
    """One way of looking at a training run. The default is the one whose table is ``evaluations.csv``.

    Attributes:
        weights: ``"raw"``, or the decay of an average of :class:`diffmem.callbacks.average.Average`.
        guidance: Weight w of :class:`diffmem.diffusion.guidance.Guidance`.
        interval: Diffusion times between which guidance acts; None for all.
        sampler: As in ``evaluation.sampler``, which None stands for.
        sampling_steps: As in ``evaluation.sampling_steps``, which None stands for.
    """

    weights: Weights = "raw"
    guidance: float = 0.0
    interval: tuple[float, float] | None = None
    sampler: str | None = None
    sampling_steps: int | None = None

    @property
    def name(self) -> str:
        """Name of its folder; "" for the default view."""
        parts = (
            "" if self.weights == "raw" else f"average{self.weights:g}",
            f"guidance{self._guidance_name}" if self.guidance else "",
            (self.sampler or "").replace(":", ""),
            "" if self.sampling_steps is None else f"steps{self.sampling_steps}",
        )
        return "-".join(part for part in parts if part)

    @property
    def group(self) -> str:
        """Where its keys are in the config: ``evaluation``, or its place in the list of views by its name."""
        return f"evaluation.views[{self.name}]" if self.name else "evaluation"

    @property
    def _guidance_name(self) -> str:
        interval = "" if self.interval is None else f"@{self.interval[0]:g}-{self.interval[1]:g}"
        return f"{self.guidance:g}{interval}"

    def prepared(self, sampler: str, sampling_steps: int) -> "PreparedView":
        """It with its guidance and sampler; ``sampler`` and ``sampling_steps`` are those of the default view.

        Raises:
            ParameterError: A weight or times that cannot be used, or a sampler that does not exist.
        """
        steps = sampling_steps if self.sampling_steps is None else self.sampling_steps
        chosen = make_sampler(sampler if self.sampler is None else self.sampler, steps)
        return PreparedView(self, Guidance(self.guidance, self.interval), chosen)


class PreparedView(NamedTuple):
    """A view with what its samples are drawn by."""

    view: View
    guidance: Guidance
    sampler: Sampler

    @property
    def columns(self) -> dict[str, float | int | str]:
        """What tells the rows of this view from those of another."""
        weights, weight = self.view.weights, self.view.guidance
        guidance = self.view._guidance_name if self.view.interval and weight else float(f"{weight:g}")
        return {"weights": weights, "guidance": guidance, "sampler": self.sampler.name}


def prepare_views(views: Sequence[View], sampler: str, sampling_steps: int) -> dict[str, PreparedView]:
    """The default view, named "", and ``views``, by name.

    Raises:
        ConfigError: A sampler or guidance that cannot be, or two views of one name.
    """
    found: dict[str, PreparedView] = {}
    for view in (View(), *views):
        with parameters_of(view.group, weight="guidance", num_steps="sampling_steps"):
            found[view.name] = view.prepared(sampler, sampling_steps)
    if len(found) <= len(views):
        names = [view.name or "the default view, which is always there" for view in views]
        raise ConfigError(
            "evaluation.views", got=", ".join(names), expected="different views", remedy="set --evaluation.views"
        )
    return found


def check_view(view: View, model: pl.LightningModule, callbacks: Iterable[pl.Callback]) -> None:
    """Refuse a view that the model does not have.

    Raises:
        ConfigError: Weights that no :class:`Average` among ``callbacks`` keeps, or guidance of an unconditional model.
    """
    decays = [decay for each in callbacks if isinstance(each, Average) for decay in each.decays]
    if view.weights not in ("raw", *decays):
        raise ConfigError(
            "evaluation.views",
            got=f"weights {view.weights}",
            expected=f"raw, or a decay among those of --average.decay ({', '.join(map(str, decays)) or 'none'})",
            remedy="set --average.decay",
        )
    if view.guidance and not getattr(model, "num_classes", 0):
        raise ConfigError(
            "evaluation.views",
            got=f"guidance {view.guidance:g} of an unconditional model",
            expected="a conditional one",
            remedy="set --model.network.num_classes and --data.labels",
        )


def weights_in_place(
    view: View, model: pl.LightningModule, callbacks: Iterable[pl.Callback]
) -> AbstractContextManager[None]:
    """The weights of ``view`` in the place of the model's own, which come back."""
    if view.weights == "raw":
        return nullcontext()
    averages = (each for each in callbacks if isinstance(each, Average) and view.weights in each.decays)
    return next(averages).in_place(model, float(view.weights))


def labels_of_samples(model: pl.LightningModule, numbers: range) -> Tensor | None:
    """Label i mod K of each sample i of ``numbers``, (len(numbers),) int64 on the device; None if unconditional."""
    num_classes: int = getattr(model, "num_classes", 0)
    return torch.arange(numbers.start, numbers.stop, device=model.device) % num_classes if num_classes else None


def check_labels(model: pl.LightningModule, data: SubsetData) -> None:
    """Refuse a model and data that do not know the same labels.

    Raises:
        ConfigError: They do not.
    """
    of_model, of_data = getattr(model, "num_classes", 0), getattr(data, "num_classes", 0)
    if of_model != of_data:
        raise ConfigError(
            "model.network.num_classes",
            got=of_model,
            expected=f"{of_data}, the labels of the data",
            remedy=f"set --model.network.num_classes={of_data}" + (" or --data.labels" if of_model else ""),
        )
