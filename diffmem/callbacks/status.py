"""status.json: what a run is doing, for those who look at many runs."""

import contextlib
import time
from pathlib import Path
from typing import ClassVar

import lightning.pytorch as pl

from diffmem.callbacks.observer import EvaluationObserver, Row
from diffmem.callbacks.updates import UpdateCallback
from diffmem.errors import as_user_error, require_at_least
from diffmem.jobs.signals import StopRequested
from diffmem.roles import Role
from diffmem.runs.state import RunState, State, write_state
from diffmem.text import one_line


class Status(UpdateCallback, EvaluationObserver):
    """Writes ``status.json`` (:class:`diffmem.runs.state.RunState`) at least every ``every_seconds``.

    Args:
        every_seconds: Longest age of the file while steps are made or samples drawn.

    Raises:
        ConfigError: ``every_seconds`` below 0.
    """

    role: ClassVar[Role] = "operation"

    def __init__(self, every_seconds: float = 10.0) -> None:
        require_at_least(0, "status", every_seconds=every_seconds)
        self.every_seconds = every_seconds
        self._f_mem: float | None = None
        self._start = (0, 0.0)
        self._written = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._start = (trainer.global_step, time.time())
        self._write(trainer, "running")

    def on_update(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._renew(trainer)

    def on_sampling(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._renew(trainer)

    def _renew(self, trainer: pl.Trainer) -> None:
        if time.time() - self._written >= self.every_seconds:
            self._write(trainer, "running")

    def on_row(self, trainer: pl.Trainer, row: Row) -> None:
        f_mem = row.get("f_mem")
        self._f_mem = f_mem if isinstance(f_mem, float) else None

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reached also by a run that was killed after its last checkpoint and has nothing left to train."""
        self._write(trainer, "done")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        with contextlib.suppress(OSError):  # a full disk, of which the exception will speak
            if isinstance(exception, StopRequested):
                self._write(trainer, "requeued")
            else:
                known = as_user_error(exception)
                self._write(trainer, "failed", one_line(known or f"{type(exception).__name__}: {exception}"))

    def _write(self, trainer: pl.Trainer, state: State, reason: str | None = None) -> None:
        if not trainer.is_global_zero:
            return
        self._written = time.time()
        first, start = self._start
        write_state(
            RunState(
                state,
                folder=Path(trainer.default_root_dir),
                step=trainer.global_step,
                max_steps=trainer.max_steps,
                steps_per_second=(trainer.global_step - first) / max(self._written - start, 1e-9),
                f_mem=self._f_mem,
                reason=reason,
            )
        )
