"""Values that Lightning, torch or the file system would take, and a run cannot have."""

import contextlib
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

import lightning.pytorch as pl

from diffmem.errors import ConfigError

_ENDS = "a run ends at trainer.max_steps, on all of its images"

#: Options of the trainer that a run cannot have: which values it can, why, and what to do instead.
_TRAINER: dict[str, tuple[Callable[[Any], bool], str, str]] = {
    "default_root_dir": (lambda value: value is None, "null: the run's folder is computed", "set --run_root"),
    "max_time": (
        lambda value: value is None,
        "null: a run ends at trainer.max_steps",
        "stop it with SIGTERM, or let SLURM; run the same command again to resume",
    ),
    "max_steps": (
        lambda value: 1 <= value <= 10**12,
        "the number of optimizer updates, at least 1 and at most 1e12",
        "set --trainer.max_steps",
    ),
    "max_epochs": (lambda value: value in (None, -1), f"-1: {_ENDS}", "set --trainer.max_steps"),
    "min_epochs": (lambda value: value is None, f"null: {_ENDS}", "set --trainer.max_steps"),
    "min_steps": (lambda value: value is None, f"null: {_ENDS}", "set --trainer.max_steps"),
    "limit_train_batches": (lambda value: value in (None, 1.0), f"null: {_ENDS}", "set --trainer.max_steps"),
    "val_check_interval": (
        lambda value: value in (None, 1.0),
        "null: what is measured at which steps is evaluation.steps",
        "set --evaluation.steps",
    ),
    "overfit_batches": (lambda value: not value, f"0: {_ENDS}", "set a small --data.n"),
    "fast_dev_run": (lambda value: not value, f"false: {_ENDS}", "set a small --trainer.max_steps"),
    "barebones": (lambda value: not value, "false: the measurements are callbacks", "set --evaluation.steps=[]"),
    "enable_checkpointing": (lambda value: not value, "false: checkpoint.… saves", "set --checkpoint.every_n_steps"),
    "accumulate_grad_batches": (
        lambda value: 1 <= value <= 100_000,
        "at least 1 and at most 100,000",
        "set --trainer.accumulate_grad_batches",
    ),
    "gradient_clip_val": (
        lambda value: value is None or value > 0,
        "above 0, or null for no clipping",
        "set --trainer.gradient_clip_val",
    ),
    "accelerator": (
        lambda value: value != "mps",
        "cpu, gpu or auto: the measurements need float64, which Apple's GPUs do not have",
        "set --trainer.accelerator=cpu",
    ),
    "precision": (
        lambda value: not re.match("64|transformer|.*16-true", str(value)),
        "32-true, bf16-mixed or 16-mixed: images and noise are float32",
        "set --trainer.precision",
    ),
}


def check_config(config: Mapping[str, Any]) -> None:
    """Refuse what a run cannot have, before anything is made of it.

    Raises:
        ConfigError: A value of ``config``, as parsed, that would be ignored, lead out of ``run_root``, or never end.
    """
    for option, (allowed, expected, remedy) in _TRAINER.items():
        value = config["trainer"][option]
        if not allowed(value):
            raise ConfigError(f"trainer.{option}", got=value, expected=expected, remedy=remedy)
    if config["threads"] is not None and not 1 <= config["threads"] <= 1024:
        raise ConfigError("threads", got=config["threads"], expected="1 to 1024, or null", remedy="set --threads")
    _check_names(config)
    optimizer = config.get("optimizer")
    if optimizer is None or "lr" not in optimizer.get("init_args", {}):
        raise ConfigError(
            "optimizer",
            got="no optimizer" if optimizer is None else f"{optimizer['class_path']} without lr",
            expected="a torch optimizer with a learning rate",
            remedy="add --config configs/optimizer/adam.yaml or set --optimizer=Adam --optimizer.lr=0.001",
        )
    if not float(optimizer["init_args"]["lr"]) > 0:
        raise ConfigError(
            "optimizer.lr", got=optimizer["init_args"]["lr"], expected="above 0", remedy="set --optimizer.lr"
        )
    if "ReduceLROnPlateau" in str(config.get("lr_scheduler")):
        raise ConfigError(
            "lr_scheduler",
            got="ReduceLROnPlateau, which follows a measured loss",
            expected="a schedule that is a function of the step",
            remedy="set another --lr_scheduler",
        )


def _check_names(config: Mapping[str, Any]) -> None:
    """The folder of a run lies below run_root, whatever the study is called."""
    for key in ("study", "run_root"):
        name = config[key]
        if not name.strip() or not name.isprintable():
            raise ConfigError(key, got=repr(name), expected="the name of a folder", remedy=f"set --{key}")
    study = PurePath(config["study"])
    if study.is_absolute() or ".." in study.parts or not study.parts:
        raise ConfigError(
            "study", got=config["study"], expected="a name below run_root", remedy="set --study, or --run_root"
        )


def warn_of_slow_precision(trainer: pl.Trainer) -> None:
    """Say that bfloat16 on a CPU without instructions for it is several times slower than float32."""
    flags = {"avx512_bf16", "amx_bf16", "bf16"}
    if "bf16" not in str(trainer.precision) or trainer.strategy.root_device.type != "cpu":
        return
    with contextlib.suppress(OSError):  # only Linux says
        if flags.isdisjoint(Path("/proc/cpuinfo").read_text().split()):
            warnings.warn(
                "this CPU has no instructions for bfloat16: with --trainer.precision=bf16-mixed a network of W = 32 "
                "trains ten times slower than with 32-true",
                stacklevel=1,
            )
