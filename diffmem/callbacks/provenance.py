"""provenance.json: what made this run, so that every number can be traced."""

import contextlib
import hashlib
import inspect
import json
import platform
import subprocess
import sys
import warnings
from collections.abc import Iterable, Mapping
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
from diffmem.text import one_line

_OUR_PACKAGES = ("diffmem", "torch", "lightning", "builtins", "abc", "typing", "collections")
_PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "numpy", "scikit-learn", "jsonargparse")


class Provenance(pl.Callback):
    """Writes ``provenance.json``: data, number of parameters, and an entry in ``starts`` for every start of the run.

    Raises:
        DataError: The run was begun with other images or labels.
    """

    role: ClassVar[Role] = "operation"

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        check_same_images(Path(trainer.default_root_dir), trainer.datamodule)  # type: ignore[attr-defined]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        folder, step, here = Path(trainer.default_root_dir), trainer.global_step, environment(trainer)
        starts = read_record(folder).get("starts", [])
        if step > 0 and starts:
            warn_of_rounding(f"from step {step} on", starts[-1], here)
        sources = source_hashes([pl_module, trainer.datamodule, *trainer.callbacks, *trainer.optimizers])  # type: ignore[attr-defined]
        if step > 0:
            warn_of_changed_code(folder, sources)
        update_record(
            folder,
            starts=[*starts, {"step": step, **here}],
            num_parameters=sum(parameter.numel() for parameter in pl_module.parameters()),
            data=trainer.datamodule.fingerprint(),  # type: ignore[attr-defined]
            sources=sources,
        )


def source_hashes(parts: Iterable[object]) -> dict[str, str]:
    """SHA-256 of the source files of the classes from outside diffmem, torch and lightning that ``parts`` are made of.

    Args:
        parts: Modules with all they contain, data, callbacks, optimizers.

    Returns:
        The hash by the class's dotted name; classes without a source file are left out.
    """
    found: dict[str, str] = {}
    for part in parts:
        for each in part.modules() if isinstance(part, torch.nn.Module) else [part]:
            for cls in type(each).__mro__:
                if cls.__module__.partition(".")[0] not in _OUR_PACKAGES:
                    with contextlib.suppress(TypeError, OSError):
                        source = Path(inspect.getfile(cls)).read_bytes()
                        found[f"{cls.__module__}.{cls.__qualname__}"] = hashlib.sha256(source).hexdigest()
    return found


def warn_of_changed_code(folder: Path, sources: Mapping[str, str]) -> None:
    """Name the classes of one's own whose source is no longer the one that the run in ``folder`` has recorded."""
    recorded = read_record(folder).get("sources", {})
    changed = [name for name, digest in sources.items() if recorded.get(name, digest) != digest]
    if changed:
        warnings.warn(
            f"the source of {', '.join(changed)} has changed since this run was trained; if its numbers would change, "
            "train another run, e.g. with another --study",
            stacklevel=1,
        )


def warn_of_rounding(what: str, before: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Say where numbers agree to rounding and not bit for bit: other threads, instructions, device or torch.

    Args:
        what: The numbers, the beginning of the sentence.
        before: The :func:`environment` that they are to agree with.
        here: The present one.
    """
    named = [(name, before.get(name), here.get(name)) for name in ("threads", "instructions", "device")]
    named.append(("torch", *(each.get("packages", {}).get("torch") for each in (before, here))))
    other = [f"{name} {there} and {now}" for name, there, now in named if there is not None and there != now]
    if other:
        warnings.warn(f"{what} numbers agree with those before to rounding: {', '.join(other)}", stacklevel=1)


def read_record(folder: Path) -> dict[str, Any]:
    """What ``provenance.json`` in ``folder`` says; empty where there is none.

    Raises:
        DataError: It is no such record.
    """
    path = folder / "provenance.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        starts, data = record.get("starts", []), record.get("data", {})
        if not all(isinstance(each, dict) for each in [*starts, data, record.get("sources", {})]):
            raise ValueError("entries of other kinds")
        if data and not isinstance(data["sha256"], str):
            raise ValueError("data without sha256")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise DataError(
            str(path),
            got=f"no record ({one_line(error)})",
            expected="what diffmem.fit wrote",
            remedy="restore it, or delete it together with what it says of images and code",
        ) from error
    return record


def update_record(folder: Path, **entries: Any) -> None:
    """Set entries of ``provenance.json`` in ``folder`` and leave the others as they are."""
    record = {**read_record(folder), **entries}
    write_atomic(folder / "provenance.json", json.dumps(record, indent=2) + "\n")


def check_same_images(folder: Path, data: ImageData) -> None:
    """Refuse ``data`` for the run in ``folder`` if its record names other images, or other labels of them.

    Raises:
        DataError: It does.
    """
    recorded, found = read_record(folder).get("data", {}), data.fingerprint()
    for what, key in (("images", "sha256"), ("labels", "labels_sha256")):
        now, then = found.get(key), recorded.get(key, found.get(key))
        if now != then:
            raise DataError(
                "data",
                got=f"{what} of SHA-256 {now[:12]}…",
                expected=f"those the run in {folder} began with, {then[:12]}…",
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
        "instructions": torch.backends.cpu.get_cpu_capability(),
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
