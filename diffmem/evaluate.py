"""``python -m diffmem.evaluate RUN_DIR [--checkpoints=…|--at=…|--refine=…] [--key=value …]``: measure a run again.

On one device, into a table of its own with the columns of ``evaluations.csv``:

- ``--checkpoints=last|generalization|all|STEP,…``: what was saved;
- ``--at=STEP,…``: any step, by training again, in memory, from the newest checkpoint before it; ``--at=scheduled``: all
  steps of the run's table;
- ``--refine=mem,gen,overfit``: the steps and the numbers of samples that narrow the intervals of these times, into
  ``refined.csv``, which ``compare`` reads.

The keys that may change are those of the measurements: another threshold, more samples, FID with weights that arrived
later, other reference sets, other views (``--evaluation.views``), whose tables go to a folder of the table's name. With
no keys the rows are the run's own, bit for bit on the same device.

Exit codes: 0 done, 1 broken weights, 2 bad config, 3 bad data.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffmem.callbacks.fid import FID
from diffmem.callbacks.observer import view_folder
from diffmem.callbacks.provenance import environment
from diffmem.command_line import Parser, add_trust, exit_code_of, is_full
from diffmem.config.identify import measurement_id
from diffmem.config.trust import trusting
from diffmem.errors import EXIT_DONE, ConfigError, DataError
from diffmem.files import locked, put_row, read_steps, read_table, write_atomic
from diffmem.revisit.refine import Levels, refine
from diffmem.revisit.reopen import ReopenedRun, named_checkpoints
from diffmem.revisit.replay import replay

#: Options that say how ``--refine`` is to be done.
_OF_REFINE = ("precision", "budget", "mem_level", "quality_level")


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code."""

    def command() -> int:
        options, overrides = _parser().parse_known_args(args)
        _check_options(options, overrides)
        if options.refine is not None:
            given = {name: value for name in _OF_REFINE if (value := getattr(options, name)) is not None}
            levels = Levels(given.pop("mem_level", Levels.mem), given.pop("quality_level", None))
            with trusting(options.trust):
                found = refine(options.run, options.refine.split(","), levels=levels, **given)
            print("\n".join(each.describe(name) for name, each in found.items()))
            print(f"done: {options.run / 'refined.csv'}")
            return EXIT_DONE
        at = None if options.at is None else _steps(options.at, options.run)
        with trusting(options.trust):
            table = evaluate(options.run, options.checkpoints, overrides, options.out, at)
        print(f"done: {table}")
        return EXIT_DONE

    return exit_code_of(command)


def evaluate(
    folder: Path,
    checkpoints: str = "last",
    overrides: Sequence[str] = (),
    out: Path | None = None,
    at: Sequence[int] | None = None,
) -> Path:
    """Measure a run again.

    Args:
        folder: The run's folder; nothing in it changes but its subfolder ``evaluate``.
        checkpoints: ``"all"``, or some of ``"last"``, ``"generalization"`` (what early stopping kept) and the saved
            steps, with commas between.
        overrides: ``--key=value`` for keys of the measurements: see :data:`diffmem.roles.Role`.
        out: Table to write, a ``.csv``; None for ``RUN/evaluate/<hash of the measurement>.csv``. A ``.json`` beside it
            records what was done, and the folder of the same name holds what is not in the table: views, pictures,
            classes. A step that the table already has is replaced.
        at: Steps to reach by training again, in place of checkpoints.

    Returns:
        The table's path.

    Raises:
        ConfigError: A key that shapes the training, a value that cannot be used, or a step the run has not reached.
        DataError: No run, no such checkpoint, other images than the run's, or a table of another measurement at
            ``out``.
    """
    if out is not None and (out.suffix != ".csv" or out.is_dir()):
        got = f"{out}, a folder" if out.is_dir() else out
        raise ConfigError("--out", got=got, expected="a .csv file to write", remedy="set --out")
    run = ReopenedRun(folder, overrides)
    paths = [] if at is not None else named_checkpoints(folder, checkpoints.split(","))
    table = out or folder / "evaluate" / f"{measurement_id(run.cli.keys)}.csv"
    lock = table.with_name(f".{table.name}.lock")
    _check_table(table, measurement_id(run.cli.keys))
    try:
        with locked(lock, wait=True):  # refused now, not after the first measurement
            write_atomic(table.with_suffix(".json"), json.dumps(_record(run, overrides), indent=2) + "\n")
    except OSError as error:
        if is_full(error):
            raise
        raise ConfigError(
            "--out", got=f"{table} ({error.strerror})", expected="a file to write", remedy="set --out"
        ) from error

    # what is not in the table; of a run's own table that is the run's
    beside = table.parent if table.resolve() == (folder / "evaluations.csv").resolve() else table.with_suffix("")

    def measure(run: ReopenedRun, step: int) -> None:
        rows = run.measure_views(step, beside)
        with locked(lock, wait=True):
            for name, row in rows.items():
                put_row(view_folder(beside, name) / "evaluations.csv" if name else table, row)
        row = rows[""]
        print(f"step {row['step']}" + (f": f_mem {row['f_mem']:.1%}" if "f_mem" in row else ""), flush=True)

    for path in paths:
        measure(run, run.load(path))
    if at is not None:
        replay(folder, at, measure, overrides)
    return table


