"""What the same training finds in its folder: nothing yet, a run to go on with, or a finished one."""

import shlex
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from diffmem.errors import CheckpointError, ConfigError, DataError
from diffmem.files import read_steps, read_table
from diffmem.runs.saved import saved_steps
from diffmem.runs.state import state_of_run

#: Schedules of the learning rate that depend on the length of the run, and the parameter that says on which.
_HORIZONS = {
    "torch.optim.lr_scheduler.OneCycleLR": "total_steps",
    "torch.optim.lr_scheduler.CosineAnnealingLR": "T_max",
    "torch.optim.lr_scheduler.PolynomialLR": "total_iters",
}


def is_finished(folder: Path, config: Mapping[str, Any]) -> bool:
    """Whether the run in ``folder`` has been trained and measured as far as ``config`` asks.

    A run that was stopped early is finished as long as the same rule is in force.

    Args:
        folder: The run's folder, there or not.
        config: The complete config of the command.

    Raises:
        DataError: A finished run has lost its table, or ``status.json`` cannot be read.
    """
    max_steps = config["trainer"]["max_steps"]
    if not folder.is_dir():
        return False
    run = state_of_run(folder)
    rows = read_table(folder / "evaluations.csv")
    reached = max(saved_steps(folder), default=0)
    if run.state == "done":
        reached = max(reached, run.step or 0)
        if not rows and reached >= max_steps:
            again = _evaluate(folder, "--checkpoints=all", f"--out={folder / 'evaluations.csv'}")
            raise DataError(
                str(folder),
                got="a finished run without evaluations.csv",
                expected="its table",
                remedy=f"{again} measures what was saved; delete the folder to train again",
            )
    elif reached == max_steps:
        return False  # its last evaluation may be missing
    if reached >= max_steps:
        return True
    ended_early = run.state == "done" and reached < (run.max_steps or 0)
    return ended_early and _recorded(folder).get("early_stopping") == config["early_stopping"]


def warn_of_missing_rows(folder: Path, scheduled: Iterable[int], reached: int) -> None:
    """Name the ``scheduled`` steps before ``reached`` that have no row in the table of the run in ``folder``."""
    written = read_steps(folder / "evaluations.csv")
    missing = ",".join(str(step) for step in scheduled if step < reached and step not in written)
    if missing:
        warnings.warn(
            f"{folder / 'evaluations.csv'} has no row of the scheduled steps {missing}; "
            f"{_evaluate(folder, f'--at={missing}')} measures them",
            stacklevel=1,
        )


def check_checkpoints(folder: Path) -> None:
    """Refuse to go on with a finished run whose checkpoints were deleted: it would begin anew, and lose its tables.

    Raises:
        CheckpointError: There is none.
    """
    run = state_of_run(folder)
    if run.state == "done" and not saved_steps(folder):
        raise CheckpointError(
            str(folder / "checkpoints"),
            got=f"no checkpoint of a run that reached step {run.step}",
            expected="the newest one, to go on from",
            remedy="restore it, or set --overwrite=true to delete the run and train it anew",
        )


def check_extension(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse to lengthen a run whose rate schedule depends on its length.

    Raises:
        ConfigError: ``trainer.max_steps`` is beyond the end of the schedule, and was not when the run began.
    """
    scheduler, max_steps = config.get("lr_scheduler"), config["trainer"]["max_steps"]
    name = _HORIZONS.get(scheduler["class_path"]) if scheduler else None
    before = _recorded(folder).get("trainer", {}).get("max_steps")
    horizon = scheduler["init_args"].get(name) if scheduler and name else None
    if horizon is not None and before is not None and before <= horizon < max_steps:
        raise ConfigError(
            "trainer.max_steps",
            got=max_steps,
            expected=f"at most {horizon}: the learning rate of this run was scheduled for that length",
            remedy=f"train anew with --lr_scheduler.{name}={max_steps}",
        )


def _evaluate(folder: Path, *options: str) -> str:
    """The command that measures the run again, to be pasted into a shell."""
    return shlex.join(("python", "-m", "diffmem.evaluate", str(folder), *options))


def _recorded(folder: Path) -> dict[str, Any]:
    """The config of the newest start; empty where there is none or it cannot be read."""
    try:
        recorded = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return {}
    return recorded if isinstance(recorded, dict) else {}
