"""The comparison as the page shows it: rules, tables, laws, and the figures' points, as plain values."""

from typing import Any

import numpy as np

from diffmem.analysis import effects_table
from diffmem.analysis.comparison import Comparison, Group
from diffmem.analysis.effects import Effects
from diffmem.analysis.estimate import Estimate
from diffmem.analysis.figures import quality_name
from diffmem.analysis.pages.run import SYMBOLS, _numbers
from diffmem.analysis.report import HEADER, PHASE_RULE, ladder_lines, ladder_table, law_lines, table_rows
from diffmem.analysis.runs import CLOCKS
from diffmem.analysis.scaling import PowerLaw


def study_data(comparison: Comparison, effects: Effects | None = None) -> dict[str, Any]:
    """What the page shows of all runs together, as plain values."""
    return {
        "tables": [*tables(comparison), *([_effects_table(effects)] if effects else [])],
        "effects": _effects(effects) if effects else [],
        "laws": law_lines(comparison),
        "clock": CLOCKS[comparison.rules.clock],
        "quality": quality_name(comparison.quality),
        "ladder": [rung for group in comparison.groups for rung in _ladder(group)],
        "phases": [
            {"group": p.group, "n": p.n, "p": p.num_parameters, "phase": p.phase.value} for p in comparison.phases
        ],
        "times": [series for group in comparison.groups for series in _times(group)],
        "runs": [
            {"run": place, "group": group.name, "n": each.run.n, **_curves(comparison, each.run)}
            for place, (group, each) in enumerate(runs_of(comparison))
        ],
    }


def runs_of(comparison: Comparison) -> list[tuple[Group, Any]]:
    """Every run with its group, in the order of the page."""
    return [(group, each) for group in comparison.groups for each in group.runs]


def tables(comparison: Comparison) -> list[dict[str, Any]]:
    """The tables of the comparison: title, caption, header and rows of text."""
    warning = f"τ_gen: {comparison.level_warning}." if comparison.level_warning else ""
    found = [
        {
            "title": "Times",
            "caption": warning,
            "header": list(HEADER),
            "rows": [list(row) for row in table_rows(comparison)],
        }
    ]
    header, rungs = ladder_table(comparison)
    if rungs:
        caption = " ".join(ladder_lines(comparison))
        found.append({"title": "Exponents by criterion", "caption": caption, "header": header, "rows": rungs})
    if comparison.phases:
        rows = [[p.group, str(p.n), str(p.num_parameters), p.phase.value] for p in comparison.phases]
        found.append({"title": "Phases", "caption": PHASE_RULE, "header": ["group", "n", "p", "phase"], "rows": rows})
    return found


def _effects_table(effects: Effects) -> dict[str, Any]:
    rows = [[text.replace("**", "") for text in row] for row in effects_table.table_rows(effects)]
    caption = " ".join(effects_table.rule_lines(effects)).replace(" Bold: the interval leaves 1 out.", "")
    return {"title": "Effects", "caption": caption, "header": list(effects_table.HEADER), "rows": rows}


def _effects(effects: Effects) -> list[dict[str, Any]]:
    """Each ratio to the baseline that has a value, with its interval."""
    symbols = {"gen": "τ_gen", "mem": "τ_mem", "room": "τ_mem/τ_gen"}
    return [
        {
            "change": row.factor,
            "n": row.n,
            "quantity": symbol,
            "value": found.value,
            "low": found.low if found.low > 0 else found.value / 9,
            "high": min(found.high, found.value * 9),
            "text": str(found),
        }
        for row in effects.rows
        for name, symbol in symbols.items()
        if row.factor and (found := row.of[name]) is not None and not np.isnan(found.value)
    ]


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
    return {"n": _numbers(grid), "tau": _numbers(law.at(grid))}


def _points(times: list[Estimate]) -> dict[str, Any]:
    return {
        "tau": [time.bound for time in times],
        "low": _numbers(np.array([time.low for time in times])),
        "high": _numbers(np.array([min(time.high, time.last) for time in times])),
        "censored": [time.censored for time in times],
        "text": [str(time) for time in times],
    }


def _curves(comparison: Comparison, run: Any) -> dict[str, Any]:
    return {
        "x": _numbers(run.clock(comparison.rules.clock)),
        "f_mem": _numbers(run.column("f_mem")),
        "quality": _numbers(run.column(comparison.quality)),
    }
