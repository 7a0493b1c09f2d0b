"""τ_mem of each class of conditional runs, from the ``per_class.csv`` beside each table."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffmem.analysis import gap as gaps
from diffmem.analysis.comparable import group_runs
from diffmem.analysis.comparison import Rules
from diffmem.analysis.estimate import Estimate
from diffmem.analysis.report import estimate_fields, text_table, write_cells
from diffmem.analysis.runs import CLOCKS, Run
from diffmem.analysis.timescales import tau_mem
from diffmem.errors import DataError
from diffmem.files import read_numbers

TABLE = "per_class.csv"
HEADER = ("group", "n", "label", "seeds", "τ_mem", "f_mem at the end")


@dataclass(frozen=True)
class ClassTimes:
    """One class of the runs of one group and n.

    Attributes:
        group: Name of the group.
        n: Number of training images of all classes.
        label: The class.
        num_runs: Number of runs.
        tau_mem: On the clock of the rules, the geometric mean over the runs; None where a run cannot support one.
        reason: Why not; "" otherwise.
        final: f_mem at the last step of each run, the mean over the runs.
    """

    group: str
    n: int
    label: int
    num_runs: int
    tau_mem: Estimate | None
    reason: str
    final: float


def class_times(runs: Sequence[Run], rules: Rules) -> list[ClassTimes]:
    """The times of every class in the groups of ``rules``, by the rule and the level of τ_mem that they state.

    Raises:
        DataError: No run has a ``per_class.csv``, or one is no such table.
    """
    found = []
    for name, members in group_runs(runs, rules.by).items():
        for n in sorted({run.n for run in members}):
            curves = [curve for run in members if run.n == n and (curve := _read(run, rules.clock))]
            for label in sorted({label for curve in curves for label in curve}):
                found.append(_class(name, n, label, [curve[label] for curve in curves if label in curve], rules))
    if not found:
        raise DataError(
            TABLE,
            got="no such table in any run",
            expected="conditional runs, which write it",
            remedy="compare others, or not by class",
        )
    return found


def _read(run: Run, clock: str) -> dict[int, np.ndarray]:
    """By label: times on the clock, f_mem and numbers of samples, (3, S)."""
    time_of = dict(zip(run.column("step"), run.clock(clock), strict=True))
    curves: dict[int, list[tuple[float, float, float]]] = {}
    columns = ("label", "step", "f_mem", "num_samples")
    for label, step, f_mem, count in read_numbers(run.folder / TABLE, columns) if run.folder else []:
        if step in time_of:  # an evaluation that was cut off has no row of its own yet
            curves.setdefault(int(label), []).append((time_of[step], f_mem, count))
    return {label: np.array(rows).T for label, rows in curves.items()}


def _class(group: str, n: int, label: int, curves: Sequence[np.ndarray], rules: Rules) -> ClassTimes:
    final = float(np.mean([f_mem[-1] for _, f_mem, _ in curves]))
    seed = zlib.crc32(f"{group}/{n}/{label}".encode())
    common = {"level": rules.mem_level, "confidence": rules.confidence, "num_draws": rules.num_draws}
    try:
        times = [
            tau_mem(steps, f_mem, counts, seed=seed + place, **common)  # type: ignore[arg-type]
            for place, (steps, f_mem, counts) in enumerate(curves)
        ]
    except DataError as refusal:
        return ClassTimes(group, n, label, len(curves), None, str(refusal), final)
    weights = gaps.between_run_weights(len(times), rules.num_draws, seed=seed)
    return ClassTimes(group, n, label, len(curves), gaps.pool(times, weights, rules.confidence), "", final)


def table_rows(classes: Sequence[ClassTimes]) -> list[tuple[str, ...]]:
    """One row of text for each class, under :data:`HEADER`."""
    return [
        (each.group, str(each.n), str(each.label), str(each.num_runs), str(each.tau_mem or "–"), f"{each.final:.1%}")
        for each in classes
    ]


def console_text(classes: Sequence[ClassTimes], rules: Rules) -> str:
    """The table in words."""
    reasons = dict.fromkeys(each.reason for each in classes if each.reason)
    notes = [f"Note: τ_mem refused: {reason}." for reason in reasons]
    title = f"τ_mem of each class in {CLOCKS[rules.clock]}, f_mem ≥ {rules.mem_level:g}:"
    return "\n".join([title, text_table(HEADER, table_rows(classes)), *notes])


def write_classes(classes: Sequence[ClassTimes], rules: Rules, path: Path) -> None:
    """Write the table to ``path``."""
    write_cells(
        path,
        [
            {
                "group": each.group,
                "n": each.n,
                "label": each.label,
                "seeds": each.num_runs,
                "clock": rules.clock,
                **estimate_fields("tau_mem", each.tau_mem),
                "f_mem_final": each.final,
            }
            for each in classes
        ],
    )
