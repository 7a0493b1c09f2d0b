"""Stopping on request, so that the same command goes on where the run was."""

from typing import ClassVar

import lightning.pytorch as pl
import torch

from diffmem import ranks
from diffmem.callbacks.checkpoint import Checkpoint
from diffmem.callbacks.observer import EvaluationObserver
from diffmem.callbacks.updates import UpdateCallback
from diffmem.errors import CheckpointError, require_at_least
from diffmem.jobs import signals
from diffmem.jobs.signals import StopRequested
from diffmem.roles import Role


class StopOnSignal(UpdateCallback, EvaluationObserver):
    """Ends training with :class:`~diffmem.jobs.signals.StopRequested` when a rank has received a signal of
    :mod:`diffmem.jobs.signals`.

    The update in progress is finished; an evaluation in progress is given up, to be made whole by the next start. The
    state is saved on the way out. The last update is not followed by a stop: the run is about to end.

    Callbacks that change with an update come before this one, :class:`~diffmem.callbacks.evaluation.Evaluation` after.

    Args:
        every_n_steps: Updates between two checks on which the ranks agree; a single process checks after every update.

    Raises:
        ConfigError: ``every_n_steps`` below 1.
        CheckpointError: Ranks have loaded different checkpoints.
    """

    role: ClassVar[Role] = "operation"

    def __init__(self, every_n_steps: int = 10) -> None:
        require_at_least(1, "signals", every_n_steps=every_n_steps)
        self.every_n_steps = every_n_steps
        self._saved_step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._saved_step = trainer.global_step
        if not ranks.same_on_all_ranks(trainer.global_step, pl_module.device):
            raise CheckpointError(
                f"{trainer.default_root_dir}/checkpoints",
                got=f"step {trainer.global_step} on rank {trainer.global_rank}, another step on another rank",
                expected="the same files on every node",
                remedy="put --run_root on a file system that all nodes share",
            )

    def on_update(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        step = trainer.global_step
        if step != trainer.max_steps and (trainer.world_size == 1 or step % self.every_n_steps == 0):
            self._stop_if_requested(pl_module.device)

    def on_sampling(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop_if_requested(pl_module.device)

    @staticmethod
    def _stop_if_requested(device: torch.device) -> None:
        if ranks.any_rank(signals.stop_requested(), device):
            raise StopRequested(requeue=ranks.any_rank(signals.requeue_requested(), device))

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        # a checkpoint of the last step would end the run without its evaluation
        if isinstance(exception, StopRequested) and trainer.global_step not in (self._saved_step, trainer.max_steps):
            for checkpoint in (each for each in trainer.callbacks if isinstance(each, Checkpoint)):
                checkpoint.save(trainer, pl_module)
