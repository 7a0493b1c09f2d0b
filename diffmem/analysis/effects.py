"""How each change of the training moves the two clocks: ratios to a baseline, paired over n, subset and seed.

A pair is a run of the change and the run of the baseline with its n, index and seed. The ratio of a time is the
geometric mean over the pairs. Its interval is that of :mod:`diffmem.analysis.gap`: Student's t over the pairs, widened
by the sampling of each run. A time that was not reached, or was past at the first evaluation, leaves its ratio open at
that end: a bound, never a number.
"""

import math
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffmem.analysis import gap as gaps
from diffmem.analysis.comparison import Comparison, RunTimes
from diffmem.analysis.estimate import Array, Estimate, plain, stratified
from diffmem.analysis.factors import Setting, factor_of, find_baseline, settings_of
from diffmem.errors import DataError

QUANTITIES = ("gen", "mem", "room", "best", "equal")


@dataclass(frozen=True)
class LogRange:
    """The logarithm of a positive quantity: a number, or no more than a bound.

    Attributes:
        low: The number, or the lower bound; −inf where there is none.
        high: The number, or the upper bound; inf where there is none.
        draws_low: Bootstrap draws of the lower end, (num_draws,).
        draws_high: Those of the upper end.
    """

    low: float
    high: float
    draws_low: Array
    draws_high: Array

    def over(self, other: "LogRange") -> "LogRange":
        """The logarithm of the ratio."""
        return LogRange(
            self.low - other.high,
            self.high - other.low,
            self.draws_low - other.draws_high,
            self.draws_high - other.draws_low,
        )


@dataclass(frozen=True)
class Effect:
    """A positive quantity or a ratio with its interval, or a bound.

    Attributes:
        value: NaN where there is a bound alone.
        low: Lower end of the interval; 0 where it is open.
        high: Upper end; infinity where it is open.
        above: What it exceeds at least, where it is a lower bound; else NaN.
        below: What it stays below at least, where it is an upper bound; else NaN.
    """

    value: float
    low: float
    high: float
    above: float = math.nan
    below: float = math.nan

    def __str__(self) -> str:
        if not math.isnan(self.above):
            return f"> {plain(self.above)}"
        if not math.isnan(self.below):
            return f"< {plain(self.below)}"
        if math.isnan(self.value):
            return "–"
        high = "∞" if math.isinf(self.high) else plain(self.high)
        return f"{plain(self.value)} [{plain(self.low)}, {high}]"

    @property
    def differs(self) -> bool:
        """Whether the interval leaves 1 out."""
        return self.low > 1 or self.high < 1


@dataclass(frozen=True)
class Row:
    """One change at one n.

    Attributes:
        factor: What differs from the baseline; "" for the baseline itself.
        n: Number of training images.
        rate: The rate of its runs, the best of ``rates``.
        rates: The rates that were run.
        num_pairs: Number of pairs; of runs for the baseline.
        of: By :data:`QUANTITIES`, as multiples of the baseline's, or absolute for the baseline; None where no pair has
            it: τ_gen, τ_mem, τ_mem/τ_gen, the best quality before τ_mem, the quality at τ_mem.
    """

    factor: str
    n: int
    rate: float
    rates: tuple[float, ...]
    num_pairs: int
    of: dict[str, Effect | None]


@dataclass(frozen=True)
class Effects:
    """The rows of all changes, n by n, the baseline first, and the comparison they come from."""

    comparison: Comparison
    baseline: Setting
    rows: tuple[Row, ...]


def effects_against(comparison: Comparison, against: str) -> Effects:
    """The effects of what sets each setting apart from the one that ``against`` names.

    A change that was run at several rates is shown at the one of the best quality before τ_mem, the mean over its
    pairs; where the rate is the change, every rate has its row.

    Raises:
        ParameterError: As :func:`~diffmem.analysis.factors.find_baseline`.
        DataError: A run does not say how it was trained, or no setting shares an n, index and seed with the baseline.
    """
    settings = settings_of(comparison)
    baseline = find_baseline(settings, against)
    by_factor: dict[str, list[Setting]] = defaultdict(list)
    for setting in settings:
        if setting is not baseline:
            by_factor[factor_of(setting.training, baseline.training)].append(setting)
    rows = []
    for n in sorted({n for n, _, _ in baseline.runs}):
        absolute = [each for key, each in baseline.runs.items() if key[0] == n]
        found = [_effect_row(comparison, name, members, baseline, n) for name, members in by_factor.items()]
        shown = sorted((each for each in found if each is not None), key=_order)
        if shown:
            rows += [_baseline_row(comparison, baseline, absolute, n), *shown]
    if not rows:
        raise DataError(
            "against",
            got=f"a baseline of {len(baseline.runs)} runs and no other setting with n, index and seed of one of them",
            expected="pairs",
            remedy="run the changes on the subsets and seeds of the baseline",
        )
    return Effects(comparison, baseline, tuple(rows))


def _order(row: Row) -> tuple[bool, float]:
    """From the earliest copies to the latest, by what is known of them."""
    mem = row.of["mem"]
    if mem is None:
        return True, 0.0
    known = [each for each in (mem.value, mem.above, mem.below) if not math.isnan(each)]
    return not known, known[0] if known else 0.0


