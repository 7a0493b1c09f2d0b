"""provenance.json: what made this run, so that every number can be traced."""

import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch

from diffmem import __version__
from diffmem.data.images import ImageData
from diffmem.errors import DataError
from diffmem.files import write_atomic
from diffmem.roles import Role

_PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "numpy", "scikit-learn", "jsonargparse")


class Provenance(pl.Callback):
    """Writes ``provenance.json``: data, number of parameters, and an entry in ``starts`` for every start of the run.

    Raises:
        DataError: The run was begun with other images.
    """

    role: ClassVar[Role] = "operation"

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        check_same_images(Path(trainer.default_root_dir), trainer.datamodule)  # type: ignore[attr-defined]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir)
        update_record(
            folder,
            starts=[*read_record(folder).get("starts", []), {"step": trainer.global_step, **environment(trainer)}],
            num_parameters=sum(parameter.numel() for parameter in pl_module.parameters()),
            data=trainer.datamodule.fingerprint(),  # type: ignore[attr-defined]
        )


def read_record(folder: Path) -> dict[str, Any]:
    """What ``provenance.json`` in ``folder`` says; empty where there is none."""
    path = folder / "provenance.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def update_record(folder: Path, **entries: Any) -> None:
    """Set entries of ``provenance.json`` in ``folder`` and leave the others as they are."""
    record = {**read_record(folder), **entries}
    write_atomic(folder / "provenance.json", json.dumps(record, indent=2) + "\n")


def check_same_images(folder: Path, data: ImageData) -> None:
    """Refuse ``data`` for the run in ``folder`` if its record names other images.

    Raises:
        DataError: The record names other images.
    """
    recorded = read_record(folder).get("data", {})
    found = data.fingerprint()["sha256"]
    if recorded and recorded["sha256"] != found:
        raise DataError(
            "data",
            got=f"images of SHA-256 {found[:12]}…",
            expected=f"those the run in {folder} began with, {recorded['sha256'][:12]}…",
            remedy="restore them, or train another run on the new ones, e.g. with another --study",
        )


def environment(trainer: pl.Trainer) -> dict[str, Any]:
    """Code, packages and machine of this process."""
    device = trainer.strategy.root_device
    return {
        "command": [Path(sys.executable).name, *sys.orig_argv[1:]],
        "commit": _commit(),
        "packages": {"diffmem": __version__, **{name: version(name) for name in _PACKAGES}},
        "python": platform.python_version(),
        "machine": platform.platform(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or device.type,
        "threads": torch.get_num_threads(),
        "world_size": trainer.world_size,
        "precision": str(trainer.precision),
    }


def _commit() -> str | None:
    """Commit of the checkout that diffmem runs from, with ``-dirty`` where files differ; None outside a checkout."""

    def git(*command: str) -> str:
        here = ["git", "-C", str(Path(__file__).parent), *command]
        return subprocess.run(here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # not that of a project diffmem is installed in
        return git("describe", "--always", "--dirty", "--abbrev=40")
    except (OSError, subprocess.CalledProcessError):
        return None
