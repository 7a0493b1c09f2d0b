"""One run as the page shows it: times, curves, samples, config, provenance and cost, as plain values."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffmem.analysis.comparison import RunTimes
from diffmem.analysis.estimate import Estimate, plain
from diffmem.analysis.pages.content import Member
from diffmem.analysis.pages.curves import all_panels, tradeoff
from diffmem.analysis.runs import CLOCKS, IDENTITY, Run, quality_columns
from diffmem.errors import DataError
from diffmem.files import read_numbers
from diffmem.runs.identity import read_identity

#: Columns of identity that tell views of a training apart.
VIEW = ("weights", "guidance", "sampler")
SYMBOLS = {"gen": "τ_gen", "mem": "τ_mem", "overfit": "τ_overfit"}
_MAX_HITS = 200


def run_data(member: Member, clock: str) -> dict[str, Any]:
    """Everything about one training but its pictures, as plain values.

    Args:
        member: The training and its views.
        clock: One of :data:`~diffmem.analysis.runs.CLOCKS`.

    Raises:
        DataError: A file of the run is damaged.
    """
    run, folder = member.run, member.folder
    training = read_identity(folder).get("training", {}) if folder else {}
    return {
        "name": run.name,
        "facts": _facts(run, IDENTITY),
        "clock": CLOCKS[clock],
        "views": [view_data(each, clock) for each in member.views],
        "differs": [[key, _text(value)] for key, value in training.items()],
        "config": [[key, _text(value)] for key, value in _flat(run.config())],
        "provenance": [[key, _text(value)] for key, value in _flat(_json(folder, "provenance.json"))],
        "cost": cost_lines(folder) if folder else [],
    }


def view_data(each: RunTimes, clock: str) -> dict[str, Any]:
    """What one view of a training gave, without its pictures."""
    run, folder = each.run, each.run.folder
    return {
        "name": folder.name if folder is not None and folder.parent.name == "views" else "",
        "facts": _facts(run, VIEW),
        "times": [_time(name, each.times[name]) for name in SYMBOLS],
        "ends": ends(run),
        "panels": all_panels(run, clock),
        "tradeoff": tradeoff(run),
        "table": evaluations_table(run),
        "pictures": None,
        "hits": copied_images(folder, int(run.table["step"].iloc[-1])) if folder else [],
    }


def threshold_of(run: Run) -> float:
    """The ratio below which a sample of the run counted as a copy."""
    return float(run.table["threshold"].iloc[-1]) if "threshold" in run.table.columns else 1 / 3


def _facts(run: Run, names: Sequence[str]) -> list[list[str]]:
    return [[key, _text(run.identity[key])] for key in names if key in run.identity]


def ends(run: Run) -> dict[str, str]:
    """What a line about the run says beside its times: f_mem at its last evaluation, and its best quality."""
    found = {}
    if "f_mem" in run.table.columns:
        last = run.column("f_mem")[-1]
        found["f_mem at the end"] = "–" if np.isnan(last) else f"{last:.1%}"
    for name in quality_columns(run.table.columns)[:1]:
        values = run.column(name)
        if not np.isnan(values).all():
            found[f"lowest {name}"] = plain(float(np.nanmin(values)))
    return found


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


def evaluations_table(run: Run) -> dict[str, list[Any]]:
    """``evaluations.csv`` without the columns of identity."""
    columns = [str(name) for name in run.table.columns if not run.table[name].isna().all()]
    rows = run.table[columns].itertuples(index=False)
    return {"header": columns, "rows": [[_cell(value) for value in row] for row in rows]}


def copied_images(folder: Path, last: int) -> list[list[int]]:
    """Of ``hits.csv``: training image, copies at the ``last`` step, first step with a copy; most copied first."""
    table = read_numbers(folder / "hits.csv", ("step", "image", "copies"))
    rows = [(int(step), int(image), int(copies)) for step, image, copies in table]
    first: dict[int, int] = {}
    for step, image, _ in sorted(rows):
        first.setdefault(image, step)
    at_last = {image: copies for step, image, copies in rows if step == last}
    found = [[image, at_last.get(image, 0), step] for image, step in first.items()]
    return sorted(found, key=lambda hit: (-hit[1], hit[2]))[:_MAX_HITS]


def cost_lines(folder: Path) -> list[list[str]]:
    """What the run took, from ``metrics.csv`` and the size of its checkpoints."""
    table = np.array(read_numbers(folder / "metrics.csv", ("step",), ("seconds", "seconds_evaluating"))).reshape(-1, 3)
    timed = table[~np.isnan(table[:, 1])]
    if not len(timed):
        return []
    updates, (_, seconds, evaluating) = int(timed[-1, 0]), np.nansum(timed, axis=0).tolist()
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


def _cell(value: Any) -> Any:
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return int(value) if isinstance(value, (int, np.integer)) else str(value)
