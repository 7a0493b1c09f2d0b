"""What makes a training image be copied early."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, spearmanr

from diffmem.analysis import style
from diffmem.analysis.estimate import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NUM_DRAWS = 2000


def first_copied(num_images: int, rows: Sequence[Mapping[str, str]]) -> Array:
    """First step at which each training image is copied, (n,); infinity for one that never is.

    Args:
        num_images: Number n of training images.
        rows: Of ``hits.csv``: step, image, copies.
    """
    first = np.full(num_images, np.inf)
    for row in rows:
        if int(row["copies"]):
            image = int(row["image"])
            first[image] = min(first[image], int(row["step"]))
    return first


def copies_by_image(num_images: int, rows: Sequence[Mapping[str, str]]) -> Array:
    """Copies of each training image over all steps, (n,); arguments as of :func:`first_copied`."""
    copies = np.zeros(num_images)
    for row in rows:
        copies[int(row["image"])] += int(row["copies"])
    return copies


@dataclass(frozen=True)
class Pairs:
    """In how many pairs the first of two numbers is the smaller.

    Attributes:
        smaller: Number of these pairs.
        larger: Number of pairs in which the second is.
        ties: Number of the others.
    """

    smaller: int
    larger: int
    ties: int

    @property
    def p_value(self) -> float:
        """Two-sided sign test: how likely at least as uneven a count is by chance; 1 where all tie."""
        decided = self.smaller + self.larger
        return float(binomtest(self.smaller, decided).pvalue) if decided else 1.0

    def __str__(self) -> str:
        total = self.smaller + self.larger + self.ties
        return f"{self.smaller} of {total}, the other way {self.larger}, alike {self.ties} (p = {self.p_value:.2g})"


def paired(a: ArrayLike, b: ArrayLike) -> Pairs:
    """The pairs of two arrays (N,); infinity ties with itself."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return Pairs(int((a < b).sum()), int((a > b).sum()), int((a == b).sum()))


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's ρ, with a 95% interval by resampling the images.

    Attributes:
        value: ρ in [−1, 1]; NaN where one of the two is constant.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def rank_correlation(values: ArrayLike, first: ArrayLike, seed: int = 0) -> RankCorrelation:
    """Spearman's correlation of a property of the images with when they are first copied.

    Images that are never copied share the last rank.

    Args:
        values: (n,) the property.
        first: (n,) of :func:`first_copied`.
        seed: Of the resampling.
    """
    values, first = np.asarray(values, dtype=float), np.asarray(first, dtype=float)
    ranks = np.where(np.isinf(first), np.finfo(float).max, first)
    chosen = np.random.default_rng(seed).integers(len(values), size=(NUM_DRAWS, len(values)))
    draws = [_spearman(values[each], ranks[each]) for each in chosen]
    low, high = np.nanquantile(draws, (0.025, 0.975)) if np.isfinite(draws).any() else (np.nan, np.nan)
    return RankCorrelation(_spearman(values, ranks), float(low), float(high))


def _spearman(a: Array, b: Array) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


@style.styled
def draw_hits(
    first_by_rule: Mapping[str, Array],
    spacing: Array,
    labels: NDArray[np.int64] | None,
    times_in_an_epoch: Array,
    path: Path,
    alone: NDArray[np.bool_] | None = None,
) -> Path:
    """For each rule of a copy a row: when an image is first copied, by its neighbour's distance, its class, its copies.

    Args:
        first_by_rule: (n,) of :func:`first_copied` for each rule.
        spacing: (n,) distance of each training image to the nearest other.
        labels: (n,) its class; None where there are none.
        times_in_an_epoch: (n,) how often it comes in an epoch.
        path: The PNG to write.
        alone: (n,) which images the panels of neighbours and classes show; None for all.
    """
    alone = np.ones(len(spacing), dtype=bool) if alone is None else alone
    duplicated = bool(np.ptp(times_in_an_epoch) > 0)
    panels = 1 + (labels is not None) + duplicated
    figure, axes = style.new_figure(len(first_by_rule), panels, width=2.9, height=2.3, sharey="row")
    for across, (rule, first) in zip(axes, first_by_rule.items(), strict=True):
        seen = np.isfinite(first)
        last = 2 * first[seen].max() if seen.any() else 1.0
        shown, left = np.where(seen, first, last), iter(across)
        ax = next(left)
        ax.plot(spacing[alone], shown[alone], "o", ms=3.5, alpha=0.7, color=style.GROUP_COLORS[0])
        ax.set_ylabel(f"{rule}\nfirst copied at update")
        ax.set_title(f"rank correlation {rank_correlation(spacing[alone], first[alone])}")
        ax.set_xlabel("distance to the nearest other image")
        if labels is not None:
            _by_group(next(left), labels[alone], shown[alone], "class")
        if duplicated:
            _by_group(next(left), times_in_an_epoch.astype(int), shown, "times in an epoch")
        for ax in across:
            ax.set_yscale("log")
            ax.axhline(last, color=style.REFERENCE, lw=0.6, ls=":")
        across[-1].annotate("never", (1, last), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
    return style.save(figure, path)


def _by_group(ax: "Axes", groups: NDArray[np.int64], shown: Array, name: str) -> None:
    """Every image of a group side by side, and the median."""
    for place, group in enumerate(sorted(set(groups.tolist()))):
        mine = np.sort(shown[groups == group])
        ax.plot(place + np.linspace(-0.25, 0.25, len(mine)), mine, ".", ms=4, color=style.GROUP_COLORS[0], alpha=0.7)
        ax.plot([place - 0.35, place + 0.35], [np.median(mine)] * 2, color=style.GROUP_COLORS[1])
    ax.set_xticks(range(len(set(groups.tolist()))), [str(each) for each in sorted(set(groups.tolist()))])
    ax.set_xlabel(name)
