"""Runs of an earlier version, whose folders are named by another rule, under the present name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from diffmem.errors import ConfigError, DataError
from diffmem.files import read_table, write_table
from diffmem.runs.identity import FILE, RunIdentity, differing_keys

Identify = Callable[[Mapping[str, Any]], RunIdentity]


def find_earlier(folder: Path, identity: RunIdentity, identify: Identify) -> Path | None:
    """A run of an earlier version beside ``folder`` with the training of ``identity``; None where there is none.

    Args:
        folder: Where the run of ``identity`` would lie.
        identity: What is looked for.
        identify: The identity of a complete config.
    """
    configs = folder.parent.glob("*/config.yaml") if folder.parent.is_dir() else ()
    for config in sorted(configs):
        if config.parent != folder and not (config.parent / FILE).exists():
            found = _identity_of(config, identify)
            if found is not None and found.training == identity.training:
                return config.parent
    return None


def adopt(earlier: Path, folder: Path, identity: RunIdentity, identify: Identify) -> None:
    """Make the run in ``earlier`` the run in ``folder``: rename it, and its table's rows by ``identity``.

    Raises:
        ConfigError: ``earlier`` holds another training or cannot be renamed, or ``folder`` is there already.
        DataError: ``earlier`` is no run.
    """
    config = earlier / "config.yaml"
    if not config.is_file():
        raise DataError("--adopt", got=f"{earlier} without config.yaml", expected="a run's folder", remedy="correct it")
    found = _identity_of(config, identify)
    if found is None or found.training != identity.training:
        differing = differing_keys({} if found is None else found.training, identity.training)
        raise ConfigError(
            "--adopt",
            got=f"{earlier}, a run that differs in {', '.join(differing) or 'its config'}",
            expected="a run of the same training",
            remedy="give its own config and overrides",
        )
    if (folder / "config.yaml").exists():
        raise ConfigError("--adopt", got=f"{folder} there already", expected="none", remedy="leave --adopt out")
    if (folder / ".lock").exists():
        (folder / ".lock").unlink()
        folder.rmdir()
    table = earlier / "evaluations.csv"
    rows = [{**row, **identity.row} for row in read_table(table)]
    if rows:
        write_table(table, rows)
    RunIdentity(**{**vars(identity), "protocol": found.protocol}).write(earlier)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        earlier.rename(folder)
    except OSError as error:
        raise ConfigError(
            "--adopt",
            got=f"{earlier} ({error.strerror})",
            expected=f"a folder that can be renamed to {folder}",
            remedy="move it below --run_root first",
        ) from error


def _identity_of(config: Path, identify: Identify) -> RunIdentity | None:
    try:
        return identify(yaml.safe_load(config.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return None
