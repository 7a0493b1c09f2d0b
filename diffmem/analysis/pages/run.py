"""One run as the page shows it: times, curves, samples, config, provenance and cost, as plain values."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from diffmem.analysis.comparison import RunTimes
from diffmem.analysis.estimate import Array, Estimate, plain
from diffmem.analysis.pages.pictures import pictures
from diffmem.analysis.runs import CLOCKS, IDENTITY, Run
from diffmem.errors import DataError
from diffmem.files import read_table

SYMBOLS = {"gen": "τ_gen", "mem": "τ_mem", "overfit": "τ_overfit"}
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
_MAX_HITS = 200


def run_data(each: RunTimes, clock: str, budget: int) -> dict[str, Any]:
    """Everything about one run, as plain values.

    Args:
        each: The run and its times.
        clock: One of :data:`~diffmem.analysis.runs.CLOCKS`.
        budget: Most bytes that its pictures may take.

    Raises:
        DataError: A file of the run is damaged.
    """
    run = each.run
    threshold = float(run.table["threshold"].iloc[-1]) if "threshold" in run.table.columns else 1 / 3
    folder = run.folder
    differs = _training(folder) if folder else {}
    return {
        "name": run.name,
        "facts": [[key, _text(run.identity[key])] for key in IDENTITY if key in run.identity],
        "times": [_time(name, each.times[name]) for name in SYMBOLS],
        "clock": CLOCKS[clock],
        "panels": [*panels(run, clock), *_thresholds(run, clock), *_training_loss(run, clock)],
        "table": evaluations_table(run),
        "pictures": pictures(folder, threshold, budget) if folder else None,
        "hits": copied_images(folder, int(run.table["step"].iloc[-1])) if folder else [],
        "differs": [[key, _text(value)] for key, value in differs.items()],
        "config": [[key, _text(value)] for key, value in _flat(run.config())],
        "provenance": [[key, _text(value)] for key, value in _flat(_json(folder, "provenance.json"))],
        "cost": cost_lines(folder) if folder else [],
    }


def _time(name: str, estimate: Estimate | None) -> dict[str, Any]:
    if estimate is None:
        return {"symbol": SYMBOLS[name], "text": "–", "value": None, "low": None, "high": None, "censored": False}
    return {
        "symbol": SYMBOLS[name],
        "text": str(estimate),
        "value": estimate.bound,
        "low": estimate.low,
        "high": estimate.last if math.isinf(estimate.high) else estimate.high,
        "censored": estimate.censored,
    }


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
    curves = [_curve(run, x, name) for name in names if not np.isnan(run.column(name)).all()]
    positive = all(y is None or y > 0 for curve in curves for y in curve["y"])
    return {"title": title, "log": log and positive, "curves": curves}


def _curve(run: Run, x: Array, name: str) -> dict[str, Any]:
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
    return {
        "name": name,
        "x": _numbers(x),
        "y": _numbers(y),
        "low": None if low is None else _numbers(low),
        "high": None if high is None else _numbers(high),
        "dashed": name.endswith(("_train", "_null")),
    }


def _thresholds(run: Run, clock: str) -> list[dict[str, Any]]:
    """f_mem at each threshold of ``ratios.csv``."""
    rows = read_table(run.folder / "ratios.csv") if run.folder else []
    at: dict[str, dict[float, float]] = defaultdict(dict)
    for row in rows:
        if row.get("threshold") and row.get("f_mem"):
            at[row["threshold"]][float(row["step"])] = float(row["f_mem"])
    steps, times = run.column("step"), run.clock(clock)
    curves = [
        {
            "name": f"ratio < {float(threshold):.3g}",
            "x": _numbers(times),
            "y": _numbers(np.array([shares.get(step, math.nan) for step in steps])),
            "low": None,
            "high": None,
            "dashed": False,
        }
        for threshold, shares in at.items()
    ]
    return [{"title": "Share of copies, by threshold", "log": False, "curves": curves}] if curves else []


def _training_loss(run: Run, clock: str) -> list[dict[str, Any]]:
    """The loss of the batches, thinned out, from ``metrics.csv``; on the clock of updates alone."""
    rows = read_table(run.folder / "metrics.csv") if run.folder and clock == "updates" else []
    rows = rows[:: -(-len(rows) // _MAX_POINTS) or 1]
    points = [(float(row["step"]), float(row["loss"])) for row in rows if row.get("loss")]
    if not points:
        return []
    x, y = (np.array(values) for values in zip(*points, strict=True))
    curve = {"name": "loss of the batches", "x": _numbers(x), "y": _numbers(y), "low": None, "high": None}
    return [{"title": "Training loss", "log": bool((y > 0).all()), "curves": [{**curve, "dashed": False}]}]


def evaluations_table(run: Run) -> dict[str, list[Any]]:
    """``evaluations.csv`` without the columns of identity."""
    columns = [str(name) for name in run.table.columns if not run.table[name].isna().all()]
    rows = run.table[columns].itertuples(index=False)
    return {"header": columns, "rows": [[_cell(value) for value in row] for row in rows]}


def copied_images(folder: Path, last: int) -> list[list[int]]:
    """Of ``hits.csv``: training image, copies at the ``last`` step, first step with a copy; most copied first."""
    rows = [(int(row["step"]), int(row["image"]), int(row["copies"])) for row in read_table(folder / "hits.csv")]
    first: dict[int, int] = {}
    for step, image, _ in sorted(rows):
        first.setdefault(image, step)
    at_last = {image: copies for step, image, copies in rows if step == last}
    found = [[image, at_last.get(image, 0), step] for image, step in first.items()]
    return sorted(found, key=lambda hit: (-hit[1], hit[2]))[:_MAX_HITS]


def cost_lines(folder: Path) -> list[list[str]]:
    """What the run took, from ``metrics.csv`` and ``status.json``."""
    rows = [row for row in read_table(folder / "metrics.csv") if row.get("seconds")]
    if not rows:
        return []
    seconds = sum(float(row["seconds"]) for row in rows)
    evaluating = sum(float(row.get("seconds_evaluating") or 0) for row in rows)
    updates = int(rows[-1]["step"])
    training = max(seconds - evaluating, 1e-9)
    lines = [
        ["time", f"{seconds / 60:.1f} min"],
        ["of it evaluations", f"{evaluating / max(seconds, 1e-9):.0%}"],
        ["updates", f"{updates}, {plain(updates / training)} a second beside the evaluations"],
    ]
    checkpoints = [path.stat().st_size for path in (folder / "checkpoints").glob("step-*.ckpt")]
    if checkpoints:
        lines.append(["checkpoints", f"{len(checkpoints)} of {max(checkpoints) / 1e6:.1f} MB"])
    return lines


def _training(folder: Path) -> Mapping[str, Any]:
    """The keys of the training that differ from their defaults."""
    return _json(folder, "identity.json").get("training", {})


def _json(folder: Path | None, name: str) -> dict[str, Any]:
    if folder is None or not (path := folder / name).is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            str(path), got=" ".join(str(error).split()), expected="JSON", remedy="restore or delete it"
        ) from error
    return found if isinstance(found, dict) else {}


def _flat(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested mappings under dotted keys; a list of plain values is a leaf."""
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(values, list) and any(isinstance(value, (Mapping, list)) for value in values):
        for number, value in enumerate(values):
            yield from _flat(value, f"{prefix}[{number}]")
    elif prefix:
        yield prefix, values


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _numbers(values: Array) -> list[float | None]:
    """Six digits of each value; None where there is none."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]


def _cell(value: Any) -> Any:
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return int(value) if isinstance(value, (int, np.integer)) else str(value)
