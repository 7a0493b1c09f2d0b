"""Lay all that a run measures of copying on one axis of training time, and say in what order it moves.

    python -m diffmem.fit --config digits/unet --data.n=32 --trainer.max_steps=1000 --checkpoint.every_n_steps=50 \\
      --copying.tests=[c_t,authenticity,calibrated_l2] --prdc.k=5        # and --data.index=1
    python -m diffmem.twins RUN_0 RUN_1 --out twins
    python tools/draw_measures.py RUN_0 --twins twins/twins.csv --out measures

Writes measures.csv, the time at which each measure moves by the rule beside it, in their order, and measures.png.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from diffmem.analysis import style
from diffmem.analysis.estimate import Estimate
from diffmem.analysis.timescales import tau_mem, tau_overfit, tau_rise
from diffmem.command_line import Parser, exit_code_of
from diffmem.errors import EXIT_DONE, ConfigError, DataError
from diffmem.files import read_table, write_table

ONSET_RISE, C_T_LEVEL = 0.05, 2.0
Table = dict[str, np.ndarray]


def read(path: Path) -> Table:
    """The numeric columns of a table; empty fields are NaN."""
    rows = read_table(path)
    if not rows:
        raise DataError(str(path), got="no rows", expected="the table of a run", remedy="give the folder of a run")
    columns = {}
    for name in rows[0]:
        try:
            columns[name] = np.array([float(row[name]) if row[name] else np.nan for row in rows])
        except ValueError:
            continue
    return columns


def times(run: Table, twins: Table | None) -> list[dict[str, Any]]:
    """When each measure moves: rows with its name, the rule, and the time with its interval, in the order of time."""
    steps, num = run["step"], run["num_samples"]
    rules: list[tuple[str, str, Callable[[], Estimate]]] = [
        ("L_test", "its minimum", lambda: tau_overfit(steps, run["loss_test"])),
        ("f_mem", "1% and more", lambda: tau_mem(steps, run["f_mem"], num)),
        ("f_mem", "half", lambda: tau_mem(steps, run["f_mem"], num, level=0.5)),
    ]
    if "nn_ratio" in run:
        lowest = 1 + int(np.nanargmin(run["nn_ratio"][1:]))
        level, after = (1 + ONSET_RISE) * run["nn_ratio"][lowest], slice(lowest, None)
        onset = lambda: tau_rise(steps[after], run["nn_ratio"][after], level, "nn_ratio")  # noqa: E731
        rules.append(("nn_ratio", f"{ONSET_RISE:.0%} above its minimum at step {steps[lowest]:.0f}", onset))
    if "c_t" in run:
        known = ~np.isnan(run["c_t"])
        below = lambda: tau_rise(steps[known], -run["c_t"][known], C_T_LEVEL, "-c_t")  # noqa: E731
        rules.append(("C_T", f"below -{C_T_LEVEL:g}", below))
    if "authenticity" in run:
        rules.append(("AuthPct", "below 25%", lambda: tau_mem(steps, 1 - run["authenticity"], num, level=0.75)))
    if twins is not None:
        own = lambda: tau_mem(twins["step"], twins["share_own"], twins["num_samples"], level=0.5)  # noqa: E731
        rules.append(("twins", "half of the samples nearer to their training images", own))
    rows = []
    for name, rule, estimate in rules:
        try:
            found = estimate()
        except DataError as error:
            print(f"{name}, {rule}: {error}")
            continue
        rows.append({"measure": name, "rule": rule, "time": found.bound, "low": found.low, "high": found.high,
                     "censored": found.censored, "text": str(found)})  # fmt: skip
    return sorted(rows, key=lambda row: row["time"])


@style.styled
def draw(run: Table, twins: Table | None, path: Path) -> Path:
    """Three panels above each other: shares, tests and ratio, losses."""
    figure, axes = style.new_figure(3, 1, width=5.6, height=2.1, sharex=True)
    (shares,), (tests,), (losses,) = axes
    colors = iter(style.GROUP_COLORS)
    shown = [("f_mem", "f_mem"), ("f_mem_null", "f_mem, null"), ("authenticity", "AuthPct"),
             ("calibrated_l2_copies", "calibrated l2 below 1"), ("coverage", "coverage")]  # fmt: skip
    for name, label in shown:
        if name in run:
            shares.plot(run["step"], run[name], color=next(colors), label=label)
    if twins is not None:
        shares.plot(twins["step"], twins["share_own"], color=next(colors), ls="--", label="twins: nearer to own images")
        shares.plot(twins["step"], twins["correlation"], color=next(colors), ls=":", label="twins: correlation")
    shares.set_ylabel("share")
    if "nn_ratio" in run:
        tests.plot(run["step"], run["nn_ratio"], color=style.GROUP_COLORS[0], label="nn_heldout / nn_train")
        tests.fill_between(
            run["step"], run["nn_ratio_low"], run["nn_ratio_high"], color=style.GROUP_COLORS[0], alpha=0.2
        )
        tests.set_ylabel("ratio")
    if "c_t" in run:
        second = tests.twinx()
        second.plot(run["step"], run["c_t"], color=style.GROUP_COLORS[1], label="C_T (right)")
        second.axhline(0, color=style.REFERENCE, lw=0.6)
        tests.plot([], [], color=style.GROUP_COLORS[1], label="C_T (right)")
    for name, color, label in (("loss_train", 0, "L_train"), ("loss_test", 1, "L_test")):
        losses.plot(run["step"], run[name], color=style.GROUP_COLORS[color], label=label)
    losses.set_ylabel("loss")
    losses.set_xlabel("updates")
    losses.set_xscale("log")
    losses.set_xlim(left=run["step"][run["step"] > 0][0] / 1.1)
    for ax in (shares, tests, losses):
        ax.legend(loc="center left", bbox_to_anchor=(1.12, 0.5))
    return style.save(figure, path)


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code."""
    return exit_code_of(lambda: _main(_parser().parse_args(args)))


def _main(options: argparse.Namespace) -> int:
    run = read(options.run / "evaluations.csv")
    twins = None if options.twins is None else read(options.twins)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            "--out", got=f"{options.out} ({error.strerror})", expected="a folder to write in", remedy="set --out"
        ) from error
    rows = times(run, twins)
    write_table(options.out / "measures.csv", rows)
    draw(run, twins, options.out / "measures.png")
    for row in rows:
        print(f"{row['text']:>24}  {row['measure']}: {row['rule']}")
    return EXIT_DONE


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python tools/draw_measures.py", description="All measures of a run on one axis of time.")
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="folder of the run")
    parser.add_argument("--twins", type=Path, metavar="FILE", help="twins.csv of diffmem.twins")
    parser.add_argument("--out", type=Path, default=Path("measures"), help="folder to write to (default: measures)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
