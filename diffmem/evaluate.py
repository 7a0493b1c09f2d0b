"""``python -m diffmem.evaluate RUN_DIR [--checkpoints=last|all|STEP,…] [--out=FILE] [--key=value …]``: measure again.

Reads a run's saved checkpoints, on one device, and writes a table of its own with the columns of ``evaluations.csv``.
The keys that may change are those of the measurements: another threshold, more samples, FID with weights that arrived
later, other reference sets. With no keys the rows are the run's own, bit for bit on the same device.

Exit codes: 0 done, 1 broken weights, 2 bad config, 3 bad data.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from diffmem.callbacks.checkpoint import newest_checkpoint
from diffmem.callbacks.early_stopping import CHECKPOINT as GENERALIZATION
from diffmem.callbacks.evaluation import Evaluation
from diffmem.callbacks.fid import FID
from diffmem.callbacks.observer import EvaluationObserver
from diffmem.callbacks.pictures import Pictures
from diffmem.callbacks.provenance import check_same_images, environment
from diffmem.command_line import Parser, exit_code_of
from diffmem.config.identify import measurement_id
from diffmem.config.keys import Key
from diffmem.config.parser import CLI
from diffmem.errors import EXIT_DONE, CheckpointError, ConfigError, DataError
from diffmem.files import is_whole, locked, put_row, read_table, write_atomic

_ON_ONE_DEVICE = ("--trainer.devices=1", "--trainer.num_nodes=1", "--trainer.strategy=auto")


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code."""

    def command() -> int:
        options, overrides = _parser().parse_known_args(args)
        table = evaluate(options.run, options.checkpoints, overrides, options.out)
        print(f"done: {table}")
        return EXIT_DONE

    return exit_code_of(command)


def evaluate(run: Path, checkpoints: str = "last", overrides: list[str] | None = None, out: Path | None = None) -> Path:
    """Measure saved checkpoints of a run again.

    Args:
        run: The run's folder; nothing in it changes but its subfolder ``evaluate``.
        checkpoints: ``"all"``, or some of ``"last"``, ``"generalization"`` (what early stopping kept) and the saved
            steps, with commas between.
        overrides: ``--key=value`` for keys of the measurements: see :data:`diffmem.roles.Role`.
        out: Table to write; None for ``RUN/evaluate/<hash of the config>.csv``. A ``.json`` beside it records what was
            done. A step that the table already has is replaced.

    Returns:
        The table's path.

    Raises:
        ConfigError: A key that shapes the training, or a value that cannot be used.
        DataError: No run, no such checkpoint, other images than the run's, or a table of another config at ``out``.
    """
    overrides = overrides or []
    for override in overrides:
        _check_form(override)
    config = run / "config.yaml"
    if not config.is_file():
        raise DataError(
            str(run), got="no config.yaml", expected="the folder of a run", remedy="give RUN_ROOT/STUDY/NAME of a run"
        )
    paths = _checkpoints(run / "checkpoints", checkpoints)
    cli = CLI(["--config", str(config), *overrides, *_ON_ONE_DEVICE])
    for override in overrides:
        _check_role(override, cli.keys)
    trainer, model, data = cli.trainer, cli.model, cli.datamodule
    evaluation: Evaluation = cli.config_init["evaluation"]
    trainer.callbacks = [each for each in trainer.callbacks if _only_measures(each)]
    data.check()
    check_same_images(run, data)
    evaluation.check(trainer, model, data)
    table = out or run / "evaluate" / f"{measurement_id(cli.keys)}.csv"
    _check_table(table, measurement_id(cli.keys))
    lock = table.with_name(f".{table.name}.lock")
    try:
        with locked(lock, wait=True):  # refused now, not after the first measurement
            pass
    except OSError as error:
        raise ConfigError(
            "--out", got=f"{table.parent} ({error.strerror})", expected="a folder to write in", remedy="set --out"
        ) from error
    data.setup()
    model.to(trainer.strategy.root_device)
    record: dict[str, Any] = {"measurement": measurement_id(cli.keys), "run": str(run), "overrides": overrides}
    fid: FID = cli.config_init["fid"]
    if fid.inception is not None:
        record["fid"] = fid.protocol(data, evaluation.num_samples)
    with locked(lock, wait=True):
        write_atomic(table.with_suffix(".json"), json.dumps({**record, **environment(trainer)}, indent=2) + "\n")
    for path in paths:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state["state_dict"])
        row = evaluation.measure(trainer, model, data, state["global_step"], run)
        with locked(lock, wait=True):
            put_row(table, row)
        print(f"step {row['step']}" + (f": f_mem {row['f_mem']:.1%}" if "f_mem" in row else ""), flush=True)
    return table


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m diffmem.evaluate",
        description="Measure saved checkpoints of a run again, into a table of its own.",
        epilog="--key=value for the keys of measurements, e.g. --memorization.threshold=0.25",
        allow_abbrev=False,
    )
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="folder of the run")
    parser.add_argument(
        "--checkpoints", default="last", help="all, or last, generalization or saved steps with commas (default: last)"
    )
    parser.add_argument("--out", type=Path, help="table to write (default: RUN_DIR/evaluate/HASH.csv)")
    return parser


