"""Runs side by side: grouped, checked to be comparable, and reduced to one row per group and n."""

import math
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffmem.analysis import gap as gaps
from diffmem.analysis import timescales
from diffmem.analysis.collapse import Collapse, collapse
from diffmem.analysis.comparable import group_runs, refuse_different_protocols
from diffmem.analysis.estimate import Estimate
from diffmem.analysis.ladder import Rung, criteria, ladder
from diffmem.analysis.levels import shared_level
from diffmem.analysis.phase import Phase, PhasePoint, phase_of
from diffmem.analysis.runs import CLOCKS, DEFAULT_VIEW, Run, quality_column
from diffmem.analysis.scaling import PowerLaw, fit_of_runs
from diffmem.errors import DataError, ParameterError, require_one_of

Notes = defaultdict[str, list[str]]

TIMES = ("gen", "mem", "overfit")
_MAX_NAMES = 3


@dataclass(frozen=True)
class Rules:
    """By which rules the times are read off; printed with every table.

    Attributes:
        by: Identity columns whose values make the groups.
        clock: One of :data:`~diffmem.analysis.runs.CLOCKS`.
        quality: Column of the quality; None for ``fid`` or the one Fréchet distance there is.
        quality_level: Level q of τ_gen; None for the common one of :mod:`~diffmem.analysis.levels`, which one run
            alone does not have.
        mem_level: Level c of τ_mem.
        confidence: Mass of every interval.
        num_draws: Bootstrap draws, at least 100.
        collapse: Which curves of f_mem are laid on each other: ``all``, or ``plateaus``, those that have levelled off.

    Raises:
        ParameterError: A value that makes no rule.
    """

    by: tuple[str, ...] = ("optimizer",)
    clock: str = "updates"
    quality: str | None = None
    quality_level: float | None = None
    mem_level: float = timescales.MEMORIZATION_LEVEL
    confidence: float = timescales.CONFIDENCE
    num_draws: int = timescales.NUM_DRAWS
    collapse: str = "all"

    def __post_init__(self) -> None:
        for name, least, most in (("quality_level", 0, math.inf), ("mem_level", 0, 1), ("confidence", 0, 1)):
            value = getattr(self, name)
            if value is not None and not least < value < most:
                raise ParameterError(name, got=value, expected=f"a number in ({least}, {most:g})")
        if not 100 <= self.num_draws <= 100_000:
            raise ParameterError("num_draws", got=self.num_draws, expected="100 to 100,000")
        require_one_of(CLOCKS, "clock", self.clock)
        require_one_of(("all", "plateaus"), "collapse", self.collapse)


@dataclass(frozen=True)
class RunTimes:
    """The times of one run; None where its curve could not support one."""

    run: Run
    times: Mapping[str, Estimate | None]


@dataclass(frozen=True)
class Cell:
    """The runs of one group and n, and what they give together."""

    group: str
    n: int
    runs: tuple[RunTimes, ...]
    times: Mapping[str, Estimate | None]
    gap: Estimate | None
    ratio: Estimate | None


@dataclass(frozen=True)
class Group:
    """The cells of one group, ascending in n, with their laws in n or the reason why there is none."""

    name: str
    cells: tuple[Cell, ...]
    laws: Mapping[str, PowerLaw | str]
    ladder: tuple[Rung, ...]
    collapse: Collapse | str
    phases: Mapping[int, Phase]

    @property
    def runs(self) -> list[RunTimes]:
        return [each for cell in self.cells for each in cell.runs]


@dataclass(frozen=True)
class Comparison:
    """Everything the tables and figures show."""

    rules: Rules
    quality: str
    quality_level: float | None
    level_note: str
    level_warning: str
    groups: tuple[Group, ...]
    notes: tuple[str, ...]

    @property
    def cells(self) -> list[Cell]:
        return [cell for group in self.groups for cell in group.cells]

    @property
    def phases(self) -> list[PhasePoint]:
        """The phases of the cells whose number of parameters is known."""
        return [
            PhasePoint(group.name, n, p, phase)
            for group in self.groups
            for n, phase in group.phases.items()
            if isinstance(p := group.runs[0].run.identity.get("num_parameters"), int)
        ]


