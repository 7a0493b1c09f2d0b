"""Heat maps of a score's distances, and when it leaves the population at each diffusion time."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffmem.analysis import style
from diffmem.analysis.departure import departure
from diffmem.errors import DataError

PLACES = {"train": "noised training images", "heldout": "noised held-out images", "trajectory": "sampling trajectories"}
REFERENCES = ("empirical", "population", "twin")
Rows = Sequence[dict[str, Any]]


def departures(rows: Rows, rise: float = 0.1) -> list[dict[str, Any]]:
    """When the distance to the population, or to the twin, has left its lowest value for good.

    Args:
        rows: Of ``regions.csv``.
        rise: By which share of the lowest value.

    Returns:
        For each reference but the empirical, each place and each time: ``reference, place, t, rise, step, low, high,
        text``; the numbers are None where no time can be read, and ``text`` says why.
    """
    found: list[dict[str, Any]] = []
    for reference in REFERENCES[1:]:
        for place in PLACES:
            mine = [row for row in rows if (row["reference"], row["place"]) == (reference, place)]
            for t in sorted({row["t"] for row in mine}):
                curve = [row for row in mine if row["t"] == t]
                key = {"reference": reference, "place": place, "t": t, "rise": rise}
                steps, values = [row["step"] for row in curve], [row["distance"] for row in curve]
                try:
                    at = departure(steps, values, rise, "distance")
                except DataError as error:
                    found.append({**key, "step": None, "low": None, "high": None, "text": f"not known: {error}"})
                    continue
                step = None if at.censored else at.value
                found.append({**key, "step": step, "low": at.low, "high": at.high, "text": str(at)})
    return found


def stand_in(rows: Rows) -> list[dict[str, Any]]:
    """What the distance to a twin tells of the distance to the population, where both are known.

    Of independent trainings on two sets of images, half of the squared distance to the twin is, in expectation, the
    variance of the score; the distance to the population is that variance and the square of the bias.

    Args:
        rows: Of ``regions.csv``.

    Returns:
        For each place and time: ``place, t``; ``rank_correlation`` of the two distances over the steps, 1 where they
        rise and fall together; and the share of the distance to the population that half of the distance to the twin
        is, at the first step, ``share_first``, and at the last, ``share_last``. [] where one of the two is not known.
    """
    from scipy.stats import spearmanr

    found: list[dict[str, Any]] = []
    for place in PLACES:
        here = [row for row in rows if row["place"] == place]
        for t in sorted({row["t"] for row in here}):
            twin, population = (
                {row["step"]: row["distance"] for row in here if (row["reference"], row["t"]) == (reference, t)}
                for reference in ("twin", "population")
            )
            steps = sorted(twin.keys() & population.keys())
            if not steps:
                continue
            a, b = (np.array([of[step] for step in steps]) for of in (twin, population))
            varies = len(steps) > 1 and np.ptp(a) > 0 and np.ptp(b) > 0
            share = [float(each / 2 / of) if of else None for each, of in ((a[0], b[0]), (a[-1], b[-1]))]
            found.append({
                "place": place, "t": t, "rank_correlation": float(spearmanr(a, b).statistic) if varies else None,
                "share_first": share[0], "share_last": share[1],
            })  # fmt: skip
    return found


@style.styled
def draw_regions(rows: Rows, found: Rows, path: Path) -> Path:
    """A heat map t × updates for each reference and place on one scale of colours, departures as a line.

    Args:
        rows: Of ``regions.csv``.
        found: From :func:`departures`.
        path: The PNG to write.
    """
    from matplotlib.colors import LogNorm

    references = [each for each in REFERENCES if any(row["reference"] == each for row in rows)]
    values = np.array([row["distance"] for row in rows if row["distance"] > 0])
    # a distance of 0 has no place on a logarithmic scale: it takes the lowest colour
    low, high = np.quantile(values, (0.01, 0.99)).tolist() if len(values) else (1e-6, 1.0)
    norm = LogNorm(low, high)
    figure, axes = style.new_figure(len(references), len(PLACES), width=2.6, height=2.1, sharex=True, sharey=True)
    for across, reference in zip(axes, references, strict=True):
        for ax, (place, title) in zip(across, PLACES.items(), strict=True):
            mine = [row for row in rows if (row["reference"], row["place"]) == (reference, place)]
            steps, times = sorted({row["step"] for row in mine}), sorted({row["t"] for row in mine})
            by_cell = {(row["t"], row["step"]): row["distance"] for row in mine}
            cells = np.array([[by_cell[t, step] for step in steps] for t in times])
            mesh = ax.pcolormesh(_edges(steps), _edges(times), np.maximum(cells, low), norm=norm, cmap="viridis")
            seen = [row for row in found if (row["reference"], row["place"]) == (reference, place) and row["step"]]
            ax.plot([row["step"] for row in seen], [row["t"] for row in seen], "o-", color="white", mec="0.2", ms=3.5)
            ax.set_xscale("log")
            ax.set_yscale("log")
            if reference == references[0]:
                ax.set_title(title)
            if reference == references[-1]:
                ax.set_xlabel("updates")
        name = "the twin" if reference == "twin" else f"the {reference} score"
        across[0].set_ylabel(f"to {name}\ndiffusion time t")
    figure.colorbar(mesh, ax=axes, label=r"$\Delta_t\,\|s_\theta - s\|^2/d$")
    return style.save(figure, path)


def _edges(centers: Sequence[float]) -> np.ndarray:
    """Edges of cells around ``centers`` on a logarithmic axis."""
    logs = np.log(centers)
    if len(logs) == 1:
        return np.exp(logs[0] + math.log(2) / 2 * np.array([-1, 1]))
    middle = (logs[1:] + logs[:-1]) / 2
    return np.exp(np.concatenate([[2 * logs[0] - middle[0]], middle, [2 * logs[-1] - middle[-1]]]))
