"""Checkpoints that are whole or absent, and the newest one that can be trusted."""

import pickle
import warnings
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from diffmem import ranks
from diffmem.callbacks.updates import UpdateCallback
from diffmem.errors import CheckpointError, DivergenceError, MachineError, require_at_least
from diffmem.files import is_whole, partial_path, publish
from diffmem.roles import Role
from diffmem.runs.saved import saved_steps

LAST = "last.ckpt"
_RUN = "diffmem_run"


class Checkpoint(UpdateCallback):
    """Saves ``checkpoints/step-*.ckpt`` every ``every_n_steps`` updates and at the end; ``last.ckpt`` is the newest.

    A file is written under a temporary name and renamed, so one that has its name is whole.

    Args:
        every_n_steps: Updates between two checkpoints.
        keep: Number of checkpoints kept, at least 2, so that there is one to fall back to; None keeps all.

    Attributes:
        run: What names the training, written into each checkpoint.

    Raises:
        ConfigError: ``every_n_steps`` below 1 or ``keep`` below 2.
        DivergenceError: A weight is not finite; nothing is written.
    """

    role: ClassVar[Role] = "operation"

    def __init__(self, every_n_steps: int = 1000, keep: int | None = None) -> None:
        require_at_least(1, "checkpoint", every_n_steps=every_n_steps)
        require_at_least(2, "checkpoint", keep=keep)
        self.every_n_steps, self.keep = every_n_steps, keep
        self.run: str | None = None

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[_RUN] = self.run

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
            for old in list(saved_steps(folder.parent).values())[: -self.keep] if self.keep else []:
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
    partial = partial_path(path)
    strategy = trainer.strategy
    usual = strategy.checkpoint_io
    try:
        if type(usual) is TorchCheckpointIO:
            strategy.checkpoint_io = _InPlace()
        trainer.save_checkpoint(partial, weights_only=False)  # all of the state; Lightning remarks on it where unsaid
        if trainer.is_global_zero:
            publish(partial, path)
    except OSError as error:
        if trainer.is_global_zero:
            partial.unlink(missing_ok=True)
        raise MachineError(error, path) from error
    finally:
        strategy.checkpoint_io = usual


class _InPlace(TorchCheckpointIO):
    """Writes where it is told to; Lightning's own goes by the system's temporary folder, where a kill leaves files."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with Path(path).open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch's word for a write that failed
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint of the run in ``folder``, None where there is none yet.

    A damaged file is passed over with a warning that names it.

    Raises:
        CheckpointError: There are checkpoints and none of them is whole.
    """
    found = list(saved_steps(folder).values())
    for path in reversed(found):
        if is_whole(path):
            return path
        before = "there is none before" if path == found[0] else "falling back to the one before"
        warnings.warn(f"checkpoint {path} is damaged; {before}", stacklevel=2)
    if found:
        raise CheckpointError(
            str(folder),
            got=f"{len(found)} checkpoints, all damaged",
            expected="one that can be read",
            remedy="restore one, or delete the run's folder to train from the start",
        )
    return None


def read_checkpoint(path: Path, model: pl.LightningModule, run: str | None = None) -> dict[str, Any]:
    """The state that a run saved at ``path``, tensors and plain values alone: no code of the file runs.

    Args:
        path: A whole checkpoint.
        model: The module that is to take its weights.
        run: What names the training that it has to be of; a checkpoint that does not say is taken.

    Raises:
        CheckpointError: The file holds something else, weights of another network or another training, or weights that
            are not finite.
    """

    def refuse(got: str, expected: str, remedy: str) -> CheckpointError:
        return CheckpointError(str(path), got=got, expected=expected, remedy=remedy)

    elsewhere = "move it out of the run's folder, or choose another step"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:  # of a run that goes on, and keeps only the newest
        raise refuse("no file there any more", "a checkpoint that stays", "run the same command again") from error
    except pickle.UnpicklingError as error:
        raise refuse("code or objects of classes", "tensors and plain values", elsewhere) from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise refuse(" ".join(str(error).split())[:200], "a checkpoint", elsewhere) from error
    if not isinstance(state, dict) or not {"state_dict", "global_step"} <= set(state):
        raise refuse("a file without weights and step", "a checkpoint of a run", elsewhere)
    if run is not None and state.get(_RUN) not in (None, run):
        raise refuse(f"a checkpoint of run {state[_RUN]}", f"one of {run}", "move it back to its own folder")
    found, wanted = state["state_dict"], model.state_dict()
    for name in {**wanted, **found}:
        here, there = (tuple(getattr(each[name], "shape", ())) if name in each else "none" for each in (found, wanted))
        if here != there:
            raise refuse(f"weights {name} of shape {here}", f"{there}, as this model has", elsewhere)
    for name, value in found.items():
        if isinstance(value, torch.Tensor) and not value.isfinite().all():
            raise refuse(f"weights {name} that are not finite", "finite numbers", elsewhere)
    return state
