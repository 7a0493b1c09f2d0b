"""Weights & Biases as a mirror of the local tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import lightning.pytorch as pl

from diffmem.callbacks.observer import EvaluationObserver, Row
from diffmem.errors import ConfigError
from diffmem.roles import Role

Mode = Literal["disabled", "offline", "online"]


def _write_at_once(settings: Any) -> dict[str, int]:
    """What makes an offline run be on disk a second after it was logged, where this version of W&B (0.31) has it."""
    name = "x_transaction_log_flush_interval"
    return {name: 1} if name in settings.model_fields else {}


class WandbMirror(EvaluationObserver):
    """Logs each row of ``evaluations.csv`` to W&B, on ``step`` as the axis of every metric.

    The run's id is the name of its folder: a requeued run goes on in the same W&B run (online), and offline folders
    of one run share their id.

    Args:
        mode: ``"disabled"``, ``"offline"`` (sync later) or ``"online"``.
        project: W&B project.
        entity: W&B user or team; None for the default one.
        group: W&B group; None for the study.
        tags: W&B tags.

    Attributes:
        config: The run's config as plain values, set by the command line.

    Raises:
        ConfigError: W&B does not take the run.
    """

    role: ClassVar[Role] = "operation"

    def __init__(
        self,
        mode: Mode = "disabled",
        project: str = "diffmem",
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
    ) -> None:
        self.mode, self.project, self.entity, self.group, self.tags = mode, project, entity, group, tags
        self.config: Mapping[str, object] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.mode == "disabled" or not trainer.is_global_zero:
            return
        import wandb  # half a second that a disabled mirror does not cost

        folder = Path(trainer.default_root_dir)
        try:
            self._run = wandb.init(
                mode=self.mode,
                project=self.project,
                entity=self.entity,
                group=self.group or folder.parent.name,
                tags=self.tags,
                id=folder.name,
                name=folder.name,
                resume="allow",
                dir=folder,
                config=self.config,
                settings=wandb.Settings(console="off", **_write_at_once(wandb.Settings)),
            )
        except wandb.errors.Error as error:
            raise ConfigError(
                "wandb.mode",
                got=f"{self.mode}, which W&B refuses ({str(error).splitlines()[0]})",
                expected="a W&B account and a network",
                remedy="run wandb login, or set --wandb.mode=offline",
            ) from error
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def on_row(self, trainer: pl.Trainer, row: Row) -> None:
        if self.mode != "disabled" and trainer.is_global_zero:
            self._run.log({key: value for key, value in row.items() if isinstance(value, int | float)})

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._finish(trainer, 0)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._finish(trainer, 1)

    def _finish(self, trainer: pl.Trainer, exit_code: int) -> None:
        if self.mode != "disabled" and trainer.is_global_zero and hasattr(self, "_run"):
            self._run.finish(exit_code=exit_code)
