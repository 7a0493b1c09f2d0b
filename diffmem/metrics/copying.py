"""Tests of data copying beside f_mem: C_T, authenticity, and the calibrated distance.

They ask whether samples are nearer to the training images than they should be: nearer than held-out images are (C_T),
nearer than training images are to each other (authenticity), nearer to one than to the others around it (calibrated).
"""

import numpy as np
import torch
from scipy.special import ndtr
from scipy.stats import mannwhitneyu
from sklearn.cluster import KMeans
from torch import Tensor

from diffmem.errors import ConfigError
from diffmem.metrics.memorization import nearest_neighbors


class CopyingTest:
    """C_T, the three-sample test of Meehan, Chaudhuri and Dasgupta (AISTATS 2020, arXiv 2004.05675), section 3.

    The training set T divides the space into cells (k-means). Within a cell, U counts the pairs of a sample q and a
    held-out image p with d(q, T) > d(p, T), both measured to the training images of that cell. With m and n of them,
    Z = (U − mn/2)/√(mn(m + n + 1)/12) is standard normal where the samples have the law of the held-out images, and
    C_T = Σ_π P(π) Z_π / Σ_π P(π) over the cells π that hold a share τ or more of the samples, P(π) being the share of
    the held-out images. Far below 0: the samples lie nearer to the training images than held-out images do (copying);
    far above: underfitting.

    Args:
        train: Training set T (n, \\*), n ≥ ``num_cells``.
        held_out: Held-out images (N, \\*).
        num_cells: Number of cells; 1 tests the whole space at once.
        min_samples: Fewest samples in a cell that counts, the numerator of τ; 20 in the authors' experiments.
        seed: Seed of k-means.

    Raises:
        ConfigError: Fewer training images than cells, or a count below 1.
    """

    def __init__(
        self, train: Tensor, held_out: Tensor, num_cells: int = 5, min_samples: int = 20, seed: int = 0
    ) -> None:
        if not 1 <= num_cells <= len(train):
            raise ConfigError(
                "num_cells", got=num_cells, expected=f"1 to n = {len(train)}", remedy="use fewer cells or more images"
            )
        if min_samples < 1:
            raise ConfigError("min_samples", got=min_samples, expected="at least 1", remedy="use 20")
        self.min_samples = min_samples
        points = train.flatten(1).double().cpu().numpy()
        cells = KMeans(num_cells, n_init=10, random_state=seed % 2**32).fit(points)
        self._centers = torch.from_numpy(cells.cluster_centers_).to(train.device)
        assigned = self.cells(train)
        self._train = [train[assigned == cell] for cell in range(num_cells)]
        self._held_out = self._distances(held_out)
        self.weights = np.array([len(each) for each in self._held_out]) / len(held_out)

    def cells(self, points: Tensor) -> Tensor:
        """Cell of each point (N, \\*), (N,) int64."""
        return torch.cdist(points.flatten(1).double(), self._centers).argmin(1)

    def _distances(self, points: Tensor) -> list[np.ndarray]:
        """For each cell, the distances of its ``points`` to the nearest training image of the cell."""
        assigned = self.cells(points)
        members = [points[assigned == cell] for cell in range(len(self._centers))]
        return [
            nearest_neighbors(each, train, 1)[0][:, 0].cpu().numpy() if len(train) else np.zeros(0)
            for each, train in zip(members, self._train, strict=True)
        ]

    def __call__(self, samples: Tensor) -> tuple[float, float] | None:
        """C_T of ``samples`` (M, \\*) and the one-sided p-value of copying; None where no cell holds enough of them.

        The p-value is Φ(C_T/s) with s = √(Σ P²)/Σ P, the deviation of C_T where the cells' Z are independent standard
        normals.
        """
        found = self._distances(samples)
        scores, weights = [], []
        for mine, others, weight in zip(found, self._held_out, self.weights, strict=True):
            if len(mine) >= self.min_samples and len(others):
                scores.append(_z_score(mine, others))
                weights.append(weight)
        if not scores:
            return None
        statistic = float(np.average(scores, weights=weights))
        deviation = float(np.linalg.norm(weights) / np.sum(weights))
        return statistic, float(ndtr(statistic / deviation))


def _z_score(samples: np.ndarray, others: np.ndarray) -> float:
    """Mann and Whitney's U, the number of pairs with samples > others, in standard deviations."""
    m, n = len(samples), len(others)
    u = mannwhitneyu(samples, others, method="asymptotic").statistic
    return float((u - m * n / 2) / (m * n * (m + n + 1) / 12) ** 0.5)


def spacing(train: Tensor) -> Tensor:
    """Distance of each training image (n, \\*) to the nearest other one, (n,) float64; 0 for a duplicate."""
    return nearest_neighbors(train, train, 2)[0][:, 1]


def is_authentic(distances: Tensor, indices: Tensor, spacings: Tensor) -> Tensor:
    """Which samples are authentic, (N,) bool: farther from their nearest training image than that is from the others.

    Alaa, van Breugel, Saveliev and van der Schaar (ICML 2022, arXiv 2102.08921), section 4; the share of authentic
    samples is AuthPct in Stein et al. (NeurIPS 2023, arXiv 2306.04675). What share of fresh points of the law is
    authentic depends on the law and on n: a third on a line, 0.81 for N(0, I) in 64 dimensions and n = 1,000. So
    compare with the share among held-out images.

    Args:
        distances: (N, ≥ 1) of the samples to their nearest training images.
        indices: (N, ≥ 1), which images those are.
        spacings: (n,) of the training images, from :func:`spacing`.
    """
    return distances[:, 0] > spacings[indices[:, 0]]


def calibrated_distance(distances: Tensor, alpha: float = 0.5) -> Tensor:
    """ℓ(x) = ‖x − a₁‖ / (α · mean_i ‖x − a_i‖) of each sample, (N,), over its k nearest training images.

    Carlini et al. (USENIX Security 2023, arXiv 2301.13188), section 5.1, with k = 50 and α = ½ there: a sample with
    ℓ below 1 is nearer to one image than half the mean distance to the images around it. 0/0 is 0.

    Args:
        distances: (N, k) to the k nearest training images, ascending.
        alpha: α.
    """
    mean = distances.mean(1)
    return torch.where(mean == 0, torch.zeros_like(mean), distances[:, 0] / (alpha * mean))
