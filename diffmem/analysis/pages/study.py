"""The comparison as the page shows it: rules, tables, laws, and the figures' points, as plain values."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from diffmem.analysis import effects_table, per_class
from diffmem.analysis.boundary import boundary_table
from diffmem.analysis.comparison import Comparison, Group
from diffmem.analysis.effects import Effects
from diffmem.analysis.estimate import Estimate
from diffmem.analysis.figures import quality_name
from diffmem.analysis.pages.content import Content
from diffmem.analysis.pages.curves import numbers
from diffmem.analysis.pages.names import short
from diffmem.analysis.pages.run import SYMBOLS
from diffmem.analysis.report import (
    BOUNDARY_RULE,
    HEADER,
    PHASE_RULE,
    ladder_lines,
    ladder_table,
    law_lines,
    table_rows,
)
from diffmem.analysis.runs import CLOCKS
from diffmem.analysis.scaling import PowerLaw
from diffmem.analysis.sizes import size_table

#: Groups that fit side by side.
_MAX_GROUPS = 6


def study_data(content: Content) -> dict[str, Any] | None:
    """What the page shows of all runs together, as plain values; None where it shows one run or they do not compare."""
    comparison = content.comparison
    if comparison is None or sum(len(group.runs) for group in comparison.groups) < 2:
        return None
    places = {
        (each.run.folder, each.run.name): {"run": run, "view": view}
        for run, member in enumerate(content.members)
        for view, each in enumerate(member.views)
    }
    return {
        "tables": tables(content),
        "effects": _effects(content.effects) if content.effects else [],
        "laws": law_lines(comparison) if _laws(comparison) else [],
        "clock": CLOCKS[comparison.rules.clock],
        "quality": quality_name(comparison.quality),
        "ladder": [rung for group in comparison.groups for rung in _ladder(group)],
        "phases": [
            {"group": p.group, "n": p.n, "p": p.num_parameters, "phase": p.phase.value} for p in comparison.phases
        ],
        "times": [series for group in comparison.groups for series in _times(group)],
        "runs": [
            {
                **places[each.run.folder, each.run.name],
                "name": each.run.name,
                "group": group.name,
                "n": each.run.n,
                "x": numbers(each.run.clock(comparison.rules.clock)),
                "f_mem": numbers(each.run.column("f_mem")),
                "quality": numbers(each.run.column(comparison.quality)),
            }
            for group in comparison.groups
            for each in group.runs
        ],
    }


def tables(content: Content) -> list[dict[str, Any]]:
    """The tables of the comparison: title, caption, header and rows of text, in which ``**text**`` is bold."""
    comparison = content.comparison
    if comparison is None:
        return []
    warning = f"τ_gen: {comparison.level_warning}." if comparison.level_warning else ""
    found = [_table("Times", warning, HEADER, table_rows(comparison))]
    if content.effects:
        rules = " ".join(effects_table.rule_lines(content.effects))
        found.append(_table("Effects", rules, effects_table.HEADER, effects_table.table_rows(content.effects)))
    if _laws(comparison):
        header, rungs = ladder_table(comparison)
        if len(header) > _MAX_GROUPS:  # a group a line
            turned = zip(header, *rungs, strict=True)
            header, *rungs = [list(row) for row in turned]
            header[0] = "group"
        found.append(_table("Exponents by criterion", " ".join(ladder_lines(comparison)), header, rungs))
    header, rows = size_table(comparison)
    if rows:
        found.append(_table("Growth with the number of parameters", "The exponent β of a time in p.", header, rows))
    if comparison.phases:
        phases = [[p.group, str(p.n), str(p.num_parameters), p.phase.value] for p in comparison.phases]
        found.append(_table("Phases", PHASE_RULE, ["group", "n", "p", "phase"], phases))
        found.append(_table("Boundaries in n", BOUNDARY_RULE, *boundary_table(comparison)))
    if content.classes:
        rule = f"The first evaluation with f_mem ≥ {content.rules.mem_level:g} among the samples of the class."
        reasons = dict.fromkeys(f" –: {each.reason}." for each in content.classes if each.reason)
        found.append(
            _table(
                "τ_mem of each class", rule + "".join(reasons), per_class.HEADER, per_class.table_rows(content.classes)
            )
        )
    return found


def _table(title: str, caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    return {"title": title, "caption": caption, "header": list(header), "rows": [list(row) for row in rows]}


def _laws(comparison: Comparison) -> bool:
    """Whether any group has several n to read growth from."""
    return any(len(group.cells) > 1 for group in comparison.groups)


def _effects(effects: Effects) -> list[dict[str, Any]]:
    """Each ratio to the baseline of which something is known: a value with its interval, or a bound."""
    symbols = {"gen": "τ_gen", "mem": "τ_mem", "room": "τ_mem/τ_gen"}
    found = []
    for name, symbol in symbols.items():
        for row in effects.rows:
            effect = row.of[name]
            known = {} if effect is None else {"": effect.value, ">": effect.above, "<": effect.below}
            points = [(bound, value) for bound, value in known.items() if not np.isnan(value)]
            if effect is not None and row.factor and points:
                bound, value = points[0]
                found.append(
                    {
                        "change": short(row.factor),
                        "n": row.n,
                        "quantity": symbol,
                        "value": value,
                        "bound": bound,
                        "low": effect.low if effect.low > 0 else value if bound else value / 9,
                        "high": effect.high if np.isfinite(effect.high) else value if bound else value * 9,
                        "text": str(effect),
                    }
                )
    return found


def _ladder(group: Group) -> list[dict[str, Any]]:
    """The exponents of a group that there are."""
    laws = [(rung.criterion.name, rung.law) for rung in group.ladder if isinstance(rung.law, PowerLaw)]
    return [
        {
            "group": group.name,
            "criterion": name,
            "exponent": law.exponent,
            "low": float(np.clip(law.low, -9, 9)),
            "high": float(np.clip(law.high, -9, 9)),
            "text": law.interval_text,
        }
        for name, law in laws
    ]


def _times(group: Group) -> list[dict[str, Any]]:
    """τ_gen and τ_mem of a group against n, with intervals and the law where there is one."""
    found = []
    for name in ("gen", "mem"):
        cells = [(cell.n, time) for cell in group.cells if (time := cell.times[name]) is not None]
        if not cells:
            continue
        law = group.laws.get(name)
        found.append(
            {
                "group": group.name,
                "symbol": SYMBOLS[name],
                "time": name,
                "n": [n for n, _ in cells],
                **_points([time for _, time in cells]),
                "law": _line(law, cells[0][0], cells[-1][0]) if isinstance(law, PowerLaw) else None,
                "exponent": law.interval_text if isinstance(law, PowerLaw) else None,
            }
        )
    return found


def _line(law: PowerLaw, first: int, last: int) -> dict[str, Any]:
    grid = np.geomspace(first, last, 30)
    return {"n": numbers(grid), "tau": numbers(law.at(grid))}


def _points(times: list[Estimate]) -> dict[str, Any]:
    return {
        "tau": [time.bound for time in times],
        "low": numbers(np.array([time.low for time in times])),
        "high": numbers(np.array([time.last if np.isinf(time.high) else time.high for time in times])),
        "censored": [time.censored for time in times],
        "text": [str(time) for time in times],
    }
