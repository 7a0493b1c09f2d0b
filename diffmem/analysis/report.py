"""The comparison in words and numbers: rules, table, laws, ``comparison.csv`` and ``comparison.md``."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from diffmem.analysis.boundary import boundary_table
from diffmem.analysis.comparison import Cell, Comparison
from diffmem.analysis.estimate import Estimate
from diffmem.analysis.ladder import Rung, ladder_row
from diffmem.analysis.runs import CLOCKS
from diffmem.analysis.scaling import PowerLaw
from diffmem.analysis.sizes import size_table
from diffmem.files import write_atomic, write_table
from diffmem.text import cell as csv_cell
from diffmem.text import markdown

HEADER = ("group", "n", "seeds", "τ_gen", "τ_mem", "τ_mem − τ_gen", "τ_mem/τ_gen", "τ_overfit")
CAPTIONS = {
    "curves": "f_mem and quality against time, a line per run; step 0 has no place on the logarithmic axis. Bands: 95% "
    "of f_mem, 2 standard errors of the quality. Dotted: the levels of τ_mem and τ_gen. Dashed: the quality of the "
    "training subset itself.",
    "collapse": "f_mem against τ, against τ/n, and against τ/n^α at the best α; runs that memorize. The spread is that "
    "of the times at which the curves reach a height.",
    "ladder": "The exponent of a time in n against the strictness of its criterion, with its interval; dots: 0 and 1. "
    "Hollow: no power law over these n, the exponent changes with n.",
    "timescales": "τ_gen and τ_mem against n with their laws; an arrow where a time was not reached.",
    "gap": "The window between τ_gen and τ_mem; an arrow where τ_mem was not reached.",
    "phase": "What keeps each model from copying, over n and the number of parameters. Lines: the n that trainings of "
    "these lengths memorize, by the laws of τ_mem.",
    "sizes": "τ_gen and τ_mem/n against the number of parameters, with their laws at each n; an arrow where a time was "
    "not reached.",
}
PHASE_RULE = (
    "Memorizing: τ_mem comes before τ_gen. Protected by training time: τ_gen comes before τ_mem, seen or predicted by "
    "the law of smaller n. Protected by architecture: no copies beyond the upper end of that prediction. Undecided: "
    "neither copies nor good samples, or no law to predict them, as where the times of smaller n are no power law."
)
BOUNDARY_RULE = (
    "n_gm: where good samples begin to come before copies. n memorized by τ: where the law of τ_mem reaches τ. n*: "
    "where the architecture begins to protect."
)
SYMBOLS = {"gen": "τ_gen", "mem": "τ_mem"}


def table_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """One row of text for each cell, under :data:`HEADER`."""
    return [
        (
            cell.group,
            str(cell.n),
            str(len(cell.runs)),
            *(_text(each) for each in (cell.times["gen"], cell.times["mem"], cell.gap, cell.ratio)),
            _text(cell.times["overfit"]),
        )
        for cell in comparison.cells
    ]


def rule_lines(comparison: Comparison) -> list[str]:
    """The rules by which every number of the table was read off."""
    rules = comparison.rules
    sizes = {len(cell.runs) for cell in comparison.cells}
    lines = [
        f"Times in {CLOCKS[rules.clock]}; groups by {', '.join(rules.by)}; intervals at {rules.confidence:.0%}.",
        f"τ_gen: first evaluation with {comparison.quality} ≤ q and still so at the next one, log-interpolated.",
        comparison.level_note,
        f"τ_mem: first evaluation with f_mem ≥ {rules.mem_level:g} that all later ones confirm, log-interpolated; "
        "another level moves it by about 2×.",
        "τ_overfit: the evaluation with the lowest loss_test.",
        "> x: not reached by the evaluations up to x, or an interval that reaches beyond them.",
    ]
    if comparison.quality == "fid":
        lines.append("The error of an FID in the interval of τ_gen is fid_std, its deviation over the reference sets.")
    if 1 in sizes:
        lines.append(
            "One run in a cell: its interval holds the sampling of its evaluations and their spacing, not the spread "
            "between runs."
        )
    for size in sorted(sizes - {1}):
        lines.append(
            f"{size} runs in a cell: geometric mean; the interval is for the mean over all seeds, from the spread of "
            f"these {size} (Student t, {size - 1} degree{'s' * (size > 2)} of freedom) and the sampling of each."
        )
    return lines


def law_lines(comparison: Comparison) -> list[str]:
    """Exponents in n and the collapse of each group, or why there is none."""
    lines = []
    for group in comparison.groups:
        for name, law in group.laws.items():
            if isinstance(law, PowerLaw):
                warning = f"; {comparison.level_warning}" if name == "gen" and comparison.level_warning else ""
                lines.append(f"{group.name}: {SYMBOLS[name]} ∝ n^α with α = {law}{warning}{_bend_warning(law)}")
            else:
                lines.append(f"{group.name}: no exponent of {SYMBOLS[name]} ({law})")
        lines.append(f"{group.name}: collapse of f_mem in τ/n^α: {group.collapse}")
    return lines


def ladder_lines(comparison: Comparison) -> list[str]:
    """What the ladder is, and the batches behind it."""
    lines = [
        "The exponent α of a time in n by each criterion, with its interval and the points behind it; +5%: above its "
        "lowest value so far. Runs that share their training subset (same n and index) are one point."
    ]
    for group in comparison.groups:
        cells = [(cell.n, _batch_sizes(cell)) for cell in group.cells]
        if all(batches for _, batches in cells):
            alike = len({batches for _, batches in cells}) == 1
            shown = f"{cells[0][1]} at every n" if alike else ", ".join(f"{batch} at n = {n}" for n, batch in cells)
            lines.append(f"{group.name}: batch {shown}.")
    if comparison.level_warning:
        lines.append(f"Of the quality: {comparison.level_warning}.")
    for group in comparison.groups:
        laws = [(rung.criterion.name, rung.law) for rung in group.ladder if isinstance(rung.law, PowerLaw)]
        if bent := [f"{law.bend} at {name}" for name, law in laws if law.is_bent]:
            share = f"{len(bent)} of {sum(law.bend is not None for _, law in laws)} criteria"
            lines.append(f"{group.name}: no power law over these n at {share}, where α changes with each doubling of n "
                         f"by {', '.join(bent)}.")  # fmt: skip
    return lines


def _bend_warning(law: PowerLaw) -> str:
    return f"; no power law over these n, α changes by {law.bend} with each doubling" if law.is_bent else ""


def ladder_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a criterion a row, a group a column."""
    header = ["criterion", *(group.name for group in comparison.groups)]
    rungs = zip(*(group.ladder for group in comparison.groups), strict=True)
    return header, [[of[0].criterion.name, *map(_rung_text, of)] for of in rungs]