def _effect_row(
    comparison: Comparison, factor: str, settings: Sequence[Setting], baseline: Setting, n: int
) -> Row | None:
    """The row of a change at ``n``, at its best rate; None where it shares no run with the baseline."""
    rows = {}
    for setting in settings:
        keys = [key for key in setting.runs if key[0] == n and key in baseline.runs]
        if not keys:
            continue
        pairs = [
            (_ranges(comparison, setting.runs[key]), _ranges(comparison, baseline.runs[key]))
            for key in sorted(keys, key=str)
        ]
        found: dict[str, Effect | None] = {}
        for name in QUANTITIES:
            both = [a[name].over(b[name]) for a, b in pairs if name in a and name in b]
            found[name] = _pooled(both, comparison, f"{factor}/{n}") if both else None
        of_best = [a["best"].low for a, _ in pairs if "best" in a]
        quality = float(np.mean(of_best)) if of_best else math.inf
        rows[setting.rate] = (quality, Row(factor, n, setting.rate, (), len(keys), found))
    if not rows:
        return None
    best = min(rows.values(), key=lambda each: each[0])[1]
    return Row(factor, n, best.rate, tuple(sorted(rows)), best.num_pairs, best.of)


def _baseline_row(comparison: Comparison, baseline: Setting, runs: Sequence[RunTimes], n: int) -> Row:
    ranges = [_ranges(comparison, each) for each in runs]
    of = {}
    for name in QUANTITIES:
        found = [each[name] for each in ranges if name in each]
        of[name] = _pooled(found, comparison, f"baseline/{n}") if found else None
    return Row("", n, baseline.rate, (baseline.rate,), len(runs), of)


def _pooled(ranges: Sequence[LogRange], comparison: Comparison, label: str) -> Effect:
    """Geometric mean of what the pairs have, with its interval."""
    rules = comparison.rules
    low, high = (float(np.mean([getattr(each, end) for each in ranges])) for end in ("low", "high"))
    known = np.array([_known(each) for each in ranges])
    weights = gaps.between_run_weights(len(ranges), rules.num_draws, seed=zlib.crc32(label.encode()))
    deviation = weights @ known
    tail = (1 - rules.confidence) / 2
    ends = []
    for end, share in (("draws_low", tail), ("draws_high", 1 - tail)):
        draws = np.mean([getattr(each, end) for each in ranges], axis=0) + deviation
        ends.append(float(np.exp(np.quantile(draws, share, method="inverted_cdf"))))
    if math.isinf(low) and math.isinf(high):
        return Effect(math.nan, 0.0, math.inf)
    if math.isinf(high):
        return Effect(math.nan, ends[0], math.inf, above=math.exp(low))
    if math.isinf(low):
        return Effect(math.nan, 0.0, ends[1], below=math.exp(high))
    return Effect(math.exp(low), min(ends[0], math.exp(low)), max(ends[1], math.exp(low)))


def _known(each: LogRange) -> float:
    """The number or the bound; 0 where there is neither."""
    return next((end for end in (each.low, each.high) if math.isfinite(end)), 0.0)


def _ranges(comparison: Comparison, each: RunTimes) -> dict[str, LogRange]:
    """What one run has of :data:`QUANTITIES`."""
    found = {}
    for name in ("gen", "mem"):
        time = each.times[name]
        known = _past_from_the_start(comparison, each, name) if time is None else _of_time(time)
        if known is not None:
            found[name] = known
    if "gen" in found and "mem" in found:
        found["room"] = found["mem"].over(found["gen"])
    if (mem := each.times["mem"]) is not None:
        found.update(_qualities(comparison, each, mem))
    return found


def _past_from_the_start(comparison: Comparison, each: RunTimes, name: str) -> LogRange | None:
    """The upper bound of a time whose level every evaluation after step 0 is past; None where one is not."""
    rules, level = comparison.rules, comparison.quality_level
    values = each.run.column("f_mem" if name == "mem" else comparison.quality)
    clock = each.run.clock(rules.clock)
    after = (clock > 0) & ~np.isnan(values)
    short = values < rules.mem_level if name == "mem" else values > (-math.inf if level is None else level)
    if not after.any() or (short & after).any():
        return None
    first = math.log(clock[after][0])
    draws = np.full(rules.num_draws, first)
    return LogRange(-math.inf, first, np.full_like(draws, -math.inf), draws)


def _of_time(time: Estimate) -> LogRange:
    with np.errstate(divide="ignore"):
        low = math.log(time.bound) if time.bound > 0 else -math.inf
        return LogRange(low, math.inf if time.censored else low, np.log(time.draws_low), np.log(time.draws_high))


def _qualities(comparison: Comparison, each: RunTimes, mem: Estimate) -> dict[str, LogRange]:
    """The best quality of the evaluations before τ_mem, and the quality at τ_mem, interpolated in the logarithms."""
    run, column = each.run, comparison.quality
    clock, quality = run.clock(comparison.rules.clock), run.column(column)
    here = (quality > 0) & (clock > 0)  # not NaN, and with a logarithm
    clock, quality = clock[here], quality[here]
    error = run.column(f"{column}_std")[here] if f"{column}_std" in run.table.columns else np.zeros_like(quality)
    relative = np.nan_to_num(error) / quality
    before = clock <= mem.bound * (1 + 1e-9)
    found = {}
    if before.any():
        place = int(np.where(before, quality, np.inf).argmin())
        found["best"] = _measured(math.log(quality[place]), float(relative[place]), comparison, run.name)
    if not mem.censored and len(clock):
        at = float(np.interp(math.log(mem.value), np.log(clock), np.log(quality)))
        spread = float(np.interp(math.log(mem.value), np.log(clock), relative))
        found["equal"] = _measured(at, spread, comparison, run.name)
    return found


def _measured(log_value: float, relative_error: float, comparison: Comparison, label: str) -> LogRange:
    from scipy.special import ndtri

    draws = log_value + relative_error * ndtri(stratified(comparison.rules.num_draws, zlib.crc32(label.encode())))
    return LogRange(log_value, log_value, draws, draws)
