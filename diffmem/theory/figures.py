"""Figures of the random-feature theory, laid out like figures 4 and 5 of arXiv 2505.17638."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from diffmem.theory.criteria import LEVEL, SHARE
from diffmem.theory.saddle_point import Population
from diffmem.theory.studies import BEST, Setting

Panel = tuple[Population, pd.DataFrame, pd.DataFrame, NDArray[np.float64]]

_STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "savefig.dpi": 160,
    "mathtext.fontset": "dejavusans",
}
_BULK_COLORS = {"δ": "#777777", "ρ₃": "#c0392b", "ρ₁": "#e08e0b", "ρ₂": "#2a6f97"}
_TEX = {"ρ₁": r"$\rho_1$", "ρ₂": r"$\rho_2$", "ρ₃": r"$\rho_3$", "δ": r"$\delta(\lambda - s_t^2)$"}


@contextmanager
def _canvas(path: Path, rows: int, columns: int, size: tuple[float, float]) -> Iterator[NDArray[np.object_]]:
    """Axes (rows, columns) of a figure that is written to ``path`` at the end."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure.subplots(rows, columns, squeeze=False)
        figure.savefig(path)


def spectrum(panels: Sequence[Panel], setting: Setting, psi_n: float, simulation: str, path: Path) -> None:
    """Figure 4: ρ(λ) over the eigenvalues of ``simulation``, one panel a population, with an inset near zero."""
    with _canvas(path, 1, len(panels), (6.2 * len(panels), 4.6)) as canvas:
        for axes, (population, curve, bulks, simulated) in zip(canvas[0], panels, strict=True):
            _density(axes, curve, bulks, simulated, simulation, np.linspace(0, 1.08 * bulks["high"].max(), 50))
            axes.set(xlim=(-0.01 * bulks["high"].max(), 1.08 * bulks["high"].max()), ylim=(2e-5, 3e3))
            law = " + ".join(rf"{weight:g}\,\delta(\lambda - {value:g})" for value, weight in population)
            axes.set_title(rf"$\rho_\Sigma = {law.replace('1' + chr(92) + ',', '')}$")
            small = bulks[~bulks["bulk"].str.contains("ρ₂")]
            if len(small):
                inset = axes.inset_axes((0.25, 0.47, 0.72, 0.5))
                low, high = small["low"].min() / 1.5, 1.5 * small["high"].max()
                _density(inset, curve, bulks, simulated, simulation, np.geomspace(low, high, 90))
                inset.set(xscale="log", xlim=(low, high), ylim=(3e-2, 2e3), ylabel="", xlabel=r"$\lambda$ near zero")
                inset.tick_params(labelsize=8)
        figure = canvas[0, 0].figure
        figure.legend(*canvas[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
        figure.suptitle(
            rf"$\rho(\lambda)$ of Theorem 3.1: $\psi_p = {setting.psi_p:g}$, $\psi_n = {psi_n:g}$, "
            rf"$t = {setting.t:g}$, $d = {setting.dim}$, {setting.activation}"
        )


def _density(
    axes: Axes,
    curve: pd.DataFrame,
    bulks: pd.DataFrame,
    simulated: NDArray[np.float64],
    simulation: str,
    bins: NDArray[np.float64],
) -> None:
    counts, edges = np.histogram(simulated, bins)
    axes.stairs(counts / (len(simulated) * np.diff(edges)), edges, fill=True, color="#c9d3dc", label=simulation)
    named = set()
    for row in bulks.itertuples():
        names = str(row.bulk).split("+")
        color = _BULK_COLORS[names[0]]
        text = " + ".join(_TEX[name] for name in names)
        label = None if text in named else text
        if row.high == row.low:
            axes.axvline(row.low, color=color, lw=1.3, ls=(0, (4, 2)), label=label)
        else:
            part = curve[(curve["lambda"] >= row.low) & (curve["lambda"] <= row.high) & (curve["density"] > 0)]
            axes.plot(part["lambda"], part["density"], color=color, lw=1.8, label=label)
        named.add(text)
    axes.set(yscale="log", xlabel=r"eigenvalue $\lambda$", ylabel=r"density $\rho(\lambda)$")


def dynamics(curves: pd.DataFrame, summary: pd.DataFrame, setting: Setting, path: Path) -> None:
    """Figure 5 A and B: E_score, then L_train and L_test against τ, with insets in τ/τ_mem."""
    colors = dict(zip(summary["psi_n"], mpl.colormaps["viridis"](np.linspace(0.08, 0.85, len(summary))), strict=True))
    score, test, train, gen = (rf"$\mathcal{{{letter}}}_{{\rm {name}}}$" for letter, name in
                               (("E", "score"), ("L", "test"), ("L", "train"), ("L", "gen")))  # fmt: skip
    with _canvas(path, 1, 2, (12.4, 5.2)) as canvas:
        left, right = canvas[0]
        insets = left.inset_axes((0.14, 0.63, 0.38, 0.32)), right.inset_axes((0.14, 0.6, 0.38, 0.35))
        for psi_n, group in curves.groupby("psi_n"):
            style = {"color": colors[psi_n], "lw": 1.6}
            left.plot(group["tau"], group["score_error"], **style, label=rf"$\psi_n = {psi_n:g}$")
            right.plot(group["tau"], group["loss_test"], **style)
            right.plot(group["tau"], group["loss_train"], **style, ls=(0, (4, 2)))
            insets[0].plot(group["tau_over_tau_mem"], group["score_error"], color=colors[psi_n], lw=1)
            insets[1].plot(
                group["tau_over_tau_mem"], group["loss_test"] - group["loss_train"], color=colors[psi_n], lw=1
            )
        for row in summary.itertuples():
            for axes in (left, right):
                axes.axvline(row.tau_mem_paper, color=colors[row.psi_n], lw=0.9, ls=":")
        left.plot(summary["tau_best"], summary["score_error_best"], "o", color="black", ms=4, label=f"least {score}")
        left.plot([], [], color="black", label=test)
        left.plot([], [], color="black", ls=(0, (4, 2)), label=train)
        left.plot([], [], color="gray", lw=0.9, ls=":", label=r"$\tau_{\rm mem}$ of the paper")
        left.set(yscale="log", ylabel=score, title="A   distance to the population score")
        left.set_ylim(top=100 * max(1.0, curves["score_error"].max() / 8))
        right.set(ylabel=f"{test}, {train}", title="B   losses")
        right.set_ylim(top=1.35 * curves["loss_test"].max())
        for axes, inset, name in zip(canvas[0], insets, (score, gen), strict=True):
            axes.set(xscale="log", xlabel=r"training time $\tau = k\eta/d^2$")
            inset.set(xscale="log", yscale="log", xlabel=r"$\tau/\tau_{\rm mem}$", ylabel=name)
            inset.tick_params(labelsize=7.5)
            inset.axvline(1, color="gray", lw=0.9, ls=":")
        insets[1].set_ylim(bottom=1e-4)
        left.figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(summary) + 4)
        left.figure.suptitle(
            rf"$\psi_p = {setting.psi_p:g}$, $t = {setting.t:g}$, $d = {setting.dim}$, {setting.activation}"
        )


def phase(table: pd.DataFrame, setting: Setting, path: Path) -> None:
    """Figure 5 C: heat maps of L_gen over (ψ_n, ψ_p), one a τ, on one colour scale."""
    times = sorted(table["tau"].unique())
    highest = table["generalization_loss"].max()
    with _canvas(path, 1, len(times), (5.0 * len(times) + 0.8, 4.6)) as canvas:
        for axes, tau in zip(canvas[0], times, strict=True):
            cells = table[table["tau"] == tau].pivot(index="psi_p", columns="psi_n", values="generalization_loss")
            mesh = axes.pcolormesh(_cell_edges(cells.columns), _cell_edges(cells.index), cells,
                                   norm=LogNorm(highest / 1e3, highest), cmap="magma_r", rasterized=True)  # fmt: skip
            both = [max(cells.columns.min(), cells.index.min()), min(cells.columns.max(), cells.index.max())]
            axes.plot(both, both, color="black", lw=1, ls=":", label=r"$\psi_p = \psi_n$")
            axes.set(xscale="log", yscale="log", xlabel=r"$\psi_n = n/d$", ylabel=r"$\psi_p = p/d$")
            axes.set_title(rf"$\tau = {tau:g}$")
            for axis, centers in ((axes.xaxis, cells.columns), (axes.yaxis, cells.index)):
                axis.set_ticks(centers, [f"{value:g}" for value in centers])
                axis.set_ticks([], minor=True)
            axes.grid(False)
            axes.legend(loc="lower right")
        bar = canvas[0, 0].figure.colorbar(mesh, ax=list(canvas[0]), extend="min")
        bar.set_label(r"$\mathcal{L}_{\rm gen} = \mathcal{L}_{\rm test} - \mathcal{L}_{\rm train}$")
        canvas[0, 0].figure.suptitle(rf"$t = {setting.t:g}$, $d = {setting.dim}$, {setting.activation}")


def _cell_edges(centers: "pd.Index[float]") -> NDArray[np.float64]:
    logs = np.log(np.asarray(centers, dtype=float))
    if len(logs) == 1:
        return np.exp(logs + np.array([-0.35, 0.35]))
    middle = (logs[1:] + logs[:-1]) / 2
    return np.exp(np.concatenate([[2 * logs[0] - middle[0]], middle, [2 * logs[-1] - middle[-1]]]))


def times(summary: pd.DataFrame, predicted: pd.DataFrame, setting: Setting, path: Path) -> None:
    """Measured times with their intervals over the bands that the bulks predict, and two of them over predictions."""
    paper, third = r"$\tau_{\rm mem}$ of the paper", r"$\psi_p/(\Delta_t\lambda_3)$"
    half, level = (SHARE, 0.5), (LEVEL, 0.1)
    measured = {
        half: ("o", r"half of the final $\mathcal{L}_{\rm gen}$"),
        (SHARE, 0.1): ("^", "10% of it"),
        level: ("D", r"$\mathcal{L}_{\rm gen} \geq 0.1$"),
        (BEST, None): ("s", r"least $\mathcal{E}_{\rm score}$"),
    }
    with _canvas(path, 1, 2, (12.4, 4.8)) as canvas:
        left, right = canvas[0]
        for name, key in (("ρ₃", "rho3"), ("ρ₁", "rho1"), ("ρ₂", "rho2")):
            label = rf"$\psi_p/(\Delta_t\lambda)$, $\lambda$ in {_TEX[name]}"
            style = {"color": _BULK_COLORS[name], "alpha": 0.18, "lw": 0, "label": label}
            left.fill_between(predicted["psi_n"], predicted[f"tau_{key}_first"], predicted[f"tau_{key}_last"], **style)
        left.plot(predicted["psi_n"], predicted["tau_mem_paper"], color=_BULK_COLORS["ρ₁"], ls="--", label=paper)
        left.plot(predicted["psi_n"], predicted["tau_third"], color=_BULK_COLORS["ρ₃"], ls="--", label=third)
        dims = list(summary["dim"].unique())
        for j, dim in enumerate(dims):
            style = {"ms": 5, "capsize": 2, "lw": 1}
            for criterion, (mark, label) in measured.items():
                group = _at(summary[summary["dim"] == dim], *criterion)
                place = group["psi_n"] * 1.04 ** (j - (len(dims) - 1) / 2)
                style |= {"color": "black", "mfc": "white" if j else "black", "label": f"{label}, d = {dim}"}
                left.errorbar(place, group["tau"], _bars(group, "tau"), fmt=mark, **style)
                if criterion not in (half, level):
                    continue
                for name, column, whose in (("ρ₁", "tau_mem_paper", paper), ("ρ₃", "tau_third", third)):
                    color = _BULK_COLORS[name]
                    style |= {
                        "color": color,
                        "mfc": "white" if j else color,
                        "label": f"{label} over {whose}, d = {dim}",
                    }
                    line = f"{mark}-" if criterion == half else f"{mark}:"
                    bars = _bars(group, "tau") / group[column].to_numpy()
                    right.errorbar(place, group["tau"] / group[column], bars, fmt=line, **style)
        right.axhline(1, color="gray", lw=0.8, ls=":")
        left.set(yscale="log", ylabel=r"training time $\tau = k\eta/d^2$", title="measured times over the bulks' bands")
        right.set(yscale="log", ylabel="measured / predicted", title="at a share and at a fixed level")
        right.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        right.yaxis.set_major_formatter("{x:g}")
        right.yaxis.set_minor_formatter(NullFormatter())
        for axes in (left, right):
            axes.set(xscale="log", xlabel=r"$\psi_n = n/d$")
            axes.xaxis.set_ticks(predicted["psi_n"], [f"{value:g}" for value in predicted["psi_n"]])
            axes.xaxis.set_ticks([], minor=True)
            axes.legend(fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
        bars_are = "bars: 95% over seeds" if summary["seeds"].min() > 1 else "one seed"
        left.figure.suptitle(rf"$\psi_p = {setting.psi_p:g}$, $t = {setting.t:g}$, {setting.activation}; {bars_are}")


def exponents(summary: pd.DataFrame, setting: Setting, path: Path) -> None:
    """The exponent of the time of each criterion; a panel for levels of L_gen and one for shares, a line a spectrum."""
    decays = sorted(summary["decay"].unique())
    colors = dict(zip(decays, mpl.colormaps["viridis"](np.linspace(0.08, 0.85, len(decays))), strict=True))
    panels = {LEVEL: r"fixed level of $\mathcal{L}_{\rm gen}$", SHARE: r"share of the final $\mathcal{L}_{\rm gen}$"}
    with _canvas(path, 1, 2, (9.6, 4.2)) as canvas:
        for axes, (criterion, name) in zip(canvas[0], panels.items(), strict=True):
            if axes is not canvas[0, 0]:
                axes.sharey(canvas[0, 0])
            chosen = summary[summary["criterion"] == criterion]
            for decay, group in chosen.groupby("decay"):
                bars = np.stack([group["exponent"] - group["low"], group["high"] - group["exponent"]])
                style: Any = {"color": colors[decay], "ms": 5, "capsize": 2, "lw": 1.4}
                law = "isotropic" if decay == 0 else rf"eigenvalues $\propto j^{{-{decay:g}}}$"
                axes.errorbar(group["level"], group["exponent"], bars, fmt="o-", label=law, **style)
            axes.axhline(1, color="black", lw=0.7)
            axes.set(xscale="log" if criterion == LEVEL else "linear", xlabel=name)
            levels = sorted(chosen["level"].unique())
            axes.xaxis.set_ticks(levels, [f"{value:g}" if criterion == LEVEL else f"{value:.0%}" for value in levels])
            axes.xaxis.set_ticks([], minor=True)
        canvas[0, 0].set_ylabel(r"$\alpha$ of $\tau \propto n^\alpha$")
        canvas[0, 0].legend(loc="lower right")
        canvas[0, 0].figure.suptitle(
            rf"$\psi_p = {setting.psi_p:g}$, $t = {setting.t:g}$, $d = {setting.dim}$, {setting.activation}"
        )


def _at(summary: pd.DataFrame, criterion: str, level: float | None) -> pd.DataFrame:
    """The rows of one criterion, at its level if it has one."""
    rows = summary[summary["criterion"] == criterion]
    return rows if level is None else rows[rows["level"] == level]


def _bars(group: pd.DataFrame, name: str) -> NDArray[np.float64]:
    return np.stack([group[name] - group[f"{name}_low"], group[f"{name}_high"] - group[name]])
