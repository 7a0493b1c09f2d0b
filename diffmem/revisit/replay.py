"""A run's training repeated in memory, to look at steps that were not saved.

A run is a pure function of its config: what is seen is what a schedule with these steps would have seen, bit for bit on
the same machine with the same number of threads.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import lightning.pytorch as pl

from diffmem.callbacks.checkpoint import read_checkpoint
from diffmem.callbacks.updates import UpdateCallback
from diffmem.errors import ConfigError
from diffmem.files import is_whole
from diffmem.revisit.reopen import ReopenedRun
from diffmem.runs.saved import saved_steps

Visit = Callable[[ReopenedRun, int], None]


def replay(
    folder: Path,
    steps: Sequence[int],
    visit: Visit,
    overrides: Sequence[str] = (),
    further: Mapping[int, Path] = MappingProxyType({}),
) -> int:
    """Call ``visit(run, step)`` with the model of each step, ascending; nothing in the folder changes.

    Each step is reached from the newest whole checkpoint at or before it, or from the start.

    Args:
        folder: The run's folder.
        steps: Steps of the run.
        visit: Reads the model; training does not notice.
        overrides: As in :class:`ReopenedRun`.
        further: Checkpoints of the run that lie elsewhere, by step.

    Returns:
        Number of updates that were repeated.

    Raises:
        ConfigError: A step beyond the newest checkpoint, or as :class:`ReopenedRun`.
    """
    saved = {step: path for step, path in saved_steps(folder).items() if is_whole(path)} | dict(further)
    newest = max(saved, default=0)
    for step in steps:
        if not 0 <= step <= newest:
            raise ConfigError(
                "--at",
                got=step,
                expected=f"steps of the run, 0 to {newest}, its newest checkpoint",
                remedy="train it longer with diffmem.fit and a larger --trainer.max_steps",
            )
    from_checkpoint: dict[int, list[int]] = {}
    for step in sorted(set(steps)):
        from_checkpoint.setdefault(max((each for each in saved if each <= step), default=0), []).append(step)
    repeated = 0
    for start, group in from_checkpoint.items():
        if group == [start] and start in saved:
            run = ReopenedRun(folder, overrides)
            visit(run, run.load(saved[start]))
            continue
        run = ReopenedRun(folder, overrides, max_steps=max(*group, start + 1))
        if start in saved:
            read_checkpoint(saved[start], run.model, run.cli.identity.config_hash)
        run.trainer.callbacks.append(_Visits(run, group, visit))
        run.trainer.fit(run.model, datamodule=run.data, ckpt_path=saved.get(start), weights_only=True)
        repeated += group[-1] - start
    return repeated


class _Visits(UpdateCallback):
    """Stops at the steps to visit, and after the last of them."""

    def __init__(self, run: ReopenedRun, steps: Sequence[int], visit: Visit) -> None:
        self._run, self._steps, self._visit = run, set(steps), visit

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self.on_update(trainer, pl_module)

    def on_update(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step in self._steps:
            self._visit(self._run, trainer.global_step)
        if trainer.global_step >= max(self._steps):
            trainer.should_stop = True