def write_ladder(comparison: Comparison, path: Path) -> None:
    """``ladder.csv``, one row for each group and criterion."""
    rows = [ladder_row(rung) for group in comparison.groups for rung in group.ladder]
    write_cells(path, rows)


def _rung_text(rung: Rung) -> str:
    if isinstance(rung.law, PowerLaw):
        return str(rung.law).removesuffix(")").replace(" points", "") + ")"
    return "–"


def _batch_sizes(cell: Cell) -> str:
    found = {f"{size:g}" for each in cell.runs for size in each.run.table.get("batch_size", [])}
    return " and ".join(sorted(found, key=float))


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it reads well in a terminal too."""
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]

    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(each.ljust(width) for each, width in zip(row, widths, strict=True)) + " |"

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])


def console_text(comparison: Comparison) -> str:
    """What the command prints."""
    times, rungs = text_table(HEADER, table_rows(comparison)), text_table(*ladder_table(comparison))
    warning = [f"τ_gen: {comparison.level_warning}."] if comparison.level_warning else []
    parts = [rule_lines(comparison), [""], [times], warning, [""], law_lines(comparison)]
    parts += [[""], ladder_lines(comparison), [rungs], [""]]
    header, rows = size_table(comparison)
    if rows:
        parts += [["The exponent β of a time in the number of parameters p:"], [text_table(header, rows)], [""]]
    notes = [f"Note: {note}" for note in comparison.notes]
    return "\n".join(line for part in (*parts, notes) for line in part)


def write_csv(comparison: Comparison, path: Path) -> None:
    """``comparison.csv``, one row for each group and n: numbers, "> x" where censored, empty where refused."""
    write_cells(path, [csv_row(comparison, cell) for cell in comparison.cells])


def write_cells(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write ``rows`` as a CSV file in which a spreadsheet takes no name for a formula."""
    write_table(path, [{name: csv_cell(value) for name, value in row.items()} for row in rows])


