"""How τ_gen and τ_mem change with the number of parameters p at a fixed n, where groups differ in p.

The paper finds W τ_gen and W τ_mem/n constant in the width W of its U-Net (arXiv 2505.17638, figure 3), whose p grows
as W²: exponents of −1 in W, −1/2 in p.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from diffmem.analysis.comparison import Cell, Comparison, Group
from diffmem.analysis.estimate import Estimate
from diffmem.analysis.runs import CLOCKS
from diffmem.analysis.scaling import PowerLaw, fit_of_runs
from diffmem.analysis.style import colors_of_n, draw_estimates, legend_of_n, new_figure, plain_log_ticks, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN = "num_parameters"
_TIMES = {"gen": "τ_gen", "mem": "τ_mem"}


@dataclass(frozen=True)
class SizeLaw:
    """τ ∝ p^β at one n.

    Attributes:
        family: What the groups share beside p, e.g. the optimizer; empty where they are told apart by p alone.
        n: Number of training images.
        time: ``"gen"`` or ``"mem"``.
        cells: (p, cell) of each group, ascending in p.
        law: The law in p, or the reason why there is none.
    """

    family: str
    n: int
    time: str
    cells: tuple[tuple[int, Cell], ...]
    law: PowerLaw | str


def size_laws(comparison: Comparison) -> list[SizeLaw]:
    """For each family and each n with two p; [] where groups are not told apart by p."""
    if COLUMN not in comparison.rules.by:
        return []
    families: dict[tuple[str, int], list[tuple[int, Cell]]] = defaultdict(list)
    for group in comparison.groups:
        p = int(group.runs[0].run.identity[COLUMN])
        for cell in group.cells:
            families[family_of(group, comparison.rules.by), cell.n].append((p, cell))
    laws = []
    for (family, n), members in sorted(families.items(), key=lambda each: each[0]):
        cells = tuple(sorted(members, key=lambda each: each[0]))
        for time in _TIMES if len(cells) > 1 else ():
            found = [
                (each.run, value) for _, cell in cells for each in cell.runs if (value := each.times[time]) is not None
            ]
            laws.append(SizeLaw(family, n, time, cells, fit_of_runs(found, comparison.rules.confidence, COLUMN)))
    return laws


def family_of(group: Group, by: Sequence[str]) -> str:
    """What a group shares with those that differ from it in p alone, e.g. the optimizer; "" where ``by`` is p alone."""
    identity = group.runs[0].run.identity
    return ", ".join(str(identity[column]) for column in by if column != COLUMN)


def size_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Header and rows, one for each family and n: the exponent in p of each time."""
    rows: dict[tuple[str, int], list[str]] = {}
    for each in size_laws(comparison):
        row = rows.setdefault((each.family, each.n), [each.family or "all", str(each.n)])
        row.append(str(each.law) if isinstance(each.law, PowerLaw) else "–")
    return ["group", "n", *(f"{symbol} ∝ p^β" for symbol in _TIMES.values())], list(rows.values())


@styled
def times_against_p(comparison: Comparison) -> "Figure | None":
    """τ_gen and τ_mem/n against p, a row of panels for each family, a colour for each n, with the laws in p."""
    laws = size_laws(comparison)
    if not laws:
        return None
    families = sorted({each.family for each in laws})
    figure, axes = new_figure(len(families), 2, height=2.7, sharex=True)
    colors = colors_of_n(each.n for each in laws)
    for each in laws:
        ax = axes[families.index(each.family), list(_TIMES).index(each.time)]
        unit = each.n if each.time == "mem" else 1
        found = [(p, _over(time, unit)) for p, cell in each.cells if (time := cell.times[each.time]) is not None]
        draw_estimates(ax, found, 1.0, colors[each.n], "o", colors[each.n], "")
        if isinstance(each.law, PowerLaw):
            grid = np.geomspace(each.cells[0][0], each.cells[-1][0], 20)
            ax.plot(grid, each.law.at(grid) / unit, color=colors[each.n], lw=1, zorder=1)
    for row, family in zip(axes, families, strict=True):
        for ax, symbol in zip(row, ("$τ_{\\mathrm{gen}}$", "$τ_{\\mathrm{mem}} / n$"), strict=True):
            ax.set(xscale="log", yscale="log", ylabel=f"{symbol} ({CLOCKS[comparison.rules.clock]})", title=family)
            ax.margins(0.12)
            plain_log_ticks(ax.yaxis)
    sizes = sorted({p for each in laws for p, _ in each.cells})
    for ax in axes[-1]:
        ax.set_xlabel("number of parameters p")
        ax.set_xticks(sizes, [f"{p / 1000:.3g}k" if p >= 1000 else str(p) for p in sizes])
        ax.set_xticks([], minor=True)
    legend_of_n(figure, colors)
    return figure


def _over(time: Estimate, unit: float) -> Estimate:
    return replace(time, value=time.value / unit, low=time.low / unit, high=time.high / unit, last=time.last / unit)
