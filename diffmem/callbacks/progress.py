"""What a person sees while a run trains: a bar on a terminal, plain lines elsewhere."""

import math
import time
from typing import ClassVar

import lightning.pytorch as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from diffmem.callbacks.evaluation import seconds_evaluating, share_sampled
from diffmem.callbacks.observer import EvaluationObserver, Row
from diffmem.callbacks.updates import UpdateCallback
from diffmem.errors import require_at_least
from diffmem.roles import Role

_QUIET_SECONDS = 30.0  # between two lines of one evaluation
_WIDE = 100  # columns that a bar beside the numbers needs


class ProgressReport(UpdateCallback, EvaluationObserver):
    """Step, loss, updates per second and time left; how far a long evaluation is, and f_mem and quality at its end.

    Args:
        every_n_steps: Updates between two plain lines where the output is not a terminal.

    Raises:
        ConfigError: ``every_n_steps`` below 1.
    """

    role: ClassVar[Role] = "operation"

    def __init__(self, every_n_steps: int = 200) -> None:
        require_at_least(1, "progress", every_n_steps=every_n_steps)
        self.every_n_steps = every_n_steps
        self._console = Console(highlight=False)
        self._bar: Progress | None = None
        self._said = -math.inf  # when an evaluation was last heard of
        self._start = (0, 0.0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._said = time.perf_counter()
        self._start = (trainer.global_step, time.perf_counter())
        if self._console.is_terminal and trainer.is_global_zero:
            self._bar = Progress(
                TextColumn(
                    "step {task.completed:.0f}/{task.total:.0f}", table_column=Column(no_wrap=True, min_width=16)
                ),
                *([BarColumn(bar_width=10)] if self._console.width >= _WIDE else []),
                TextColumn("{task.description}"),
                TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=8)),
                console=self._console,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=trainer.max_steps, completed=trainer.global_step)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:  # type: ignore[no-untyped-def]
        self._outputs = outputs
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_update(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        step = trainer.global_step
        interval = 10 if self._bar else self.every_n_steps
        if not trainer.is_global_zero or (step % interval and step != trainer.max_steps):
            return
        loss = self._outputs["loss"].item() * trainer.accumulate_grad_batches
        first, start = self._start
        rate = (step - first) / (time.perf_counter() - start)
        state = f"loss {loss:.4f} · {rate:.1f} it/s"
        if self._bar:
            self._bar.update(self._task, completed=step, description=state)
        else:
            left = _duration((trainer.max_steps - step) / rate)
            self._console.print(f"step {step}/{trainer.max_steps} · {state} · {left} left", soft_wrap=True)

    def on_sampling(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero or time.perf_counter() - self._said < (1 if self._bar else _QUIET_SECONDS):
            return
        self._said, share = time.perf_counter(), share_sampled(trainer)
        if self._bar:
            self._bar.update(self._task, description=f"evaluation, {share:.0%} of the samples")
        else:
            self._console.print(
                f"step {trainer.global_step}: evaluation, {share:.0%} of the samples drawn", soft_wrap=True
            )

    def on_row(self, trainer: pl.Trainer, row: Row) -> None:
        quality = next((f"{name} {row[name]:.3g}" for name in row if name == "fid" or name.startswith("frechet_")), "")
        f_mem = f"f_mem {row['f_mem']:.1%}" if "f_mem" in row else ""
        if trainer.is_global_zero and (f_mem or quality):
            found = " · ".join(filter(None, (f_mem, quality)))
            self._console.print(f"step {row['step']}: {found}", soft_wrap=True)
        self._said = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop()
        if trainer.is_global_zero:
            elapsed = time.perf_counter() - self._start[1]
            share = seconds_evaluating(trainer) / elapsed
            self._console.print(f"{_duration(elapsed)}, {share:.0%} of it for evaluations", soft_wrap=True)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._bar:
            self._bar.stop()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