def csv_row(comparison: Comparison, cell: Cell) -> dict[str, object]:
    """One row of ``comparison.csv``."""
    gen, mem, overfit = (cell.times[name] for name in ("gen", "mem", "overfit"))
    rules = comparison.rules
    phase = next(group.phases.get(cell.n) for group in comparison.groups if group.name == cell.group)
    return {
        "group": cell.group,
        "n": cell.n,
        "seeds": len(cell.runs),
        **estimate_fields("tau_gen", gen),
        **estimate_fields("tau_mem", mem),
        "gap": _number(cell.gap),
        "ratio": _number(cell.ratio),
        "censored": any(each is not None and each.censored for each in (gen, mem)),
        **estimate_fields("gap", cell.gap),
        **estimate_fields("ratio", cell.ratio),
        **estimate_fields("tau_overfit", overfit),
        "phase": phase.value if phase else None,
        "clock": rules.clock,
        "quality": comparison.quality,
        "quality_level": comparison.quality_level,
        "quality_warning": comparison.level_warning or None,
        "mem_level": rules.mem_level,
        "confidence": rules.confidence,
    }


def markdown_list(lines: Sequence[str]) -> str:
    """``lines`` as a list; names of others make no link or picture in it."""
    return "\n".join(f"- {markdown(line)}" for line in lines)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """:func:`text_table` in which names of others make no link or picture."""
    return text_table([markdown(each) for each in header], [[markdown(each) for each in row] for row in rows])


def write_markdown(comparison: Comparison, path: Path, figures: Sequence[Path] = ()) -> None:
    """``comparison.md``: rules, table, laws, phases, notes and figures."""
    sections = [
        "# Comparison",
        markdown_list(rule_lines(comparison)),
        markdown_table(HEADER, table_rows(comparison)),
        *([f"**τ_gen: {markdown(comparison.level_warning)}.**"] if comparison.level_warning else []),
        "## Growth with n",
        markdown_list(law_lines(comparison)),
        "## The ladder: growth with n by criterion",
        markdown_list(ladder_lines(comparison)),
        markdown_table(*ladder_table(comparison)),
    ]
    if comparison.phases:
        phases = [(p.group, str(p.n), str(p.num_parameters), p.phase.value) for p in comparison.phases]
        sections += ["## Phases", PHASE_RULE, markdown_table(("group", "n", "p", "phase"), phases)]
        sections += [BOUNDARY_RULE, markdown_table(*boundary_table(comparison))]
    header, rows = size_table(comparison)
    if rows:
        sections += ["## Growth with the number of parameters", markdown_table(header, rows)]
    if comparison.notes:
        sections += ["## Notes", markdown_list(comparison.notes)]
    if figures:
        shown = (f"![{each.stem}]({each.name})\n\n{CAPTIONS[each.stem]}" for each in figures)
        sections += ["## Figures", "\n\n".join(shown)]
    write_atomic(path, "\n\n".join(sections) + "\n")


def _text(estimate: Estimate | None) -> str:
    return "–" if estimate is None else str(estimate)


def _number(estimate: Estimate | None) -> float | str | None:
    if estimate is None:
        return None
    return f"> {estimate.last:.10g}" if estimate.censored else estimate.value


def estimate_fields(name: str, estimate: Estimate | None) -> dict[str, float | str | None]:
    """``name``, ``name_low`` and ``name_high`` as they are written in tables; empty where there is no estimate."""
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    high = f"> {estimate.last:.10g}" if estimate.high == float("inf") else estimate.high
    return {name: _number(estimate), f"{name}_low": estimate.low, f"{name}_high": high}