def compare(runs: Sequence[Run], rules: Rules = Rules()) -> Comparison:
    """Times, gaps and laws of ``runs``.

    Raises:
        ParameterError: A column that does not exist.
        DataError: Runs that cannot be compared; see :mod:`~diffmem.analysis.comparable`.
    """
    quality = quality_column(runs, rules.quality)
    refuse_different_protocols(runs, quality, rules.by)
    grouped = group_runs(runs, rules.by)
    level = shared_level(runs, quality, rules.quality_level)
    among = criteria(runs, quality, level.value)
    notes: Notes = defaultdict(list)
    groups = []
    for name, members in grouped.items():
        measured = [_measure(run, quality, level.value, rules, notes) for run in members]
        cells = tuple(
            _cell(name, n, [each for each in measured if each.run.n == n], rules)
            for n in sorted({run.n for run in members})
        )
        phases = _phases(cells, rules)
        outlived = [n for n, phase in phases.items() if phase is Phase.ARCHITECTURE]
        if outlived:
            sizes = ", ".join(map(str, outlived))
            notes[f"no copies where smaller n predict them, left out of the law of τ_mem at n = {sizes}"].append(name)
        laws = {
            "gen": _law(measured, "gen", rules.confidence),
            "mem": _law([each for each in measured if each.run.n not in outlived], "mem", rules.confidence),
        }
        rungs = ladder(name, members, among, rules.clock, outlived, rules.confidence)
        groups.append(Group(name, cells, laws, tuple(rungs), _collapse(measured, rules), phases))
    return Comparison(rules, quality, level.value, level.note, level.warning, tuple(groups), tuple(_note_lines(notes)))


