"""The forest plot of effects: a row for each change, a panel for each time, a line at no effect."""

import math
from typing import TYPE_CHECKING

from diffmem.analysis.effects import Effect, Effects, Row
from diffmem.analysis.style import REFERENCE, colors_of_n, new_figure, plain_log_ticks, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = {"gen": "τ_gen", "mem": "τ_mem", "room": "τ_mem / τ_gen"}


@styled
def forest(effects: Effects) -> "Figure":
    """Multiples of the baseline's times with their intervals; an arrow where a bound or an open end points.

    A change has one row, the marks of several n one below the other; where nothing is known there is no mark.
    """
    rows = [row for row in effects.rows if row.factor]
    names = list(dict.fromkeys(row.factor for row in rows))
    colors = colors_of_n(row.n for row in rows)
    figure, axes = new_figure(1, len(PANELS), width=2.7, height=0.9 + 0.2 * len(names) * len(colors), sharey=True)
    for ax, (quantity, title) in zip(axes[0], PANELS.items(), strict=True):
        for row in rows:
            place = names.index(row.factor) + 0.7 * (list(colors).index(row.n) + 0.5) / len(colors) - 0.35
            if (effect := row.of[quantity]) is not None:
                _draw(ax, effect, place, colors[row.n])
        ax.axvline(1, color=REFERENCE, lw=0.8, ls=":", zorder=0)
        ax.set(xscale="log", title=title)
        ax.margins(x=0.12)
        plain_log_ticks(ax.xaxis)
    axes[0, 0].set_yticks(range(len(names)), [_label(name, rows) for name in names])
    axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
    figure.supxlabel("multiple of the baseline", fontsize=9)
    if len(colors) > 1:
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], color=color, marker="o", ms=3, label=f"n = {n}") for n, color in colors.items()]
        figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    return figure


def _label(name: str, rows: list[Row]) -> str:
    """The change, and its rate where that was chosen among several."""
    rates = {row.rate for row in rows if row.factor == name and len(row.rates) > 1}
    return f"{name} (rate {', '.join(f'{rate:g}' for rate in sorted(rates))})" if rates else name


def _draw(ax: "Axes", effect: Effect, place: float, color: object) -> None:
    known = [each for each in (effect.value, effect.above, effect.below) if not math.isnan(each)]
    if not known:
        return
    point = known[0]
    low = effect.low if effect.low > 0 else point
    high = effect.high if math.isfinite(effect.high) else point
    ax.plot([low, high], [place, place], color=color, lw=1)
    ax.plot([point], [place], "o", ms=4, color=color, mfc=color if effect.differs else "white")
    to_the_left = effect.low == 0 and math.isnan(effect.above)
    to_the_right = math.isinf(effect.high) and math.isnan(effect.below)
    for is_open, points in ((to_the_left, -14), (to_the_right, 14)):
        if is_open:
            style = {"arrowstyle": "<-", "color": color, "lw": 1}
            ax.annotate("", (point, place), xytext=(points, 0), textcoords="offset points", arrowprops=style)
