"""Lay all that runs measure of copying on one axis of training time, and say in what order it moves.

    for i in 0 1; do python -m diffmem.fit --config configs/digits/unet.yaml --config configs/digits/atlas.yaml --data.n=64 \\
      --data.index=$i --early_stopping.mode=null --trainer.max_steps=1600 --evaluation.steps=log:8:8 --prdc.k=5 \\
      --checkpoint.every_n_steps=40 --checkpoint.keep=null '--copying.tests=[c_t,authenticity,calibrated_l2]'; done
    python tools/draw_measures.py RUN_OR_ROOT … --out measures

Runs of one setting, n and seed on the training images of index 2i and 2i + 1 are twins: where both have saved
checkpoints of the same steps, their samples are compared as by diffmem.twins. Writes measures.csv, the time at which each
measure of each run moves by each of two rules; order.csv, for each two measures in how many runs one comes first by all
of their rules; order.png; and, of each pair of twins and run, its twins-*.csv and its curves measures-*.png.
"""  # noqa: E501

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffmem.analysis import style
from diffmem.analysis.order import draw_order, precedence, times
from diffmem.command_line import Parser, add_sampling, exit_code_of, writing
from diffmem.errors import EXIT_DONE, DataError, parameters_of, require_at_least
from diffmem.files import read_table, write_table
from diffmem.runs.saved import saved_steps

Table = dict[str, np.ndarray]
_FEW = 12


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
    if "nn_ratio" not in columns and {"nn_heldout", "nn_train"} <= columns.keys():  # tables of 0.1.0
        columns["nn_ratio"] = columns["nn_heldout"] / columns["nn_train"]
    return columns


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
        if "nn_ratio_low" in run:
            interval = run["nn_ratio_low"], run["nn_ratio_high"]
            tests.fill_between(run["step"], *interval, color=style.GROUP_COLORS[0], alpha=0.2)
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


def runs_in(places: Sequence[Path]) -> list[Path]:
    """Folders of runs: those given, and those one or two levels below one that is none."""
    found = []
    for place in places:
        inside = sorted({path.parent for form in ("*", "*/*") for path in place.glob(f"{form}/evaluations.csv")})
        found += [place] if (place / "evaluations.csv").is_file() else inside
    if not found:
        raise DataError(
            ", ".join(map(str, places)),
            got="no evaluations.csv",
            expected="folders of runs",
            remedy="give runs or a root",
        )
    return found


def twins_of(folders: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Pairs of runs that differ in their training images alone and have saved the same steps."""
    pairs, by_key = [], {}
    for folder in folders:
        row = read_table(folder / "evaluations.csv")[0]
        key = [row.get(name) for name in ("setting", "model", "optimizer", "lr", "n", "seed")]
        by_key[(*key, folder.parent, int(row.get("index") or 0))] = folder
    for key, folder in by_key.items():
        other = by_key.get((*key[:-1], key[-1] + 1))
        if key[-1] % 2 == 0 and other is not None and saved_steps(folder).keys() & saved_steps(other).keys():
            pairs.append((folder, other))
    return pairs


def _main(options: argparse.Namespace) -> int:
    with parameters_of():
        require_at_least(2, num=options.num)
    folders = runs_in(options.runs)
    with writing(options.out, "a folder to write in"):
        options.out.mkdir(parents=True, exist_ok=True)
    twins: dict[Path, Table] = {}
    for pair in twins_of(folders):
        twins |= dict.fromkeys(pair, read(_compared(pair, options)))
    found: list[tuple[int, list[dict[str, Any]]]] = []
    table = []
    for folder in folders:
        run = read(folder / "evaluations.csv")
        rows = times(run, *([twins[folder]] if folder in twins else []))
        found.append((int(run["n"][0]), rows))
        table += [{"run": folder.name, "n": found[-1][0], **row} for row in rows]
        if len(folders) <= _FEW:
            draw(run, twins.get(folder), options.out / f"measures-{folder.name}.png")
            print(folder.name)
            for row in rows:
                print(f"{row['text']:>24}  {row['measure']}: {row['rule']}")
    write_table(options.out / "measures.csv", table)
    order = precedence([rows for _, rows in found])
    write_table(options.out / "order.csv", order)
    draw_order(found, options.out / "order.png")
    for row in order:
        print(
            f"{row['first']} before {row['second']}: {row['before']} of {row['runs']} runs, "
            f"after: {row['after']}, depends on the rules: {row['depends']}"
        )
    return EXIT_DONE


def _compared(pair: tuple[Path, Path], options: argparse.Namespace) -> Path:
    """The table of two twins; one that is there of the same steps, number of samples and seed is kept."""
    path = options.out / f"twins-{pair[0].name}.csv"
    asked = [
        (str(step), str(options.num), str(options.seed))
        for step in sorted(saved_steps(pair[0]).keys() & saved_steps(pair[1]).keys())
    ]
    if asked != [(row["step"], row["num_samples"], row.get("seed")) for row in read_table(path)]:
        from diffmem.config.trust import trusting
        from diffmem.twins import compare_twins

        with trusting(options.trust):
            rows, _ = compare_twins(*pair, options.num, options.seed)
        write_table(path, [{**row, "seed": options.seed} for row in rows])
    return path


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python tools/draw_measures.py", description="All measures of runs on one axis of time.")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN_OR_ROOT", help="folders of runs, or one above them")
    add_sampling(parser, 500, Path("measures"), "folder for tables and figures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
