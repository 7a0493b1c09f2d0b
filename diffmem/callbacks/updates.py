"""The clock of every callback: optimizer updates, each seen once."""

from typing import Any

import lightning.pytorch as pl


class UpdateCallback(pl.Callback):
    """Calls :meth:`on_update` once for each optimizer update, also when gradients are accumulated over batches."""

    _last_step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._last_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step != self._last_step:
            self._last_step = trainer.global_step
            self.on_update(trainer, pl_module)

    def on_update(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """``trainer.global_step`` updates have been made."""
