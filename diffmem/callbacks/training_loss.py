"""metrics.csv: the training loss and the speed; and the end of a run whose loss is no longer a number."""

import math
import time
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch
from torch import Tensor

from diffmem import ranks
from diffmem.callbacks.evaluation import seconds_evaluating
from diffmem.callbacks.updates import UpdateCallback
from diffmem.errors import DivergenceError, require_at_least
from diffmem.files import read_steps, write_table
from diffmem.roles import Role


class TrainingLoss(UpdateCallback):
    """Writes a row of ``metrics.csv`` every ``every_n_steps`` updates, and stops a run that diverges.

    Columns: ``step``; ``loss``, mean training loss since the row before; ``lr``; ``seconds``, wall time since the row
    before; ``seconds_evaluating``, what evaluations took of it. The last two differ from machine to machine.

    The last step has a row too, which a longer run replaces: its rows are those of a run that was as long from the
    start. Losses stay on the device between rows, so that no step waits for them.

    Args:
        every_n_steps: Updates between two rows.

    Raises:
        ConfigError: ``every_n_steps`` below 1.
        DivergenceError: A loss is NaN or infinite. Found at the next row; the step is named.
    """

    role: ClassVar[Role] = "operation"

    def __init__(self, every_n_steps: int = 50) -> None:
        require_at_least(1, "training_loss", every_n_steps=every_n_steps)
        self.every_n_steps = every_n_steps
        self._losses: list[Tensor] = []
        self._clock = self._evaluated = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._losses = [loss.to(pl_module.device) for loss in self._losses]  # a checkpoint's are on the CPU
        if trainer.is_global_zero:
            path = metrics_path(trainer)
            # that of a former last step is not of the schedule: its losses are in the checkpoint too
            last = trainer.global_step - bool(self._losses and trainer.global_step < trainer.max_steps)
            kept = [row for step, row in read_steps(path).items() if step <= last]
            if kept:
                write_table(path, kept)
            else:
                path.unlink(missing_ok=True)
        self._clock, self._evaluated = time.perf_counter(), seconds_evaluating(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._losses.append(outputs["loss"].detach() * trainer.accumulate_grad_batches)
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_update(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        step = trainer.global_step
        if step % self.every_n_steps != 0 and step != trainer.max_steps:
            return
        losses = (ranks.sum_over_ranks(torch.stack(self._losses)) / trainer.world_size).tolist()
        for place, loss in enumerate(losses):
            if not math.isfinite(loss):
                first = step - (len(losses) - 1 - place) // trainer.accumulate_grad_batches
                raise DivergenceError(first, f"a training loss of {loss}")
        now, evaluated = time.perf_counter(), seconds_evaluating(trainer)
        if trainer.is_global_zero:
            row = {
                "step": step,
                "loss": math.fsum(losses) / len(losses),
                "lr": trainer.optimizers[0].param_groups[0]["lr"],
                "seconds": round(now - self._clock, 3),
                "seconds_evaluating": round(evaluated - self._evaluated, 3),
            }
            _append(metrics_path(trainer), row)
        self._clock, self._evaluated = now, evaluated
        if step % self.every_n_steps == 0:
            self._losses = []

    def state_dict(self) -> dict[str, Any]:
        """Means over the ranks: every rank will load what rank 0 writes. A collective, like saving itself."""
        if not self._losses:
            return {"losses": []}
        return {"losses": (ranks.sum_over_ranks(torch.stack(self._losses)) / ranks.rank_and_world()[1]).tolist()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._losses = [torch.tensor(loss) for loss in state_dict["losses"]]


def metrics_path(trainer: pl.Trainer) -> Path:
    """The run's ``metrics.csv``."""
    return Path(trainer.default_root_dir) / "metrics.csv"


def _append(path: Path, row: dict[str, Any]) -> None:
    """Add one line; a whole table would be rewritten 20,000 times in a long run."""
    if not path.exists():
        write_table(path, [row])
        return
    with path.open("a") as file:
        file.write(",".join(str(value) for value in row.values()) + "\n")
