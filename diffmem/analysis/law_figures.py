"""The figures of the laws in n: curves collapsed, and the exponent by criterion."""

import math
from typing import TYPE_CHECKING

import numpy as np

from diffmem.analysis.collapse import takes_part
from diffmem.analysis.comparison import Comparison
from diffmem.analysis.estimate import plain
from diffmem.analysis.runs import CLOCKS
from diffmem.analysis.scaling import PowerLaw
from diffmem.analysis.style import (
    REFERENCE,
    colors_of_groups,
    colors_of_n,
    legend_columns,
    legend_of_n,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_F_MEM = "f_{\\mathrm{mem}}"
_SHOWN = (-1.0, 3.0)  # exponents; an interval may reach beyond


@styled
def collapsed_curves(comparison: Comparison) -> "Figure | None":
    """f_mem against τ, τ/n and τ/n^α at the best α, for each group that has a collapse."""
    groups = [(group, found) for group in comparison.groups if not isinstance(found := group.collapse, str)]
    if not groups:
        return None
    figure, axes = new_figure(len(groups), 3, width=2.9, sharey="row")
    colors = colors_of_n(int(n) for _, found in groups for n in found.n)
    from matplotlib.ticker import NullFormatter

    for row, (group, found) in zip(axes, groups, strict=True):
        exponents = (0.0, 1.0, found.exponent)
        for each in group.runs:
            time, f_mem, mem = each.run.clock(comparison.rules.clock), each.run.column("f_mem"), each.times["mem"]
            plateaus = comparison.rules.collapse == "plateaus"
            if mem is None or mem.censored or not takes_part(time, f_mem, plateaus):
                continue
            height = f_mem / f_mem[-1] if found.normalized else f_mem
            for ax, alpha in zip(row, exponents, strict=True):
                rescaled = time / each.run.n**alpha
                ax.plot(rescaled[time > 0], height[time > 0], "-o", ms=2, color=colors[each.run.n])
        for ax, alpha in zip(row, exponents, strict=True):
            ax.set_xscale("log")
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.set_title(group.name)
            spread = f"within ×{plain(math.exp(found.spread(alpha)))}"
            ax.annotate(spread, (0.03, 0.92), xycoords="axes fraction", fontsize=8)
        row[0].set_ylabel(f"${_F_MEM} / {_F_MEM}(τ_{{\\max}})$" if found.normalized else f"${_F_MEM}$")
        row[0].set_xlabel(f"τ ({CLOCKS[comparison.rules.clock]})")
        row[1].set_xlabel("$τ / n$")
        row[2].set_xlabel(f"$τ / n^{{{found.exponent:.2f}}}$, the best")
    legend_of_n(figure, colors)
    return figure


@styled
def exponents_by_criterion(comparison: Comparison) -> "Figure | None":
    """The ladder: α with its interval for each criterion, from the onset to complete copying, then quality.

    Hollow where the times are seen to be no power law.
    """
    rungs = [group.ladder for group in comparison.groups]
    places = [k for k, of in enumerate(zip(*rungs, strict=True)) if any(isinstance(each.law, PowerLaw) for each in of)]
    if not places:
        return None
    figure, axes = new_figure(1, 1, width=max(4.6, 0.42 * len(places) + 1.2), height=4.2)
    ax, colors = axes[0, 0], colors_of_groups([group.name for group in comparison.groups])
    for of, group in enumerate(comparison.groups):
        shift = 0.16 * (of - (len(rungs) - 1) / 2)
        rows = [(x + shift, law) for x, k in enumerate(places) if isinstance(law := group.ladder[k].law, PowerLaw)]
        at, alpha = [x for x, _ in rows], [law.exponent for _, law in rows]
        bars = [[law.exponent - law.low for _, law in rows], [law.high - law.exponent for _, law in rows]]
        ax.errorbar(at, alpha, bars, fmt="o", ms=5, lw=1, color=colors[group.name], label=group.name)
        hollow = [(x, law.exponent) for x, law in rows if law.is_bent]
        ax.plot([x for x, _ in hollow], [alpha for _, alpha in hollow], ".", ms=5, mew=0, color="white", zorder=3)
    criteria = [rungs[0][k].criterion for k in places]
    for x in range(1, len(criteria)):
        if criteria[x].family != criteria[x - 1].family:
            ax.axvline(x - 0.5, color="0.9", lw=0.8, zorder=0)
    for level in (0.0, 1.0):
        ax.axhline(level, color=REFERENCE, lw=0.8, ls=":")
    names = [each.name for each in criteria]
    ax.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
    low, high = ax.get_ylim()
    low, high = max(low, _SHOWN[0]), min(high, _SHOWN[1])
    label = "exponent α of τ ∝ $n^α$"
    for points in list(ax.containers):
        at, alpha = points[0].get_data()
        for beyond, edge, arrow in ((alpha < low, low, "v"), (alpha > high, high, "^")):
            if beyond.any():
                label = "exponent α of τ ∝ $n^α$\n(arrow: beyond the axis)"
                ax.plot(
                    at[beyond], np.full(beyond.sum(), edge), arrow, ms=5, color=points[0].get_color(), clip_on=False
                )
    ax.set(ylim=(low, high), ylabel=label)
    handles, names = ax.get_legend_handles_labels()
    if any(isinstance(rung.law, PowerLaw) and rung.law.is_bent for of in rungs for rung in of):
        handles += ax.plot([], [], "o", ms=5, color=REFERENCE, mfc="white")
        names.append("no power law")
    figure.legend(handles, names, loc="outside upper center", ncols=legend_columns(figure, names))
    return figure
