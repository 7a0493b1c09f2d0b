"""What a run is: its training. Its folder's name is a function of that alone."""

import contextlib
import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffmem import files
from diffmem.errors import ConfigError, DataError

FILE = "identity.json"
#: Raised when the same keys come to mean another training.
SCHEMA = 1
#: Keys in which the runs of one curve τ(n) differ.
_NOT_SETTING = ("seed", "data.n", "data.index")
_RECORDED = ("training", "protocol", "switches")


@dataclass(frozen=True)
class RunIdentity:
    """What names a run.

    Attributes:
        study: Name of the study.
        training: Keys that shape the weights and differ from their defaults, with dots, and their plain values.
        protocol: Keys that say what the numbers in its tables mean, and their values.
        protocol_defaults: The values that the same keys have by default.
        switches: For each key that null switches a measurement off by, whether it is on; in ``identity.json``, whether
            it has ever been.
        columns: What identifies the run in every row of its tables, without the hashes.
    """

    study: str
    training: Mapping[str, Any]
    protocol: Mapping[str, Any]
    protocol_defaults: Mapping[str, Any]
    switches: Mapping[str, bool]
    columns: Mapping[str, str | int | float]

    @property
    def config_hash(self) -> str:
        """8 hex digits of the training."""
        return _digest(self.training)

    @property
    def setting(self) -> str:
        """The same without n, index and seed: equal for the runs of one curve τ(n)."""
        return _digest({key: value for key, value in self.training.items() if key not in _NOT_SETTING})

    @property
    def row(self) -> dict[str, str | int | float]:
        """The columns of every row that say which run it is."""
        return {"schema": SCHEMA, **self.columns, "setting": self.setting, "config_hash": self.config_hash}

    @property
    def name(self) -> str:
        """Name of the folder."""
        row = self.columns
        parts = (row["model"], f"n{row['n']}", f"i{row['index']}", row["optimizer"], f"s{row['seed']}")
        return "-".join((*map(str, parts), self.config_hash)).lower()

    def write(self, folder: Path) -> None:
        """Leave ``identity.json`` in ``folder``; of a measurement that was on and is off now, what is recorded stays.

        Raises:
            DataError: As :func:`read_identity`.
        """
        parts = {name: dict(getattr(self, name)) for name in _RECORDED}
        recorded = read_identity(folder)
        for switch, is_on in self.switches.items():
            if is_on or not recorded.get("switches", {}).get(switch, False):
                continue
            group = switch.partition(".")[0]
            others = {key: value for key, value in parts["protocol"].items() if key.partition(".")[0] != group}
            measured = {key: value for key, value in recorded["protocol"].items() if key.partition(".")[0] == group}
            parts["protocol"] = others | measured
            parts["switches"][switch] = True
        record = {"schema": SCHEMA, **parts}
        files.write_atomic(folder / FILE, json.dumps(record, indent=2) + "\n")


def read_identity(folder: Path) -> dict[str, dict[str, Any]]:
    """``training``, ``protocol`` and ``switches`` of the run in ``folder``; {} where it has no ``identity.json``.

    Raises:
        DataError: The file is damaged.
    """
    path = folder / FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        protocol = dict(record["protocol"])
        switches = {key: value is not None for key, value in protocol.items()}  # of a version that did not write them
        return {
            "training": dict(record["training"]),
            "protocol": protocol,
            "switches": dict(record.get("switches", switches)),
        }
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        got = " ".join(str(error).split()) or type(error).__name__
        raise DataError(str(path), got=got, expected="what a run is", remedy="restore it, or leave the run") from error


def check_protocol(folder: Path, identity: RunIdentity) -> None:
    """Refuse to add rows of another protocol to the table in ``folder``; a measurement may be switched on or off.

    A measurement that was off has no protocol yet, and one that is off now adds nothing.

    Raises:
        ConfigError: A key of the protocol has another value than that by which the rows were measured.
        DataError: As :func:`read_identity`.
    """
    recorded = read_identity(folder)
    if not recorded:
        return
    on = [key for key, is_on in identity.switches.items() if is_on and recorded["switches"].get(key, True)]
    off = {key.partition(".")[0] for key in identity.switches.keys() - on}
    for key, value in identity.protocol.items():
        measured = recorded["protocol"].get(key, identity.protocol_defaults.get(key))
        if measured != value and key.partition(".")[0] not in off:
            option = f"--{key}={json.dumps(value) if isinstance(value, list | None) else value}"
            again = shlex.join(("python", "-m", "diffmem.evaluate", str(folder), "--checkpoints=all", option))
            raise ConfigError(
                key,
                got=value,
                expected=f"{measured}, by which the rows of {folder} were measured",
                remedy=f"measure its checkpoints again with {again}, or train with another --study",
            )


def differing_keys(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """The keys in which two trainings differ, sorted."""
    return [key for key in sorted({*a, *b}) if a.get(key) != b.get(key)]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run's folder, made where it is missing, against a second process of the same run.

    Raises:
        ConfigError: The folder cannot be made or written, or another process holds it.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(files.locked(folder / ".lock", wait=False))
        except BlockingIOError as error:
            raise ConfigError(
                str(folder),
                got="a second process of this run",
                expected="one at a time",
                remedy="wait for the other one, or change --seed or another value for another run",
            ) from error
        except OSError as error:
            raise ConfigError(
                "run_root", got=f"{folder} ({error.strerror})", expected="a folder to write in", remedy="set --run_root"
            ) from error
        yield


def _digest(training: Mapping[str, Any]) -> str:
    text = json.dumps({"schema": SCHEMA, **training}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
