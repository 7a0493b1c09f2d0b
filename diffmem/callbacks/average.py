"""Averages of the weights along training, beside the weights themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from diffmem.callbacks.updates import UpdateCallback
from diffmem.errors import ConfigError
from diffmem.roles import Role


class Average(UpdateCallback):
    """Exponential moving averages of all parameters, θ̄_k = d θ̄_(k−1) + (1 − d) θ_k, θ̄_0 = θ_0, for several decays d.

    Training does not read them: views of :class:`diffmem.callbacks.evaluation.Evaluation` do. They are saved in every
    checkpoint. Buffers are not averaged.

    Args:
        decay: Decays in [0, 1); None for no average. At 0 the average is the weights themselves.

    Raises:
        ConfigError: A decay outside [0, 1), or one twice; when a run is resumed: a decay that its checkpoint lacks.
    """

    role: ClassVar[Role] = "measurement"

    def __init__(self, decay: list[float] | None = None) -> None:
        self.decays = tuple(decay or ())
        if len(set(self.decays)) < len(self.decays) or not all(0 <= each < 1 for each in self.decays):
            raise ConfigError(
                "average.decay",
                got=list(self.decays),
                expected="different decays from 0 up to, but not, 1",
                remedy="set --average.decay, e.g. [0.99,0.999]",
            )
        self._saved: dict[str, list[Tensor]] = {}
        self._averages: dict[float, AveragedModel] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self.begin(pl_module, fresh=trainer.global_step == 0)

    def begin(self, module: nn.Module, fresh: bool) -> None:
        """Start the averages at the weights of ``module``, or where the loaded state left them.

        Args:
            module: On its device.
            fresh: Whether training begins, and so do the averages.

        Raises:
            ConfigError: It does not, and the loaded state lacks a decay.
        """
        saved = {decay: None if fresh else self._loaded(decay) for decay in self.decays}
        self._averages = {decay: _average(module, decay, saved[decay]) for decay in self.decays}

    def _loaded(self, decay: float) -> list[Tensor]:
        """The average that the loaded state holds."""
        if str(decay) not in self._saved:
            raise ConfigError(
                "average.decay",
                got=decay,
                expected=f"one of the decays that the checkpoint holds: {', '.join(self._saved) or 'none'}",
                remedy="leave it out, or train another run from the start, e.g. with another --study",
            )
        return self._saved[str(decay)]

    def on_update(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._averages:
            weights = _Parameters(pl_module)
            for average in self._averages.values():
                average.update_parameters(weights)

    def state_dict(self) -> dict[str, Any]:
        return {
            str(decay): [each.detach().clone() for each in average.module.parameters()]
            for decay, average in self._averages.items()
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._saved, self._averages = state_dict, {}

    @contextmanager
    def in_place(self, module: nn.Module, decay: float) -> Iterator[None]:
        """The average takes the place of the weights of ``module``, which come back bit for bit.

        Raises:
            ConfigError: Neither this training nor the loaded state has it.
        """
        own = [each.detach().clone() for each in module.parameters()]
        average = self._averages.get(decay)
        _assign(module, self._loaded(decay) if average is None else average.module.parameters())
        try:
            yield
        finally:
            _assign(module, own)


class _Parameters(nn.Module):
    """The parameters of a module without the module: what ``AveragedModel`` may copy and read in its place."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.list = nn.ParameterList(module.parameters())


def _average(module: nn.Module, decay: float, saved: list[Tensor] | None) -> AveragedModel:
    weights = _Parameters(module)
    average = AveragedModel(weights, multi_avg_fn=get_ema_multi_avg_fn(decay))
    average.update_parameters(weights)  # the first is a copy: the average begins with these weights
    if saved is not None:
        _assign(average.module, saved)
    return average


@torch.no_grad()
def _assign(module: nn.Module, values: Any) -> None:
    for parameter, value in zip(module.parameters(), values, strict=True):
        parameter.copy_(value)
