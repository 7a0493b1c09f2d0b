"""In what order the measures of copying move, over many runs, and whether that depends on how each is read."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from diffmem.analysis import style
from diffmem.analysis.departure import departure
from diffmem.analysis.estimate import Array, Estimate
from diffmem.analysis.ladder import require_held_out
from diffmem.analysis.timescales import tau_mem, tau_overfit, tau_rise
from diffmem.errors import DataError

Table = Mapping[str, Array]


class Reading(NamedTuple):
    """One way to read off a table when a measure moves.

    Attributes:
        measure: Its name.
        rule: What must hold from then on, in words.
        columns: Columns it needs.
        time: The time, of a table with those columns.
    """

    measure: str
    rule: str
    columns: tuple[str, ...]
    time: Callable[[Table], Estimate]


def _rise(column: str, rise: float) -> Callable[[Table], Estimate]:
    return lambda table: departure(table["step"], table[column], rise, column)


def _ratio(rise: float) -> Callable[[Table], Estimate]:
    def time(table: Table) -> Estimate:
        if "num_test" in table and "n" in table:
            require_held_out("nn_ratio", table["num_test"][-1], table["n"][-1])
        return _rise("nn_ratio", rise)(table)

    return time


def _share(column: str, level: float, falling: bool = False) -> Callable[[Table], Estimate]:
    def time(table: Table) -> Estimate:
        values = 1 - table[column] if falling else table[column]
        return tau_mem(table["step"], values, table.get("num_samples"), level=1 - level if falling else level)

    return time


def _below(column: str, level: float) -> Callable[[Table], Estimate]:
    def time(table: Table) -> Estimate:
        known = ~np.isnan(table[column])
        return tau_rise(table["step"][known], -table[column][known], -level, f"-{column}")

    return time


#: A looser and a stricter reading of each measure.
READINGS = (
    Reading("L_test", "its minimum", ("loss_test",), lambda table: tau_overfit(table["step"], table["loss_test"])),
    Reading("L_test", "20% above its minimum", ("loss_test",), _rise("loss_test", 0.2)),
    Reading("nn_ratio", "5% above its minimum", ("nn_ratio",), _ratio(0.05)),
    Reading("nn_ratio", "10% above its minimum", ("nn_ratio",), _ratio(0.1)),
    Reading("C_T", "below -2", ("c_t",), _below("c_t", -2)),
    Reading("C_T", "below -5", ("c_t",), _below("c_t", -5)),
    Reading("AuthPct", "below 40%", ("authenticity",), _share("authenticity", 0.4, falling=True)),
    Reading("AuthPct", "below 20%", ("authenticity",), _share("authenticity", 0.2, falling=True)),
    Reading("f_mem", "1% and more", ("f_mem",), _share("f_mem", 0.01)),
    Reading("f_mem", "5% and more", ("f_mem",), _share("f_mem", 0.05)),
    Reading("twins", "a quarter nearer to their training images", ("share_own",), _share("share_own", 0.25)),
    Reading("twins", "half nearer to their training images", ("share_own",), _share("share_own", 0.5)),
)
MEASURES = tuple(dict.fromkeys(reading.measure for reading in READINGS))


def times(*tables: Table) -> list[dict[str, Any]]:
    """When each measure of one run moves, by each reading, in the order of time.

    Args:
        tables: Columns of ``evaluations.csv``, and of ``twins.csv`` where there is one; only measures whose columns one
            of them has are read.

    Returns:
        ``measure, rule, time, low, high, censored, text``; ``time`` is None where none can be read, and ``text`` says
        why. Of a censored one it is what the time exceeds.
    """
    rows: list[dict[str, Any]] = []
    for measure, rule, columns, time in READINGS:
        for table in tables:
            if any(column not in table for column in columns):
                continue
            row: dict[str, Any] = {"measure": measure, "rule": rule}
            try:
                found = time(table)
            except DataError as error:
                rows.append({**row, "time": None, "low": None, "high": None, "censored": None, "text": str(error)})
                continue
            rows.append({**row, "time": found.bound, "low": found.low, "high": found.high,
                         "censored": found.censored, "text": str(found)})  # fmt: skip
    return sorted(rows, key=lambda row: np.inf if row["time"] is None else row["time"])


def precedence(runs: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """For each two measures, in how many runs the first moves before the second however both are read.

    Args:
        runs: Rows of :func:`times` of each run.

    Returns:
        ``first, second, runs, before, after, depends``: of the runs in which both can be read, those in which the first
        comes before the second by every pair of readings, those in which it comes after by every one, and those where
        that depends on the reading, or where neither has come by the end.
    """
    rows = []
    for place, first in enumerate(MEASURES):
        for second in MEASURES[place + 1 :]:
            verdicts = [verdict for run in runs if (verdict := _verdict(run, first, second)) is not None]
            if verdicts:
                before, after = verdicts.count("before"), verdicts.count("after")
                rows.append({"first": first, "second": second, "runs": len(verdicts), "before": before,
                             "after": after, "depends": len(verdicts) - before - after})  # fmt: skip
    return rows


def _verdict(run: Sequence[Mapping[str, Any]], first: str, second: str) -> str | None:
    mine, others = (
        [row for row in run if row["measure"] == name and row["time"] is not None] for name in (first, second)
    )
    if not mine or not others:
        return None
    if all(_earlier(a, b) for a in mine for b in others):
        return "before"
    return "after" if all(_earlier(b, a) for a in mine for b in others) else "depends"


def _earlier(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether ``a`` comes before ``b``: of a censored time only what it exceeds is known."""
    return not a["censored"] and a["time"] < b["time"]


@style.styled
def draw_order(runs: Sequence[tuple[int, Sequence[Mapping[str, Any]]]], path: Path) -> Path:
    """Times of every run by every reading, a row each, coloured by n; an arrow where one is not reached.

    Args:
        runs: n and the rows of :func:`times` of each run.
        path: The PNG to write.
    """
    readings = [each for each in READINGS if any(_key(row) == each[:2] for _, rows in runs for row in rows)]
    figure, ((ax,),) = style.new_figure(1, 1, width=6.2, height=0.7 + 0.27 * len(readings))
    colors = style.colors_of_n(n for n, _ in runs)
    for number, (n, rows) in enumerate(runs):
        shift = 0.5 * (number / max(len(runs) - 1, 1) - 0.5)
        for row in rows:
            if row["time"] is None:
                continue
            y = [each[:2] for each in readings].index(_key(row)) + shift
            ax.plot(row["time"], y, ">" if row["censored"] else "o", color=colors[n], ms=3.5,
                    mfc="white" if row["censored"] else colors[n])  # fmt: skip
    ax.set_yticks(range(len(readings)), [f"{each.measure}: {each.rule}" for each in readings])
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlabel("updates (open: not reached by then)")
    style.legend_of_n(figure, colors)
    return style.save(figure, path)


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["measure"], row["rule"]
