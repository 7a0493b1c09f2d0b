"""One step of a run, seen by all measurements in each of its views."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from diffmem import ranks
from diffmem.callbacks.calls import before_each_call
from diffmem.callbacks.contract import Images
from diffmem.callbacks.generated import GeneratedSamples
from diffmem.callbacks.observer import EvaluationObserver, Row, Snapshot, observers_of
from diffmem.callbacks.views import PreparedView, Weights, labels_of_samples, weights_in_place
from diffmem.errors import DivergenceError


@dataclass(frozen=True)
class RunAtStep:
    """A run with the weights of one step.

    Attributes:
        trainer: Its callbacks measure.
        model: The module.
        data: Training and held-out images.
        step: Number of updates behind the weights.
        folder: Where measurements keep files of their own.
    """

    trainer: pl.Trainer
    model: pl.LightningModule
    data: Images
    step: int
    folder: Path

    @property
    def columns(self) -> Row:
        """The time in updates, images and epochs, and what one update and the held-out images are."""
        batch_size = self.data.batch_size * self.trainer.accumulate_grad_batches
        images_seen = self.step * batch_size
        return {
            "step": self.step,
            "images_seen": images_seen,
            "epochs": images_seen / len(self.data.train_images),
            "batch_size": batch_size,
            "num_test": len(self.data.test_images),
        }


class Measurement:
    """Measures one step in one view after another; what needs no samples once for all views of the same weights.

    Args:
        at: The run at this step, :func:`evaluating`.
        samples: What is drawn in each view.
        samples_only: Whether what needs no samples is left out, for a further set of samples at a known step.
    """

    def __init__(self, at: RunAtStep, samples: GeneratedSamples, samples_only: bool = False) -> None:
        self._at, self._samples, self._samples_only = at, samples, samples_only
        self._observers = observers_of(at.trainer)
        self._of_weights: dict[tuple[Weights, EvaluationObserver], Row] = {}

    def row(self, view: PreparedView) -> Row:
        """What all observers say of ``view``. A collective: every rank takes part.

        Raises:
            DivergenceError: Samples that are not finite, on any rank.
        """
        at, num_samples = self._at, self._samples.num_of(self._at.model)
        row: dict[str, float | int | str | None] = {
            **at.columns,
            "num_samples": num_samples,
            "sampler": view.sampler.name if num_samples else None,
            **(at.model.columns(at.step) if hasattr(at.model, "columns") else {}),
        }
        with weights_in_place(view.view, at.model, at.trainer.callbacks):  # type: ignore[attr-defined]
            snapshot = self._snapshot(view, num_samples)
            # one process can stop at any call of the network; several only where all of them call it
            with before_each_call(at.model, self._announce if ranks.rank_and_world()[1] == 1 else None):
                for observer in self._observers:
                    if observer.needs_samples:
                        row.update(observer.measure(snapshot) if num_samples else {})
                    elif not self._samples_only:
                        key = (view.view.weights, observer)
                        if key not in self._of_weights:
                            self._of_weights[key] = observer.measure(snapshot)
                        row.update(self._of_weights[key])
        return row

    def _snapshot(self, view: PreparedView, num_samples: int) -> Snapshot:
        at, numbers = self._at, ranks.share(num_samples)
        samples = self._samples.draw(at.model, numbers, at.data.train_images.shape[1:], view, self._announce)
        return Snapshot(
            step=at.step,
            samples=self._finite(samples),
            numbers=numbers,
            num_samples=num_samples,
            model=at.model,
            data=at.data,
            folder=at.folder,
            view=view.view.name,
            labels=labels_of_samples(at.model, numbers),
        )

    def _announce(self) -> None:
        for observer in self._observers:
            observer.on_sampling(self._at.trainer, self._at.model)

    def _finite(self, samples: Tensor) -> Tensor:
        if ranks.any_rank(not samples.isfinite().all(), samples.device):
            raise DivergenceError(self._at.step, "samples that are not finite")
        return samples


@contextmanager
def evaluating(trainer: pl.Trainer, module: nn.Module) -> Iterator[None]:
    """Eval mode without gradients in the trainer's precision; each submodule's own mode comes back after."""
    modes = {each: each.training for each in module.modules()}
    module.eval()
    module.zero_grad()  # used up, and with CUDA graphs in memory that the network's next call takes
    try:
        # not inference_mode, after which a compiled network cannot be trained (pytorch issue 135892)
        with torch.no_grad(), trainer.strategy.precision_plugin.forward_context():
            yield
    finally:
        for each, training in modes.items():
            each.training = training
