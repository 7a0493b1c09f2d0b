"""The folder of a run: its name is a function of the config, and no two configs with other numbers share one."""

import contextlib
import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffmem import files
from diffmem.errors import ConfigError

#: Keys that steer where and how a run is computed and shown; its numbers do not depend on them.
_NOT_IDENTITY = (
    "config", "run_root", "study", "wandb", "progress", "status", "provenance", "signals", "fid.cache",
    "trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy",
)  # fmt: skip

#: Keys in which the runs of one setting may differ.
_NOT_SETTING = (
    "seed", "data.init_args.n", "data.init_args.index", "trainer.max_steps",
    "evaluation.steps", "checkpoint", "pictures", "training_loss", "early_stopping",
)  # fmt: skip


@dataclass(frozen=True)
class RunIdentity:
    """What names a run, from its config as plain values.

    Attributes:
        config: The complete config.
        config_hash: 8 hex digits of everything that can change the run's numbers.
        setting: The same without n, index, seed and length: equal for the runs of one curve τ(n).
    """

    config: Mapping[str, Any]

    @property
    def config_hash(self) -> str:
        return _digest(self.config, _NOT_IDENTITY)

    @property
    def setting(self) -> str:
        return _digest(self.config, _NOT_IDENTITY + _NOT_SETTING)

    @property
    def columns(self) -> dict[str, str | int | float]:
        """The columns that identify the run in every row of its table."""
        data, optimizer = self.config["data"]["init_args"], self.config["optimizer"]
        return {
            "study": self.config["study"],
            "model": self.model,
            "n": data["n"],
            "index": data["index"],
            "optimizer": optimizer["class_path"].rpartition(".")[2],
            "lr": optimizer["init_args"]["lr"],
            "seed": self.config["seed"],
            "setting": self.setting,
            "config_hash": self.config_hash,
        }

    @property
    def model(self) -> str:
        """Name of the network's class, or of the model's where it has none."""
        model = self.config["model"]
        network = model.get("init_args", {}).get("network") or model
        return network["class_path"].rpartition(".")[2]

    @property
    def folder(self) -> Path:
        """``RUN_ROOT/<study>/<name>``."""
        row = self.columns
        parts = (
            row["model"],
            f"n{row['n']}",
            f"i{row['index']}",
            row["optimizer"],
            f"s{row['seed']}",
            self.config_hash,
        )
        return Path(self.config["run_root"]) / self.config["study"] / "-".join(map(str, parts)).lower()


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


def _digest(config: Mapping[str, Any], left_out: tuple[str, ...]) -> str:
    kept: dict[str, Any] = copy.deepcopy(dict(config))
    for key in left_out:
        *parents, leaf = key.split(".")
        place: Any = kept
        for parent in parents:
            place = place.get(parent, {})
        place.pop(leaf, None)
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]
