"""Checkpoints that are whole or absent, and the newest one that can be trusted."""

import warnings
from pathlib import Path
from typing import ClassVar

import lightning.pytorch as pl

from diffmem import ranks
from diffmem.callbacks.updates import UpdateCallback
from diffmem.errors import CheckpointError, DivergenceError, require_at_least
from diffmem.files import is_whole, partial_path, publish
from diffmem.roles import Role

LAST = "last.ckpt"


class Checkpoint(UpdateCallback):
    """Saves ``checkpoints/step-*.ckpt`` every ``every_n_steps`` updates and at the end; ``last.ckpt`` is the newest.

    A file is written under a temporary name and renamed, so one that has its name is whole.

    Args:
        every_n_steps: Updates between two checkpoints.
        keep: Number of checkpoints kept, at least 2, so that there is one to fall back to; None keeps all.

    Raises:
        ConfigError: ``every_n_steps`` below 1 or ``keep`` below 2.
        DivergenceError: A weight is not finite; nothing is written.
    """

    role: ClassVar[Role] = "operation"

    def __init__(self, every_n_steps: int = 1000, keep: int | None = None) -> None:
        require_at_least(1, "checkpoint", every_n_steps=every_n_steps)
        require_at_least(2, "checkpoint", keep=keep)
        self.every_n_steps, self.keep = every_n_steps, keep

    def on_update(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        ends = trainer.global_step == trainer.max_steps or trainer.should_stop
        if trainer.global_step % self.every_n_steps == 0 or ends:
            self.save(trainer, pl_module)

    def save(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> Path:
        """Save the state after the current update. A collective: every rank takes part."""
        folder = Path(trainer.default_root_dir) / "checkpoints"
        path = folder / f"step-{trainer.global_step:08d}.ckpt"
        save_checkpoint(trainer, pl_module, path)
        if trainer.is_global_zero:
            link = partial_path(folder / LAST)
            link.unlink(missing_ok=True)
            link.symlink_to(path.name)
            link.replace(folder / LAST)
            for old in _newest_first(folder)[self.keep :] if self.keep else []:
                old.unlink()
        trainer.strategy.barrier("checkpoint")
        return path


def save_checkpoint(trainer: pl.Trainer, pl_module: pl.LightningModule, path: Path) -> None:
    """Write the trainer's state to ``path``, whole or not at all. A collective: every rank takes part.

    Raises:
        DivergenceError: A weight is not finite; nothing is written.
    """
    broken = not all(parameter.isfinite().all() for parameter in pl_module.parameters())
    if ranks.any_rank(broken, pl_module.device):
        raise DivergenceError(trainer.global_step, "weights that are not finite")
    path.parent.mkdir(parents=True, exist_ok=True)
    trainer.save_checkpoint(partial_path(path))
    if trainer.is_global_zero:
        publish(partial_path(path), path)


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint in ``folder``, None where there is none yet.

    A damaged file is passed over with a warning that names it.

    Raises:
        CheckpointError: There are checkpoints and none of them is whole.
    """
    found = _newest_first(folder)
    for path in found:
        if is_whole(path):
            return path
        warnings.warn(f"checkpoint {path} is damaged; falling back to the one before", stacklevel=2)
    if found:
        raise CheckpointError(
            str(folder),
            got=f"{len(found)} checkpoints, all damaged",
            expected="one that can be read",
            remedy="restore one, or delete the run's folder to train from the start",
        )
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.ckpt"), reverse=True)
