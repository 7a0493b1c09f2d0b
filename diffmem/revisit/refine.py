"""Times of a run with narrow intervals: steps between the scheduled ones and more samples, where they matter."""

import shlex
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from diffmem.analysis import timescales
from diffmem.analysis.estimate import Estimate
from diffmem.analysis.refinement import Point, TimeOf, is_precise, next_step, pool
from diffmem.analysis.runs import REFINED, quality_column, read_run
from diffmem.callbacks.checkpoint import save_checkpoint
from diffmem.errors import ConfigError, DataError, parameters_of, require_at_least, require_one_of
from diffmem.files import is_whole, locked, put_row, read_steps
from diffmem.revisit.reopen import ReopenedRun
from diffmem.revisit.replay import replay
from diffmem.runs.saved import saved_steps

Time = Literal["gen", "mem", "overfit"]
_MOST_SETS = 64
_NUM_DRAWS = 300  # of what is foreseen, a hundred times for each set of samples
_LEFT_ON_THE_WAY = 4
_TRAINING = 3  # an update costs three times the network's calls for its batch


@dataclass
class Refinement:
    """What was done for one time.

    Attributes:
        before: The time as it was known.
        after: The time as it is known at the end.
        sets: Sets of samples that were drawn.
        updates: Updates that were repeated.
        seconds: Wall time.
        cost: Network calls, as a share of those of the run.
        reached: Whether the interval is within the precision.
    """

    before: Estimate
    after: Estimate
    sets: int = 0
    updates: int = 0
    seconds: float = 0.0
    cost: float = 0.0
    reached: bool = False

    def describe(self, name: Time) -> str:
        """The same in a sentence."""
        spent = f"{self.sets} sets of samples, {self.updates} updates repeated"
        why = "" if self.reached else "; not as narrow as asked for: nothing in the budget would make it narrower"
        return f"τ_{name} {self.before} → {self.after} ({spent}, {self.cost:.0%} of the run, {self.seconds:.0f} s){why}"


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


def refine(
    folder: Path, names: Sequence[str], precision: float = 0.05, levels: Levels = Levels(), budget: float = 0.5
) -> dict[str, Refinement]:
    """Narrow the intervals of times of the run in ``folder`` to the share ``precision``, as far as can be.

    The rows go to ``refined.csv`` in the folder, which ``compare`` reads in place of the scheduled ones at their steps.
    A refined row pools several sets of samples, each as large as those of the schedule; a Fréchet distance is the mean
    over the sets, so that it compares with the others.

    Args:
        folder: The run's folder.
        names: Some of ``"gen"``, ``"mem"`` and ``"overfit"``.
        precision: Largest distance of an end of the interval from the value, as a share of it.
        levels: The levels of the times.
        budget: Most that each time may cost, as a share of the network calls of the run.

    Raises:
        ConfigError: An unknown time, a precision or a budget below 0.001, or a level of τ_mem below one sample.
        DataError: The run has no rows, has not passed the time, or has no level for it.
    """
    for name in names:
        require_one_of(get_args(Time), "--refine", name)
    with parameters_of():
        require_at_least(0.001, precision=precision, budget=budget)
    with tempfile.TemporaryDirectory() as kept:
        measuring = _Measuring(folder, Path(kept))
        measuring.require_sampling()
        if "mem" in names:
            _require_samples(measuring, levels.mem)
        readers = {name: _reader(folder, name, levels) for name in names}
        for name, reader in readers.items():
            _require_passed(name, reader.time(reader.points(measuring.rows)))
        return {name: _refine(measuring, reader, precision, budget) for name, reader in readers.items()}


def _require_passed(name: str, found: Estimate) -> None:
    if found.censored:
        raise DataError(
            f"--refine={name}",
            got=f"a time beyond step {found.last_text}",
            expected="a time that the run has passed",
            remedy="train it longer, with a larger --trainer.max_steps",
        )


def _require_samples(measuring: "_Measuring", level: float) -> None:
    """Refuse a level of τ_mem below one sample of a row."""
    fewest = min(int(float(row["num_samples"])) for row in measuring.rows.values())
    if level > 0 and timescales.is_below_one_sample(level, fewest):
        raise ConfigError(
            "--mem-level",
            got=f"{level:g} in a run of {fewest} samples",
            expected=f"one sample at least, {1 / fewest:g}",
            remedy=f"set --mem-level, e.g. to {1 / fewest:g}",
        )


def _refine(measuring: "_Measuring", reader: "_Reader", precision: float, budget: float) -> Refinement:
    start, updates = time.perf_counter(), measuring.updates
    points = reader.points(measuring.rows)
    found = Refinement(reader.time(points), reader.time(points))
    while not (reached := is_precise(found.after, precision)):
        step = next_step(
            reader.foresee, points, measuring.price, measuring.size, measuring.newest, precision, _MOST_SETS
        )
        if step is None or found.cost + measuring.price(step) > budget:
            break
        found.cost += measuring.price(step)
        measuring.measure(step)
        points = reader.points(measuring.rows)
        found.sets, found.after = found.sets + 1, reader.time(points)
    found.reached, found.updates = reached, measuring.updates - updates
    found.seconds = time.perf_counter() - start
    return found