def _measure(run: Run, quality: str, level: float | None, rules: Rules, notes: Notes) -> RunTimes:
    """All times of one run; what is refused or lacks an interval goes to ``notes``."""
    clock = run.clock(rules.clock)
    common: dict[str, Any] = {
        "confidence": rules.confidence,
        "num_draws": rules.num_draws,
        # of the run, not of the folder it lies in: a copied table gives the same interval
        "seed": _seed_of(run),
    }

    def refused_to_notes(symbol: str, measure: Callable[[], Estimate]) -> Estimate | None:
        try:
            return measure()
        except DataError as refusal:
            notes[f"{symbol} refused: {refusal}"].append(run.name)
            return None

    def curve(column: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        values = run.column(column)
        here = ~np.isnan(values)
        std = run.column(f"{column}_std")[here] if f"{column}_std" in run.table.columns else None
        if std is None or np.isnan(std).any():
            notes[f"no complete {column}_std, the interval holds the spacing of evaluations alone"].append(run.name)
            std = None
        return clock[here], values[here], std

    num_samples = run.num_samples
    if num_samples is None:
        notes["no num_samples, the interval of τ_mem holds the spacing of evaluations alone"].append(run.name)
    elif "num_samples" not in run.table.columns:
        notes[f"num_samples = {num_samples[0]:g} inferred from the interval of f_mem"].append(run.name)
    if "f_mem_null" in run.table.columns:
        chance = run.table["f_mem_null"].max()
        if chance >= rules.mem_level:
            notes[f"f_mem_null reaches {chance:.2%}, part of f_mem may be chance"].append(run.name)

    def gen(level: float) -> Estimate:
        steps, values, std = curve(quality)
        return timescales.tau_gen(steps, values, level, std, **common)

    def mem() -> Estimate:
        return timescales.tau_mem(clock, run.column("f_mem"), num_samples, level=rules.mem_level, **common)

    def overfit() -> Estimate:
        steps, values, std = curve("loss_test")
        return timescales.tau_overfit(steps, values, std, **common)

    times = {"gen": None, "mem": refused_to_notes("τ_mem", mem), "overfit": None}
    if level is not None:
        times["gen"] = refused_to_notes("τ_gen", lambda: gen(level))
    if times["mem"] is not None and times["mem"].low == 0 and num_samples is not None:
        notes[
            f"num_samples = {num_samples.min():g} cannot exclude f_mem = {rules.mem_level:g} where no sample is "
            "memorized, the interval of τ_mem is open below"
        ].append(run.name)
    if "loss_test" in run.table.columns:
        times["overfit"] = refused_to_notes("τ_overfit", overfit)
    return RunTimes(run, times)


def _seed_of(run: Run) -> int:
    """A number of what identifies the run; a column that says what its absence means does not change it."""
    told = sorted((key, str(value)) for key, value in run.identity.items() if DEFAULT_VIEW.get(key) != value)
    return zlib.crc32(str(told).encode())


def _note_lines(notes: Notes) -> list[str]:
    lines = []
    for text, names in notes.items():
        more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
        lines.append(f"{', '.join(names[:_MAX_NAMES])}{more}: {text}.")
    return lines


def _cell(group: str, n: int, runs: Sequence[RunTimes], rules: Rules) -> Cell:
    weights = gaps.between_run_weights(len(runs), rules.num_draws, seed=zlib.crc32(f"{group}/{n}".encode()))

    def pooled(name: str, among: Sequence[bool]) -> Estimate | None:
        found = [each.times[name] for each, kept in zip(runs, among, strict=True) if kept]
        if not found:
            return None
        shared = weights if all(among) else gaps.between_run_weights(len(found), rules.num_draws, seed=n)
        return gaps.pool([each for each in found if each is not None], shared, rules.confidence)

    has = {name: [each.times[name] is not None for each in runs] for name in TIMES}
    both = [gen and mem for gen, mem in zip(has["gen"], has["mem"], strict=True)]
    mem, gen = pooled("mem", both), pooled("gen", both)
    gap = ratio = None
    if mem is not None and gen is not None:
        gap, ratio = gaps.gap(mem, gen, rules.confidence), gaps.ratio(mem, gen, rules.confidence)
    times = {name: pooled(name, has[name]) for name in TIMES}
    return Cell(group, n, tuple(runs), times, gap, ratio)


def _law(runs: Sequence[RunTimes], name: str, confidence: float) -> PowerLaw | str:
    found = [(each.run, time) for each in runs if (time := each.times[name]) is not None]
    return fit_of_runs(found, confidence)


def _collapse(runs: Sequence[RunTimes], rules: Rules) -> Collapse | str:
    memorizing = [each.run for each in runs if (mem := each.times["mem"]) is not None and not mem.censored]
    curves = [(run.clock(rules.clock), run.column("f_mem")) for run in memorizing]
    try:
        return collapse([run.n for run in memorizing], curves, rules.collapse == "plateaus")
    except DataError as refusal:
        return str(refusal).partition(": ")[2]


def _phases(cells: Sequence[Cell], rules: Rules) -> dict[int, Phase]:
    """Phase of each n, in ascending order: each is judged by the law of the smaller n that architecture left alone."""
    phases: dict[int, Phase] = {}
    governed: list[RunTimes] = []
    for cell in cells:
        mem = cell.times["mem"]
        if mem is not None:
            found = _law(governed, "mem", rules.confidence)
            law = None if isinstance(found, str) or found.is_bent else found
            of_runs = [time for each in cell.runs if (time := each.times["mem"]) is not None]
            phases[cell.n] = phase_of(cell.times["gen"], mem, of_runs, law, cell.n)
        if phases.get(cell.n) is not Phase.ARCHITECTURE:
            governed += cell.runs
    return phases
