"""The figures of a comparison: curves, times against n, gap, phases; those of the laws are in ``law_figures``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffmem.analysis.boundary import boundaries, lengths
from diffmem.analysis.comparison import Cell, Comparison, RunTimes
from diffmem.analysis.estimate import Estimate, plain
from diffmem.analysis.law_figures import collapsed_curves, exponents_by_criterion
from diffmem.analysis.phase import Phase
from diffmem.analysis.runs import CLOCKS
from diffmem.analysis.scaling import PowerLaw
from diffmem.analysis.sizes import family_of, times_against_p
from diffmem.analysis.style import (
    GROUP_COLORS,
    REFERENCE,
    colors_of_groups,
    colors_of_n,
    draw_estimates,
    legend_columns,
    legend_of_n,
    n_axis,
    new_figure,
    plain_log_ticks,
    save,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PHASE_STYLES = {
    Phase.MEMORIZING: ("X", "#D55E00"),
    Phase.TRAINING_TIME: ("o", "#0072B2"),
    Phase.ARCHITECTURE: ("s", "#009E73"),
    Phase.UNDECIDED: ("D", "0.6"),
}


#: More groups than this are not drawn: colours come twice by then, and legends lie over the axes.
MAX_GROUPS = 2 * len(GROUP_COLORS)


def write_figures(comparison: Comparison, folder: Path) -> list[Path]:
    """Write the PNG files that ``comparison`` has data for, and remove the others; returns the paths written.

    None is written for more than :data:`MAX_GROUPS` groups.
    """
    figures: dict[str, Callable[[Comparison], Figure | None]] = {
        "curves": curves,
        "collapse": collapsed_curves,
        "timescales": times_against_n,
        "ladder": exponents_by_criterion,
        "gap": gap_against_n,
        "phase": phase_diagram,
        "sizes": times_against_p,
    }
    paths = []
    for name, draw in figures.items():
        path = folder / f"{name}.png"
        if len(comparison.groups) <= MAX_GROUPS and (figure := draw(comparison)) is not None:
            paths.append(save(figure, path))
        else:
            path.unlink(missing_ok=True)  # another comparison's
    return paths


def quality_name(column: str) -> str:
    """The quality as an axis names it."""
    return "FID" if column == "fid" else f"Fréchet distance ({column.removeprefix('frechet_').replace('_', ' ')})"


@styled
def curves(comparison: Comparison) -> "Figure | None":
    """f_mem, the quality and the losses against time, a line per run, coloured by n; a column of panels per group."""
    groups = comparison.groups
    if all(each.run.table["step"].max() == 0 for group in groups for each in group.runs):
        return None
    losses = any("loss_test" in each.run.table.columns for group in groups for each in group.runs)
    figure, axes = new_figure(2 + losses, len(groups), sharex=True, sharey="row")
    colors = colors_of_n(cell.n for cell in comparison.cells)
    for place, group in enumerate(groups):
        memorization, quality = axes[:2, place]
        memorization.set_title(group.name)
        for each in group.runs:
            _draw_run(memorization, quality, each, comparison, colors[each.run.n])
            if losses:
                _draw_losses(axes[2, place], each, comparison, colors[each.run.n])
        memorization.axhline(comparison.rules.mem_level, color=REFERENCE, lw=0.8, ls=":")
        if comparison.quality_level is not None:
            _draw_level(quality, comparison.quality_level, bool(comparison.level_warning))
        axes[-1, place].set_xlabel(f"τ ({CLOCKS[comparison.rules.clock]})")
    axes[0, 0].set(xscale="log", ylabel="$f_{\\mathrm{mem}}$")
    plain_log_ticks(axes[0, 0].xaxis)
    axes[0, 0].set_ylim(bottom=-0.02 * axes[0, 0].get_ylim()[1])
    axes[1, 0].set(yscale="log", ylabel=quality_name(comparison.quality))
    if losses:
        axes[2, 0].set(yscale="log", ylabel="denoising loss (test —, training - -)")
        plain_log_ticks(axes[2, 0].yaxis)
    legend_of_n(figure, colors)
    return figure


@styled
def times_against_n(comparison: Comparison) -> "Figure | None":
    """τ_gen and τ_mem against n in log-log with the fitted laws; an arrow where censored."""
    if all(cell.times[name] is None for cell in comparison.cells for name in ("gen", "mem")):
        return None
    figure, axes = new_figure(1, 1, width=4.6, height=2.8 + 0.36 * len(comparison.groups))
    ax = axes[0, 0]
    colors = colors_of_groups([group.name for group in comparison.groups])
    for place, group in enumerate(comparison.groups):
        color = colors[group.name]
        for of, (name, marker, fill, line) in enumerate((("mem", "o", color, "-"), ("gen", "s", "white", "--"))):
            shift = _dodge(2 * place + of, 2 * len(comparison.groups))
            found = [(cell.n, time) for cell in group.cells if (time := cell.times[name]) is not None]
            law = group.laws[name]
            symbol = f"$τ_{{\\mathrm{{{name}}}}}$"
            label = f"{group.name}, {symbol}"
            if isinstance(law, PowerLaw):
                label += f" ∝ $n^α$, α = {law.interval_text}"
                label += " (no run levelled off)" * bool(name == "gen" and comparison.level_warning)
                grid = np.geomspace(min(cell.n for cell in group.cells), max(cell.n for cell in group.cells), 50)
                ax.plot(grid, law.at(grid), line, color=color, lw=1, zorder=1)
            if found:
                draw_estimates(ax, found, shift, color, marker, fill, label)
    ax.set(yscale="log", ylabel=f"τ ({CLOCKS[comparison.rules.clock]})")
    ax.margins(y=0.12)
    plain_log_ticks(ax.yaxis)
    n_axis(ax, (cell.n for cell in comparison.cells))
    figure.legend(loc="outside lower center", ncols=1)
    return figure


@styled
def gap_against_n(comparison: Comparison) -> "Figure | None":
    """τ_mem − τ_gen and τ_mem/τ_gen against n."""
    if all(cell.gap is None for cell in comparison.cells):
        return None
    figure, axes = new_figure(1, 2, width=3.5, height=2.9)
    colors = colors_of_groups([group.name for group in comparison.groups])
    pick: tuple[Callable[[Cell], Estimate | None], ...] = (lambda cell: cell.gap, lambda cell: cell.ratio)
    names = ("$τ_{\\mathrm{mem}} - τ_{\\mathrm{gen}}$", "$τ_{\\mathrm{mem}} / τ_{\\mathrm{gen}}$")
    bounds = [abs(cell.gap.bound) for cell in comparison.cells if cell.gap is not None]
    axes[0, 0].set_yscale("symlog", linthresh=max(min(bounds), max(bounds) / 1000))
    axes[0, 1].set_yscale("log")
    for ax, of, name, even in zip(axes[0], pick, names, (0.0, 1.0), strict=True):
        for place, group in enumerate(comparison.groups):
            found = [(cell.n, value) for cell in group.cells if (value := of(cell)) is not None]
            shift, color = _dodge(place, len(comparison.groups)), colors[group.name]
            draw_estimates(ax, found, shift, color, "o", color, group.name if even else "")
        ax.axhline(even, color=REFERENCE, lw=0.8, ls=":")
        ax.set_ylabel(name + (f" ({CLOCKS[comparison.rules.clock]})" if not even else ""))
        ax.margins(y=0.12)
        n_axis(ax, (cell.n for cell in comparison.cells))
    figure.legend(loc="outside lower center", ncols=legend_columns(figure, [group.name for group in comparison.groups]))
    return figure


@styled
def phase_diagram(comparison: Comparison) -> "Figure | None":
    """The phase of each cell over n and p, with what a training of several lengths memorizes; where there are two p."""
    points = comparison.phases
    if len({point.num_parameters for point in points}) < 2:
        return None
    figure, axes = new_figure(1, 1, width=4.6, height=3.4)
    ax = axes[0, 0]
    for phase, (marker, color) in _PHASE_STYLES.items():
        members = [point for point in points if point.phase is phase]
        if members:
            x, y = [point.n for point in members], [point.num_parameters for point in members]
            ax.scatter(x, y, marker=marker, color=color, s=45, label=phase.value, zorder=2)
    of_lengths = lengths(comparison)
    edges = boundaries(comparison, of_lengths)
    families = {group.name: family_of(group, comparison.rules.by) for group in comparison.groups}
    for place, length in enumerate(of_lengths):
        label = f"memorized by τ = {plain(length)}, to its left"
        for family in dict.fromkeys(families[each.group] for each in edges):
            mine = [each for each in edges if families[each.group] == family]
            n, p = [each.memorized[place] for each in mine], [each.num_parameters for each in mine]
            if not np.isfinite(n).any():  # no law, or none that grows: no line, and none in the legend
                continue
            ax.plot(n, p, color=REFERENCE, lw=1, ls=("-", "--", ":")[place], label=label, zorder=1)
            label = ""  # one entry of the legend for all families
    ax.set(yscale="log", ylabel="number of parameters p")
    n_axis(ax, (point.n for point in points))
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _draw_level(ax: "Axes", level: float, doubtful: bool) -> None:
    ax.axhline(level, color=REFERENCE, lw=0.8, ls=":")
    ax.annotate(
        f"q = {plain(level)}" + " (no run levelled off)" * doubtful,
        (1, level),
        xycoords=("axes fraction", "data"),
        xytext=(2, 0),
        textcoords="offset points",
        va="center",
        color=REFERENCE,
        fontsize=7,
    )


def _draw_losses(ax: "Axes", each: RunTimes, comparison: Comparison, color: object) -> None:
    time = each.run.clock(comparison.rules.clock)
    for column, line in (("loss_train", "--"), ("loss_test", "-")):
        if column in each.run.table.columns:
            ax.plot(time[time > 0], each.run.column(column)[time > 0], line, marker=".", ms=2, color=color)


def _draw_run(top: "Axes", bottom: "Axes", each: RunTimes, comparison: Comparison, color: object) -> None:
    run, quality = each.run, comparison.quality
    time = run.clock(comparison.rules.clock)
    shown = time > 0
    f_mem = run.column("f_mem")
    top.plot(time[shown], f_mem[shown], "-o", ms=2, color=color)
    if {"f_mem_low", "f_mem_high"} <= set(run.table.columns):
        low, high = run.column("f_mem_low"), run.column("f_mem_high")
        top.fill_between(time[shown], low[shown], high[shown], color=color, alpha=0.15, lw=0)
    values = run.column(quality)
    shown &= values > 0
    time, values = time[shown], values[shown]
    bottom.plot(time, values, "-o", ms=2, color=color)
    if f"{quality}_std" in run.table.columns:
        factor = np.exp(2 * run.column(f"{quality}_std")[shown] / values)
        bottom.fill_between(time, values / factor, values * factor, color=color, alpha=0.15, lw=0)
    if f"{quality}_train" in run.table.columns:
        bottom.axhline(run.table[f"{quality}_train"].median(), color=color, lw=0.8, ls="--", alpha=0.6)


def _dodge(place: int, count: int) -> float:
    """Factor on n that keeps the error bars of the groups apart."""
    return min(1.05, 1.4 ** (1 / count)) ** (place - (count - 1) / 2)
