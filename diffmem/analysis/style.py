"""The look of the figures: one palette, one size of type, axes of powers of two for n."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from diffmem.analysis.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

#: Okabe and Ito's palette, which colour-blind readers can tell apart.
GROUP_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
REFERENCE = "0.45"
_FEW_DECADES = 50.0
_LETTER_INCHES, _HANDLE_INCHES = 0.075, 0.5  # of a legend entry at 8 points
_RC: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.1,
    "legend.frameon": False,
    "mathtext.fontset": "dejavusans",
}


P = ParamSpec("P")
T = TypeVar("T")


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Draw with the settings of this file, and leave matplotlib's own as they are."""

    @wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        from matplotlib import rc_context

        with rc_context(_RC):
            return draw(*args, **kwargs)

    return wrapped


def new_figure(
    rows: int, columns: int, width: float = 3.4, height: float = 2.5, **sharing: Any
) -> tuple["Figure", Any]:
    """A figure of ``rows`` × ``columns`` panels of ``width`` × ``height`` inches, and its axes (rows, columns)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **sharing)


@styled
def save(figure: "Figure", path: Path) -> Path:
    """Write ``figure`` as PNG at 200 dots per inch."""
    figure.savefig(path, dpi=200)
    return path


def colors_of_n(sizes: Iterable[int]) -> dict[int, Any]:
    """A colour for each n, from dark to light as n grows."""
    from matplotlib import colormaps

    ordered = sorted(set(sizes))
    return {n: colormaps["viridis"](0.9 * place / max(len(ordered) - 1, 1)) for place, n in enumerate(ordered)}


def colors_of_groups(names: Sequence[str]) -> dict[str, str]:
    """A colour for each group; they repeat after seven."""
    return {name: GROUP_COLORS[place % len(GROUP_COLORS)] for place, name in enumerate(names)}


def plain_log_ticks(axis: "Axis") -> None:
    """Ticks 0.1, 0.2, 0.5, 1, … on a logarithmic axis, where it spans few decades."""
    from matplotlib.ticker import LogLocator, NullLocator

    low, high = axis.get_view_interval()
    if high > _FEW_DECADES * low:
        return
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_locator(NullLocator())


def n_axis(ax: "Axes", sizes: Iterable[int]) -> None:
    """A logarithmic n axis with a tick at each n there is."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ordered = sorted(set(sizes))
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(ordered))
    ax.xaxis.set_major_formatter(FixedFormatter([str(n) for n in ordered]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(ordered[0] / 1.4, ordered[-1] * 1.4)
    ax.set_xlabel("number of training images n")


def legend_columns(figure: "Figure", names: Sequence[str]) -> int:
    """How many columns of a legend the figure's width holds, by the longest of ``names``; four at most."""
    fitting = figure.get_figwidth() / (_HANDLE_INCHES + _LETTER_INCHES * max(map(len, names)))
    return max(1, min(len(names), 4, int(fitting)))


def legend_of_n(figure: "Figure", colors: dict[int, Any]) -> None:
    """A legend beside the panels with the colour of each n."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=color, marker="o", ms=3, label=f"n = {n}") for n, color in colors.items()]
    figure.legend(handles=handles, loc="outside right upper")


def draw_estimates(
    ax: "Axes",
    found: Sequence[tuple[float, Estimate]],
    shift: float,
    color: object,
    marker: str,
    fill: object,
    label: str,
) -> None:
    """Points (x, estimate) with intervals, moved by the factor ``shift``; an arrow where one is censored or open."""

    def arrow(at: float, y: float, points: int) -> None:
        style = {"arrowstyle": "<-", "color": color, "lw": 1}
        ax.annotate("", (at, y), xytext=(0, points), textcoords="offset points", arrowprops=style)

    for x, each in found:
        open_below, open_above = each.low == 0 or math.isinf(each.low), math.isinf(each.high)
        bottom, top = each.bound if open_below else each.low, each.last if open_above else each.high
        ax.plot([x * shift] * 2, [bottom, top], color=color, lw=1, zorder=2)
        if open_below:
            arrow(x * shift, bottom, -14)
        if open_above:
            arrow(x * shift, max(top, each.bound), 14)
    ax.plot(
        [x * shift for x, _ in found],
        [each.bound for _, each in found],
        marker,
        ms=5,
        color=color,
        mfc=fill,
        label=label or None,
        zorder=3,
    )