def _check_form(override: str) -> None:
    if not override.startswith("--") or "=" not in override:
        raise ConfigError(override, got="no value", expected="--key=value", remedy=f"write {override}=VALUE")


def _check_role(override: str, keys: Sequence[Key]) -> None:
    """Refuse a key that shapes the training, or that no measurement reads."""
    name = override.lstrip("-").partition("=")[0].replace(".init_args", "")
    changed = [key for key in keys if key.name == name or key.name.startswith(f"{name}.")]
    if not changed or not {key.role for key in changed} <= {"location", "protocol", "measurement"}:
        groups = {key.name.partition(".")[0] for key in keys if key.role in ("protocol", "measurement")}
        raise ConfigError(
            name,
            got="a key that changes more than the measurements, or none of them",
            expected=f"a measurement's key, of {', '.join(sorted(groups))}",
            remedy="train another run with diffmem.fit, or leave it out",
        )


def _checkpoints(folder: Path, which: str) -> list[Path]:
    named = {str(int(path.stem.removeprefix("step-"))): path for path in sorted(folder.glob("step-*.ckpt"))}
    names = list(named) if which == "all" else which.split(",")
    newest = newest_checkpoint(folder)
    if newest is None:
        raise CheckpointError(
            str(folder), got="no checkpoint", expected="at least one", remedy="train the run with diffmem.fit first"
        )
    named["last"] = newest
    if (folder / GENERALIZATION).is_file():
        named["generalization"] = folder / GENERALIZATION
    if not set(names) <= set(named):
        raise CheckpointError(
            "--checkpoints",
            got=which,
            expected=f"all, or some of {', '.join(named)}",
            remedy="choose steps that were saved",
        )
    for path in (named[name] for name in names):
        if not is_whole(path):
            raise CheckpointError(
                str(path), got="a damaged file", expected="a whole checkpoint", remedy="leave its step out"
            )
    return [named[name] for name in names]


def _check_table(table: Path, measurement_id: str) -> None:
    """Rows of two measurements in one table would be read as one curve."""
    record = table.with_suffix(".json")
    if not read_table(table):
        return
    found = json.loads(record.read_text(encoding="utf-8")).get("measurement") if record.exists() else "unknown"
    if found != measurement_id:
        raise DataError(
            str(table),
            got=f"rows of another measurement ({found})",
            expected=f"a table of {measurement_id}, or none",
            remedy="choose another --out",
        )


def _only_measures(callback: pl.Callback) -> bool:
    """Whether ``callback`` adds columns and writes nothing into the run's folder."""
    measures = isinstance(callback, EvaluationObserver) and type(callback).measure is not EvaluationObserver.measure
    return measures and not isinstance(callback, Pictures)


if __name__ == "__main__":
    sys.exit(main())
