"""Times of a run with narrow intervals: steps between the scheduled ones and more samples, where they matter."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd
import torch

from diffmem.analysis import timescales
from diffmem.analysis.estimate import Estimate
from diffmem.analysis.refinement import bracket, candidates, is_precise, next_measurement, pool
from diffmem.analysis.runs import REFINED, Run, quality_column, quality_columns, read_run, run_of_table
from diffmem.errors import DataError, parameters_of, require_at_least, require_one_of
from diffmem.files import locked, put_row, read_table
from diffmem.revisit.reopen import ReopenedRun, state_of
from diffmem.revisit.replay import replay
from diffmem.runs.saved import saved_steps

Time = Literal["gen", "mem", "overfit"]
_MOST_SETS = 64


@dataclass
class Refinement:
    """What was done for one time.

    Attributes:
        before: The time as the scheduled evaluations give it.
        after: The time as it is known at the end.
        evaluations: Sets of samples that were drawn.
        updates: Updates that were repeated.
        seconds: Wall time.
        reached: Whether the interval is within the precision.
    """

    before: Estimate
    after: Estimate
    evaluations: int = 0
    updates: int = 0
    seconds: float = 0.0
    reached: bool = False


@dataclass(frozen=True)
class Levels:
    """Levels of the times.

    Attributes:
        mem: f_mem at τ_mem.
        gen: Quality at τ_gen.
        quality: Its column; None for ``fid`` or the one Fréchet distance.
    """

    mem: float = timescales.MEMORIZATION_LEVEL
    gen: float | None = None
    quality: str | None = None


def refine(folder: Path, name: Time, precision: float, levels: Levels = Levels()) -> Refinement:
    """Narrow the interval of a time of the run in ``folder`` to the share ``precision`` of it, as far as can be.

    The rows go to ``refined.csv`` in the folder, which ``compare`` reads in place of the scheduled ones at their steps.
    A refined row pools several sets of samples, each as large as those of the schedule; a Fréchet distance is the mean
    over the sets, so that it compares with the others.

    Args:
        folder: The run's folder.
        name: ``"gen"``, ``"mem"`` or ``"overfit"``.
        precision: Largest distance of an end of the interval from the value, as a share of it.
        levels: The levels of the times.

    Raises:
        ConfigError: An unknown time, or a precision below 0.001.
        DataError: The run has not passed the time, or has no level for it.
    """
    require_one_of(get_args(Time), "--refine", name)
    require_at_least(0.001, precision=precision)
    start = time.perf_counter()
    recorded = read_run(folder)
    before = _estimate(recorded, name, levels)
    found = Refinement(before, before, reached=is_precise(before, precision))
    if found.reached:
        return found
    steps = [int(step) for step in recorded.column("step")]
    low, high = bracket(before, steps)
    newest = max(saved_steps(folder), default=0)
    wanted = {*candidates(low, high, precision), *(step for step in steps if low <= step <= high)}
    with tempfile.TemporaryDirectory() as kept:
        states = _States(folder, sorted(step for step in wanted if step <= newest), Path(kept))
        _measure_until_precise(folder, name, precision, levels, states, found)
    found.updates, found.seconds = states.updates, time.perf_counter() - start
    return found


class _States:
    """States of a run at the steps that may be measured, each made when it is asked for.

    Args:
        folder: The run's folder.
        steps: The steps, ascending.
        kept: Where states lie meanwhile.

    Attributes:
        updates: Updates that were repeated.
    """

    def __init__(self, folder: Path, steps: Sequence[int], kept: Path) -> None:
        self.folder, self.steps, self.updates = folder, steps, 0
        self._kept = kept
        self._saved = sorted(saved_steps(folder))

    def at(self, step: int) -> Path:
        """The state at ``step``; those behind the same checkpoint are made with it."""
        path = self._kept / f"{step}.ckpt"
        if not path.exists():
            behind = [each for each in self.steps if self._checkpoint(each) == self._checkpoint(step)]
            self.updates += replay(self.folder, behind, self._keep)
        return path

    def _checkpoint(self, step: int) -> int:
        return max((each for each in self._saved if each <= step), default=0)

    def _keep(self, run: ReopenedRun, step: int) -> None:
        torch.save(state_of(run), self._kept / f"{step}.ckpt")


def _measure_until_precise(
    folder: Path, name: Time, precision: float, levels: Levels, states: _States, found: Refinement
) -> None:
    run = ReopenedRun(folder)
    table = folder / REFINED
    size = run.evaluation.num_samples
    rows: dict[int, dict[str, Any]] = {int(row["step"]): dict(row) for row in read_table(folder / "evaluations.csv")}
    rows |= {int(row["step"]): dict(row) for row in read_table(table)}
    while True:
        found.after = _estimate(_as_run(rows, folder), name, levels)
        counts = {step: int(float(row.get("num_samples") or 0)) for step, row in rows.items()}
        # losses have no samples: more of them say nothing
        largest = size if name == "overfit" else _MOST_SETS * size
        unsettled = [step for step, row in rows.items() if _is_unsettled(row, name, levels)]
        following = next_measurement(found.after, counts, unsettled, states.steps, precision, largest)
        found.reached = is_precise(found.after, precision)
        if following is None:
            return
        for step in following.steps:
            run.load(states.at(step))
            sets = counts.get(step, 0) // size if following.more else 0
            new = []
            for number in range(sets, max(1, 2 * sets)):
                run.evaluation.first_sample = number * size
                new.append(run.measure(step, folder / "refined"))
                found.evaluations += 1
            rows[step] = pool([*([rows[step]] if sets else []), *new])
            with locked(table.with_name(f".{table.name}.lock"), wait=True):
                put_row(table, rows[step])


def _as_run(rows: Mapping[int, Mapping[str, Any]], folder: Path) -> Run:
    table = pd.DataFrame([rows[step] for step in sorted(rows)]).replace("", None)
    text = ("study", "setting", "config_hash", "model", "optimizer")
    numbers = table.apply(lambda column: column if column.name in text else pd.to_numeric(column, errors="coerce"))
    return run_of_table(folder.name, numbers.dropna(axis="columns", how="all"), folder)


def _estimate(run: Run, name: Time, levels: Levels) -> Estimate:
    steps = run.column("step")
    if name == "mem":
        with parameters_of(level="mem_level"):
            return timescales.tau_mem(steps, run.column("f_mem"), run.num_samples, level=levels.mem)
    if name == "overfit":
        return timescales.tau_overfit(steps, run.column("loss_test"))
    if levels.gen is None:
        raise DataError(
            "--refine gen", got="no level", expected="the quality at τ_gen", remedy="set --quality-level, e.g. 2"
        )
    quality = quality_column([run], levels.quality)
    std = run.column(f"{quality}_std") if f"{quality}_std" in run.table.columns else None
    with parameters_of(level="quality_level"):
        return timescales.tau_gen(steps, run.column(quality), levels.gen, std)


def _is_unsettled(row: Mapping[str, Any], name: Time, levels: Levels) -> bool:
    """Whether the level lies within the error of the row."""
    if name == "mem":
        return float(row["f_mem_low"]) < levels.mem < float(row["f_mem_high"])
    if name == "overfit" or levels.gen is None:
        return False
    quality = levels.quality or quality_columns(row)[0]
    return abs(float(row[quality]) - levels.gen) < 2 * float(row.get(f"{quality}_std") or 0)


def describe(name: Time, found: Refinement) -> str:
    """What a person wants to know of a refinement, in a sentence."""
    cost = f"{found.evaluations} sets of samples, {found.updates} updates repeated, {found.seconds:.0f} s"
    verdict = "" if found.reached else "; not as narrow as asked for: nothing closer can be measured"
    return f"τ_{name} {found.before} → {found.after} ({cost}){verdict}"


def refine_all(folder: Path, names: Sequence[str], precision: float, levels: Levels) -> list[str]:
    """:func:`refine` for each of ``names``; a sentence for each."""
    return [describe(name, refine(folder, name, precision, levels)) for name in names]  # type: ignore[arg-type]