class _Measuring:
    """Measures a run at any of its steps; each state is made once.

    Args:
        folder: The run's folder.
        kept: Where states lie meanwhile.

    Attributes:
        rows: What is known, by step.
        size: Samples of a set.
        newest: The last step that can be measured.
        updates: Updates that were repeated.
    """

    def __init__(self, folder: Path, kept: Path) -> None:
        self.folder, self.updates = folder, 0
        self._run, self._kept, self._table = ReopenedRun(folder), kept, folder / REFINED
        self._states = {step: path for step, path in saved_steps(folder).items() if is_whole(path)}
        scheduled: dict[int, Mapping[str, Any]] = {**read_steps(folder / "evaluations.csv")}
        if not scheduled:
            raise DataError(
                str(folder),
                got="no rows in evaluations.csv",
                expected="a run that was measured",
                remedy=f"restore the file, or python -m diffmem.evaluate {shlex.quote(str(folder))} --checkpoints=all",
            )
        self.rows = {**scheduled, **read_steps(self._table)}
        self.size, self.newest = self._run.evaluation.samples.num, max(self._states, default=0)
        self._update = _TRAINING * self._run.data.batch_size * self._run.trainer.accumulate_grad_batches
        self._set = self.size * self._run.evaluation.views[""].sampler.num_steps
        self._whole = max(scheduled) * self._update + len(scheduled) * self._set

    def require_sampling(self) -> None:
        """Refuse a model without samples, which narrow every interval here."""
        self._run.require_sampling()

    def price(self, step: int) -> float:
        """Network calls for a set of samples at ``step``, as a share of those of the run."""
        behind = max((each for each in self._states if each <= step), default=0)
        return ((step - behind) * self._update + self._set) / self._whole

    def measure(self, step: int) -> Mapping[str, Any]:
        """The row of ``step`` with one more set of samples, which is written."""
        self._run.load(self._state(step))
        known = self.rows.get(step)
        self._run.evaluation.samples.first = int(float(known["num_samples"])) if known else 0
        row = self._run.measure(step, self.folder / "refined", samples_only=known is not None)
        self.rows[step] = row if known is None else pool([known, row])
        with locked(self._table.with_name(f".{REFINED}.lock"), wait=True):
            put_row(self._table, self.rows[step])
        return self.rows[step]

    def _state(self, step: int) -> Path:
        """Its checkpoint; some are left on the way, for steps that are asked for later."""
        if step not in self._states:
            behind = max((each for each in self._states if each <= step), default=0)
            on_the_way = range(step, behind, -max(1, -(-(step - behind) // _LEFT_ON_THE_WAY)))
            paths = {each: self._kept / f"{each}.ckpt" for each in on_the_way}
            keep = lambda run, at: save_checkpoint(run.trainer, run.model, paths[at])  # noqa: E731
            self.updates += replay(self.folder, list(paths), keep, further=self._states)
            self._states |= paths
        return self._states[step]


@dataclass(frozen=True)
class _Reader:
    """How a time is read.

    Attributes:
        column: The column whose values it reads.
        point: What it reads of a row.
        time: The time itself.
        foresee: The same with few draws.
    """

    column: str
    point: Callable[[Mapping[str, Any]], Point]
    time: TimeOf
    foresee: TimeOf

    def points(self, rows: Mapping[int, Mapping[str, Any]]) -> dict[int, Point]:
        """What is known, by step; a row from before the measurement was switched on has no value."""
        return {step: self.point(row) for step, row in rows.items() if row.get(self.column) not in (None, "")}


def _reader(folder: Path, name: str, levels: Levels) -> _Reader:
    column = {"mem": "f_mem", "overfit": "loss_test"}.get(name, "")
    if name == "gen":
        if levels.gen is None:
            raise DataError(
                "--refine gen", got="no level", expected="the quality at τ_gen", remedy="set --quality-level, e.g. 2"
            )
        column = quality_column([read_run(folder)], levels.quality)

    def point(row: Mapping[str, Any]) -> Point:
        std = row.get(f"{column}_std") if name == "gen" else None
        return Point(float(row[column]), int(float(row["num_samples"])), None if std in (None, "") else float(std))

    def time_with(num_draws: int) -> TimeOf:
        def time_of(points: Mapping[int, Point]) -> Estimate:
            steps = sorted(points)
            values, counts, stds = zip(*(points[step] for step in steps), strict=True)
            with parameters_of(level="mem_level" if name == "mem" else "quality_level"):
                if name == "mem":
                    return timescales.tau_mem(steps, values, counts, level=levels.mem, num_draws=num_draws)
                if name == "overfit":
                    return timescales.tau_overfit(steps, values, num_draws=num_draws)
                std = None if None in stds else stds
                return timescales.tau_gen(steps, values, levels.gen or 0, std, num_draws=num_draws)

        return time_of

    return _Reader(column, point, time_with(timescales.NUM_DRAWS), time_with(_NUM_DRAWS))
