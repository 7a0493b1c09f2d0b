"""The generalization window of one run: from good samples to the first copies, as far as its rows tell."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from diffmem.analysis.runs import quality_columns
from diffmem.errors import DataError, ParameterError

Rule = Literal["f_mem", "loss_split"]
LEVELS: dict[str, float] = {"f_mem": 0.002, "loss_split": 0.25}
PLATEAU_FACTOR = 1.5


@dataclass(frozen=True)
class Window:
    """Where to stop, and why.

    Attributes:
        onset: First evaluated step at which memorization has begun; None when it has not.
        steps: Evaluated steps before the onset at which the samples are as good as they get; () when there is none.
        best: The one of ``steps`` with the best samples; None when there is none.
        reason: The same in a sentence.
    """

    onset: int | None
    steps: tuple[int, ...]
    best: int | None
    reason: str


def generalization_window(
    rows: Sequence[Mapping[str, Any]],
    rule: Rule = "f_mem",
    level: float | None = None,
    quality_level: float | None = None,
    plateau_factor: float = PLATEAU_FACTOR,
) -> Window:
    """The window that the rows of ``evaluations.csv`` show.

    Memorization begins at the first row where

    - ``"f_mem"``: the lower bound of f_mem's interval reaches ``level`` (0.002 by default), or
    - ``"loss_split"``, which needs no samples: L_test exceeds its lowest value so far by the share ``level`` (0.25),
      while L_train has fallen since.

    The window is the unbroken series of rows just before the onset whose quality (FID, or the Fréchet distance in use)
    is at most ``quality_level``, and within two standard errors at most ``plateau_factor`` times the lowest before the
    onset. Where the samples were still becoming better when copying began (none before it was within that factor of the
    quality at the onset), it is empty. Without a quality that every row has it is the last row before the onset.

    So the best row of a window is known when it is measured: rows after it end the window, void it, or are better.

    Args:
        rows: Rows in the order of ``step``.
        rule: What marks the onset.
        level: See above.
        quality_level: Largest quality that counts as good, the absolute level q of τ_gen; None for no such bound.
        plateau_factor: Largest ratio to the best quality that counts as equally good.

    Raises:
        ParameterError: An unknown rule, a level that is not positive, or a factor below 1.
        DataError: No rows, or one without a number that the rule reads.
    """
    level = check_rule(rule, level, plateau_factor, quality_level)
    if not rows:
        raise DataError("evaluations", got="no rows", expected="at least one", remedy="train longer")
    onset = _onset(rows, rule, level)
    before, column = rows[:onset], quality_of_all(rows)
    best_first = _plateau(before, column, quality_level or math.inf, plateau_factor)
    measured, mark = {
        "f_mem": ("f_mem's lower bound", f"reached {level:.1%}"),
        "loss_split": ("L_test", f"rose {level:.0%} above its minimum"),
    }[rule]
    begun = f"{measured} never {mark}" if onset is None else f"{measured} {mark} at step {_step(rows[onset])}"
    window = before[best_first:]
    if onset is not None and not any(_is_within(plateau_factor, column, row, rows[onset]) for row in window):
        window = []
    at = None if onset is None else _step(rows[onset])
    if not window:
        when = "by then" if onset is None else "before that"
        return Window(at, (), None, f"{begun}, and the samples were not good {when}: no window")
    best = min(window, key=lambda row: _quality(row, column)) if column else window[-1]
    quality = f" ({column} {_quality(best, column):.3g})" if column else ""
    steps = tuple(map(_step, window))
    span = f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]} to {steps[-1]}"
    reason = f"use step {_step(best)}{quality}: {begun}, and the samples were at their best at {span}"
    return Window(at, steps, _step(best), reason)


def check_rule(rule: str, level: float | None, plateau_factor: float, quality_level: float | None = None) -> float:
    """The level in force; raises ParameterError for values that make no rule."""
    if rule not in LEVELS:
        raise ParameterError("rule", got=rule, expected=" or ".join(LEVELS))
    level = LEVELS[rule] if level is None else level
    if not 0 < level < (1 if rule == "f_mem" else math.inf):
        expected = "a share in (0, 1)" if rule == "f_mem" else "above 0"
        raise ParameterError("level", got=level, expected=expected)
    if not plateau_factor >= 1:
        raise ParameterError("plateau_factor", got=plateau_factor, expected="at least 1")
    if quality_level is not None and not quality_level > 0:
        raise ParameterError("quality_level", got=quality_level, expected="a distance above 0, or none")
    return level


def quality_of_all(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The first quality that every row has; None where there is none.

    A run that was resumed with other measurements has rows without the one or the other.
    """
    return next((name for name in quality_columns(rows[0]) if all(has_value(row, name) for row in rows)), None)


def has_value(row: Mapping[str, Any], column: str) -> bool:
    """Whether there is something in this field."""
    return row.get(column) not in (None, "")


def _onset(rows: Sequence[Mapping[str, Any]], rule: Rule, level: float) -> int | None:
    """Position of the first row at which memorization has begun."""
    columns = ("f_mem_low",) if rule == "f_mem" else ("loss_test", "loss_train")
    for row in rows:
        for column in columns:
            if not (has_value(row, column) and math.isfinite(float(row[column]))):
                raise DataError(
                    f"evaluations at step {row['step']}",
                    got=f"{column} {row[column]}" if has_value(row, column) else f"no {column}",
                    expected=f"a number, for the rule {rule}",
                    remedy="measure it at every step",
                )
    lowest_test = train_then = math.inf
    for position, row in enumerate(rows):
        if rule == "f_mem":
            begun = float(row["f_mem_low"]) >= level
        else:
            test, train = float(row["loss_test"]), float(row["loss_train"])
            begun = test >= (1 + level) * lowest_test and train < train_then
            if test < lowest_test:
                lowest_test, train_then = test, train
        if begun:
            return position
    return None


def _plateau(rows: Sequence[Mapping[str, Any]], column: str | None, quality_level: float, factor: float) -> int:
    """Where the unbroken series of good rows at the end of ``rows`` begins; their number when there is none."""
    if not rows or column is None:
        return max(len(rows) - 1, 0)
    best = min(rows, key=lambda row: _quality(row, column))
    start = len(rows)
    while (
        start > 0
        and _quality(rows[start - 1], column) <= quality_level
        and _is_within(factor, column, rows[start - 1], best)
    ):
        start -= 1
    return start


def _is_within(factor: float, column: str | None, row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the quality of ``row``, less two standard errors, is at most ``factor`` times that of ``other``."""
    if column is None:
        return True
    error = float(row[f"{column}_std"]) if has_value(row, f"{column}_std") else 0.0
    return _quality(row, column) - 2 * error <= factor * _quality(other, column)


def _quality(row: Mapping[str, Any], column: str) -> float:
    """The quality of a row; infinite, the worst, where it is no number."""
    value = float(row[column])
    return value if math.isfinite(value) else math.inf


def _step(row: Mapping[str, Any]) -> int:
    return int(row["step"])