def _record(run: ReopenedRun, overrides: Sequence[str]) -> dict[str, Any]:
    record = {"measurement": measurement_id(run.cli.keys), "run": str(run.folder), "overrides": list(overrides)}
    fid: FID = run.cli.config_init["fid"]
    if fid.inception is not None:
        record["fid"] = fid.protocol(run.data, run.evaluation.samples.num)
    return {**record, **environment(run.trainer)}


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m diffmem.evaluate",
        description="Measure a run again: saved checkpoints, any step, or what narrows the intervals of its times.",
        epilog="--key=value for the keys of measurements, e.g. --memorization.threshold=0.25",
        allow_abbrev=False,
    )
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="folder of the run")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--checkpoints", default="last", help="all, or last, generalization or saved steps with commas (default: last)"
    )
    what.add_argument(
        "--at", metavar="STEP,…", help="steps to reach by training again, in memory; scheduled: all of its table"
    )
    what.add_argument("--refine", metavar="TIME,…", help="some of mem, gen, overfit: narrow their intervals")
    parser.add_argument(
        "--precision",
        type=float,
        metavar="SHARE",
        help="of --refine: largest distance of an end of the interval from the time, as a share (default: 0.05)",
    )
    parser.add_argument(
        "--budget",
        type=float,
        metavar="SHARE",
        help="of --refine: most network calls for each time, as a share of those of the run (default: 0.5)",
    )
    parser.add_argument("--mem-level", type=float, metavar="C", help="of --refine=mem: f_mem at τ_mem (default: 0.01)")
    parser.add_argument("--quality-level", type=float, metavar="Q", help="of --refine=gen: quality at τ_gen")
    add_trust(parser)
    parser.add_argument("--out", type=Path, help="table to write, a .csv (default: RUN_DIR/evaluate/HASH.csv)")
    return parser


def _check_options(options: argparse.Namespace, overrides: Sequence[str]) -> None:
    """Refuse what would do nothing: options of another task than the one asked for."""
    if options.refine is None:
        unused = [f"--{name.replace('_', '-')}" for name in _OF_REFINE if getattr(options, name) is not None]
        if unused:
            raise ConfigError(
                unused[0], got="a value without --refine", expected="--refine", remedy="add --refine, or leave it out"
            )
    elif overrides or options.out is not None:
        raise ConfigError(
            "--refine",
            got=f"{' '.join(overrides) or '--out'} beside it",
            expected="none: refined rows belong to the run's own",
            remedy="leave it out",
        )


def _steps(text: str, folder: Path) -> list[int]:
    if text == "scheduled":
        steps = list(read_steps(folder / "evaluations.csv"))
        if not steps:
            raise DataError(
                str(folder),
                got="no rows in evaluations.csv",
                expected="a run that was measured",
                remedy="give its folder, or the steps: --at=700,720",
            )
        return steps
    try:
        return [int(step) for step in text.split(",")]
    except ValueError as error:
        expected = "steps with commas, or scheduled"
        raise ConfigError("--at", got=repr(text), expected=expected, remedy="e.g. --at=700,720") from error


def _check_table(table: Path, measurement: str) -> None:
    """Rows of two measurements in one table would be read as one curve."""
    record = table.with_suffix(".json")
    if not read_table(table):
        return
    found = "unknown"
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found = json.loads(record.read_text(encoding="utf-8")).get("measurement")
    if found != measurement:
        raise DataError(
            str(table),
            got=f"rows of another measurement ({found})",
            expected=f"a table of {measurement}, or none",
            remedy="choose another --out",
        )


if __name__ == "__main__":
    sys.exit(main())
