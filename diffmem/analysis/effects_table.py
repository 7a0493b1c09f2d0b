"""The effects in words and numbers: ``effects.csv`` and ``effects.md``."""

import math
from collections.abc import Sequence
from pathlib import Path

from diffmem.analysis.effects import Effect, Effects, Row
from diffmem.analysis.report import markdown_list, markdown_table, text_table, write_cells
from diffmem.analysis.runs import CLOCKS
from diffmem.files import write_atomic

COLUMNS = {
    "gen": "tau_gen", "mem": "tau_mem", "room": "room", "best": "best_quality", "equal": "quality_at_mem_level",
}  # fmt: skip


def rule_lines(effects: Effects) -> list[str]:
    """What the numbers of the table are."""
    comparison, rules = effects.comparison, effects.comparison.rules
    return [
        "Rows named baseline hold its own values, the others multiples of them, geometric means over pairs of runs of "
        f"one n, subset and seed; intervals at {rules.confidence:.0%} from the spread of the pairs (Student t) and the "
        f"sampling of each. Bold: the interval leaves 1 out, as {1 - rules.confidence:.0%} of all would by chance.",
        "key=default: the value that its class has where none is given.",
        f"Times in {CLOCKS[rules.clock]}. τ_gen: {comparison.quality} ≤ q. {comparison.level_note}",
        f"τ_mem: f_mem ≥ {rules.mem_level:g}. Room: τ_mem/τ_gen.",
        f"Quality before τ_mem: the lowest {comparison.quality} of the evaluations up to τ_mem. Quality at τ_mem: at "
        f"equal f_mem = {rules.mem_level:g}, interpolated. Smaller is better.",
        "> x, < x: a bound, where a time was not reached by the end of a run or was past at its first evaluation; –: "
        "nothing is known.",
        "A change that was run at several rates is shown at the one of the best quality before τ_mem.",
    ]


HEADER = ("n", "change", "rate", "pairs", "τ_gen", "τ_mem", "room", "quality before τ_mem", "quality at τ_mem")


def table(effects: Effects) -> str:
    """The Markdown table, a row for each change and n."""
    return text_table(HEADER, table_rows(effects))


def table_rows(effects: Effects) -> list[tuple[str, ...]]:
    """Its rows, under :data:`HEADER`."""
    return [_cells(row) for row in effects.rows]


def _cells(row: Row) -> tuple[str, ...]:
    rate = f"{row.rate:g}" + (f" of {len(row.rates)}" if len(row.rates) > 1 else "")
    texts = (_text(row.of[name], bool(row.factor)) for name in COLUMNS)
    return (str(row.n), row.factor or "baseline", rate, str(row.num_pairs), *texts)


def _text(effect: Effect | None, is_ratio: bool) -> str:
    if effect is None:
        return "–"
    return f"**{effect}**" if is_ratio and effect.differs else str(effect)


def console_text(effects: Effects) -> str:
    """What the command prints."""
    return "\n".join([*rule_lines(effects), "", table(effects), "", *_notes(effects)])


def write_effects(effects: Effects, folder: Path, figures: Sequence[Path] = ()) -> list[Path]:
    """Write ``effects.csv`` and ``effects.md``; returns their paths."""
    rules = effects.comparison.rules
    protocol = {
        "clock": rules.clock, "quality": effects.comparison.quality, "quality_level": effects.comparison.quality_level,
        "mem_level": rules.mem_level, "confidence": rules.confidence,
    }  # fmt: skip
    write_cells(folder / "effects.csv", [{**_record(row), **protocol} for row in effects.rows])
    sections = ["# Effects", markdown_list(rule_lines(effects)), markdown_table(HEADER, table_rows(effects))]
    if effects.comparison.notes:
        sections += ["## Notes", markdown_list(effects.comparison.notes)]
    sections += [f"![{each.stem}]({each.name})" for each in figures]
    write_atomic(folder / "effects.md", "\n\n".join(sections) + "\n")
    return [folder / "effects.csv", folder / "effects.md"]


def _notes(effects: Effects) -> list[str]:
    return [f"Note: {note}" for note in effects.comparison.notes]


def _record(row: Row) -> dict[str, object]:
    """One row of ``effects.csv``: numbers, "> x" or "< x" for a bound, empty where nothing is known."""
    record: dict[str, object] = {
        "change": row.factor or "baseline",
        "n": row.n,
        "rate": row.rate,
        "rates": " ".join(f"{rate:g}" for rate in row.rates),
        "pairs": row.num_pairs,
    }
    for name, column in COLUMNS.items():
        effect = row.of[name]
        record[column] = _number(effect)
        record[f"{column}_low"] = None if effect is None or effect.low == 0 else effect.low
        record[f"{column}_high"] = None if effect is None or math.isinf(effect.high) else effect.high
    return record


def _number(effect: Effect | None) -> float | str | None:
    if effect is None:
        return None
    for sign, bound in ((">", effect.above), ("<", effect.below)):
        if not math.isnan(bound):
            return f"{sign} {bound:.10g}"
    return None if math.isnan(effect.value) else effect.value
