"""The curves of a run, in panels of those that belong together, and its samples' novelty against their quality."""

import math
from collections import defaultdict
from typing import Any

import numpy as np

from diffmem.analysis.estimate import Array
from diffmem.analysis.runs import Run, quality_columns
from diffmem.files import read_numbers

#: Columns that share a panel: title, columns, whether its axis is logarithmic.
_PANELS: tuple[tuple[str, tuple[str, ...], bool], ...] = (
    ("Share of copies", ("f_mem", "f_mem_null"), False),
    ("Fréchet distance in pixels", ("frechet_pixels", "frechet_pixels_train"), True),
    ("FID", ("fid", "fid_train"), True),
    ("KID", ("kid",), True),
    ("Denoising loss", ("loss_train", "loss_test"), True),
    ("Loss on held-out minus training images", ("loss_gen",), False),
    ("Distance to the nearest image", ("nn_train", "nn_heldout"), True),
    ("Nearest held-out over nearest training distance", ("nn_ratio",), True),
    ("Training images copied", ("images_copied", "images_copied_chao"), False),
    ("Quality and diversity", ("precision", "recall", "density", "coverage"), False),
    ("Tests of copying", ("authenticity", "calibrated_l2", "calibrated_l2_copies"), False),
    ("C_T", ("c_t",), False),
    ("Distance to the true score", ("score_error", "score_error_empirical"), True),
    ("KL from the population (nats)", ("kl",), True),
)
#: Columns that are another clock, a setting or part of another curve.
_NOT_CURVES = ("step", "images_seen", "epochs", "tau", "batch_size", "num_samples", "threshold", "train_duplicates")
_MAX_POINTS = 400


def all_panels(run: Run, clock: str) -> list[dict[str, Any]]:
    """Every panel of a run: those of its evaluations, of the tables beside them, and of its training loss."""
    return [*panels(run, clock), *shares(run, clock), *training_loss(run, clock)]


def panels(run: Run, clock: str) -> list[dict[str, Any]]:
    """Every column of numbers as a curve, in panels of curves that belong together; settings, which stay, are none."""
    x = run.clock(clock)
    columns = [str(name) for name in run.table.select_dtypes("number").columns]
    bands = {f"{name}{end}" for name in columns for end in ("_std", "_low", "_high")} & {*columns}
    free = [name for name in columns if name not in _NOT_CURVES and name not in bands]
    taken: set[str] = set()
    found = []
    for title, names, log in _PANELS:
        members = [name for name in free if name in names]
        taken.update(members)
        if members:
            found.append(_panel(title, run, x, members, log))
    others = [name for name in free if name not in taken and run.table[name].nunique() > 1]
    found += [_panel(name, run, x, [name], False) for name in others]
    return [panel for panel in found if panel["curves"]]


def _panel(title: str, run: Run, x: Array, names: list[str], log: bool) -> dict[str, Any]:
    curves = [_curve(run, name) for name in names if not np.isnan(run.column(name)).all()]
    positive = all(y is None or y > 0 for curve in curves for y in curve["y"])
    return {"title": title, "log": log and positive, "ordered": False, "x": numbers(x), "curves": curves}


def _curve(run: Run, name: str) -> dict[str, Any]:
    """A curve with the band of its interval, or of two standard deviations."""
    y = run.column(name)
    low = high = None
    if {f"{name}_low", f"{name}_high"} <= {*run.table.columns}:
        low, high = run.column(f"{name}_low"), run.column(f"{name}_high")
    elif f"{name}_std" in run.table.columns:
        std = np.nan_to_num(run.column(f"{name}_std"))
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where(y > 0, np.exp(2 * std / np.abs(y)), 1.0)
        low, high = np.where(y > 0, y / factor, y - 2 * std), np.where(y > 0, y * factor, y + 2 * std)
    return line(name, y, low, high, dashed=name.endswith(("_train", "_null")))


def line(
    name: str, y: Array, low: Array | None = None, high: Array | None = None, dashed: bool = False
) -> dict[str, Any]:
    band = {"low": None if low is None else numbers(low), "high": None if high is None else numbers(high)}
    return {"name": name, "y": numbers(y), **band, "dashed": dashed}


def shares(run: Run, clock: str) -> list[dict[str, Any]]:
    """f_mem at each threshold of ``ratios.csv``, and of each class of ``per_class.csv``."""
    found = []
    for title, table, key, name in (
        ("Share of copies, by threshold", "ratios.csv", "threshold", "ratio < {:.3g}"),
        ("Share of copies, by class", "per_class.csv", "label", "class {:g}"),
    ):
        curves = [line(name.format(value), y) for value, y in _by_step(run, table, key).items()]
        panel = {"title": title, "log": False, "ordered": True, "x": numbers(run.clock(clock)), "curves": curves}
        found += [panel] if curves else []
    return found


def _by_step(run: Run, table: str, key: str) -> dict[float, Array]:
    """f_mem at the steps of the run (S,), for each value of ``key`` in a table beside ``evaluations.csv``."""
    at: dict[float, dict[float, float]] = defaultdict(dict)
    for step, value, share in read_numbers(run.folder / table, ("step",), (key, "f_mem")) if run.folder else []:
        if not math.isnan(value + share):
            at[value][step] = share
    steps = run.column("step")
    return {value: np.array([shares.get(step, math.nan) for step in steps]) for value, shares in at.items()}


def tradeoff(run: Run) -> dict[str, Any]:
    """What the run gives of the novelty of its samples and of their quality, a value for each step.

    Each measure has its name, its values, whether lower is better and whether all are positive; novelty rises.
    """
    columns = {*run.table.columns}
    quality = [*quality_columns(run.table.columns), *(name for name in ("kl", "precision") if name in columns)]
    novelty = [(f"1 − {name}", 1 - run.column(name)) for name in ("f_mem", "calibrated_l2_copies") if name in columns]
    novelty += [("authenticity", run.column("authenticity"))] if "authenticity" in columns else []
    return {
        "step": run.table["step"].tolist(),
        "quality": [{**line(name, run.column(name)), "lower": name != "precision"} for name in quality],
        "novelty": [{**line(name, values), "lower": False} for name, values in novelty],
    }


def training_loss(run: Run, clock: str) -> list[dict[str, Any]]:
    """The loss of the batches, thinned out, from ``metrics.csv``; on the clock of updates alone."""
    rows = read_numbers(run.folder / "metrics.csv", ("step",), ("loss",)) if run.folder and clock == "updates" else []
    rows = [row for row in rows if not math.isnan(row[1])]
    if not rows:
        return []
    x, y = np.array(rows[:: -(-len(rows) // _MAX_POINTS)]).T
    curves = [line("loss of the batches", y)]
    return [{"title": "Training loss", "log": bool((y > 0).all()), "ordered": False, "x": numbers(x), "curves": curves}]


def numbers(values: Array) -> list[float | None]:
    """Six digits of each value; None where there is none."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]
