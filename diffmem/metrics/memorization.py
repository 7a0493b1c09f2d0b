"""Memorization: the share of samples that are much closer to one training image than to any other.

A sample x is memorized when ‖x − a₁‖ / ‖x − a₂‖ < threshold, with a₁, a₂ its two nearest training
images in pixel L2 (arXiv 2505.17638, section 2; threshold 1/3).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from scipy.special import ndtri
from torch import Tensor
from torchmetrics import Metric

from diffmem.errors import ConfigError, ParameterError, require_at_least

#: Candidates beyond k that the float32 search hands to the float64 rescoring.
_MARGIN = 2
_SAMPLE_BLOCK, _TRAIN_BLOCK = 1024, 8192


@contextmanager
def _full_float32(device: torch.device) -> Iterator[None]:
    """TF32 errs by up to 1e-2 at the threshold, bf16 by 0.08: matmuls run in true float32."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


def nearest_neighbors(samples: Tensor, train: Tensor, k: int = 2) -> tuple[Tensor, Tensor]:
    """The ``k`` nearest training images of each sample in L2.

    A float32 matrix product over blocks finds k + 2 candidates a sample (memory does not grow with n); their distances
    are then computed in float64 from the differences, so copies have distance 0. Only where more than k + 2 training
    images are nearer to each other than a thousandth of the sample's distance from the mean image, which two different
    8-bit images hardly are, may one of them be taken for another.

    Args:
        samples: (N, \\*), finite.
        train: (n, \\*) with n ≥ k, finite, on the same device.
        k: Number of neighbours.

    Returns:
        distances (N, k) float64 ascending, indices (N, k) int64 into ``train``.

    Raises:
        ConfigError: Shapes that do not match, n < k, or a training image that is not finite.
        ValueError: A sample is not finite.
    """
    if samples.shape[1:] != train.shape[1:]:
        raise ConfigError(
            "samples",
            got=tuple(samples.shape[1:]),
            expected=f"shape {tuple(train.shape[1:])} as train",
            remedy="reshape",
        )
    if not 1 <= k <= len(train):
        raise ConfigError("k", got=k, expected=f"1 to n = {len(train)}", remedy="lower k or raise n")
    samples, train = samples.flatten(1), train.flatten(1)
    if not samples.isfinite().all():
        raise ValueError("samples: got values that are not finite, expected numbers; the model has diverged")
    if not train.isfinite().all():
        remedy = "check the images, or the features in which distances are measured"
        raise ConfigError("train", got="values that are not finite", expected="numbers", remedy=remedy)
    center = train.mean(0, dtype=torch.float64)
    with _full_float32(samples.device):
        candidates = _candidates((samples - center).float(), train, center, min(k + _MARGIN, len(train)))
        found = [
            _rescored(block, train, chosen, k)
            for block, chosen in zip(samples.split(_SAMPLE_BLOCK), candidates.split(_SAMPLE_BLOCK), strict=True)
        ]
    distances, indices = zip(*found, strict=True)
    return torch.cat(distances), torch.cat(indices)


def _candidates(queries: Tensor, train: Tensor, center: Tensor, count: int) -> Tensor:
    """Rows of ``train`` that float32 finds nearest to each of the centred ``queries``, (N, count) ascending."""
    scores = queries.new_empty(len(queries), 0)
    candidates = scores.long()
    for start in range(0, len(train), _TRAIN_BLOCK):
        keys = (train[start : start + _TRAIN_BLOCK] - center).float()
        norms = keys.square().sum(1)
        # ‖q − k‖² − ‖q‖², which orders the keys of one query as their distances do
        blocks = (torch.addmm(norms, block, keys.T, alpha=-2) for block in queries.split(_SAMPLE_BLOCK))
        smallest = _smallest_by_topk if train.device.type == "cpu" else _smallest_by_minima
        best, where = zip(*(smallest(block, min(count, len(keys))) for block in blocks), strict=True)
        scores = torch.cat([scores, torch.cat(best)], dim=1)
        candidates = torch.cat([candidates, torch.cat(where) + start], dim=1)
        scores, order = scores.topk(min(count, scores.shape[1]), largest=False)
        candidates = candidates.gather(1, order)
    return candidates.sort(1).values


def _smallest_by_topk(block: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` smallest of each row and their places, (B, count) each."""
    values, places = block.topk(count, largest=False)
    return values, places


def _smallest_by_minima(block: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The same, for a GPU, by passes over ``block``, in which infinities are left."""
    found = []
    for _ in range(count):
        found.append(block.min(1))
        block.scatter_(1, found[-1].indices[:, None], torch.inf)
    return torch.stack([each.values for each in found], 1), torch.stack([each.indices for each in found], 1)


def _rescored(samples: Tensor, train: Tensor, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Distances of the k nearest of the candidates in float64, and which these are."""
    differences = train[candidates].double() - samples.double()[:, None]
    distances, order = torch.linalg.vector_norm(differences, dim=2).sort(dim=1, stable=True)
    return distances[:, :k], candidates.gather(1, order)[:, :k]


def is_memorized(distances: Tensor, threshold: float = 1 / 3) -> Tensor:
    """Which samples are memorized, (N,) bool, from the (N, ≥ 2) distances of :func:`nearest_neighbors`.

    A sample at distance 0 from both neighbours (a copy of an image that the training set holds twice) counts.

    Raises:
        ParameterError: ``threshold`` outside (0, 1).
    """
    check_threshold(threshold)
    nearest, second = distances[:, 0], distances[:, 1]
    return (nearest < threshold * second) | (second == 0)


def check_threshold(threshold: float) -> None:
    """Raise ParameterError for a ``threshold`` outside (0, 1)."""
    if not 0 < threshold < 1:
        raise ParameterError("threshold", got=threshold, expected="0 < threshold < 1, 1/3 in the paper")


def memorization_fraction(samples: Tensor, train: Tensor, threshold: float = 1 / 3) -> float:
    """f_mem of ``samples`` (N, \\*) with respect to ``train`` (n, \\*), n ≥ 2: the share that is memorized."""
    return is_memorized(nearest_neighbors(samples, train)[0], threshold).double().mean().item()


def wilson_interval(fraction: float, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share observed in ``total`` independent trials (Wilson 1927).

    Unlike the bootstrap it is not a single point at 0 and 1: none of 100 leaves up to 3.7%. The 95% interval holds a
    true share p in 92% of cases or more where ``total`` · p ≥ 1, and in 84% at worst, at ``total`` · p = 0.18.

    Args:
        fraction: The share, in [0, 1].
        total: Number of trials, at least 1.
        confidence: Level of the interval, in (0, 1).

    Returns:
        Both ends, in [0, 1].

    Raises:
        ParameterError: One of them outside its range.
    """
    require_at_least(1, total=total)
    for name, value, inside in (
        ("fraction", fraction, 0 <= fraction <= 1),
        ("confidence", confidence, 0 < confidence < 1),
    ):
        if not inside:
            raise ParameterError(name, got=value, expected="a share between 0 and 1")
    z = float(ndtri((1 + confidence) / 2))
    center = fraction + z**2 / (2 * total)
    half = z * (fraction * (1 - fraction) / total + z**2 / (4 * total**2)) ** 0.5
    scale = 1 + z**2 / total
    # the formula gives these ends up to rounding
    low = (center - half) / scale if fraction > 0 else 0.0
    high = (center + half) / scale if fraction < 1 else 1.0
    return low, high


def duplicate_count(images: Tensor) -> int:
    """Number of images (n, \\*) that equal an earlier one exactly."""
    return len(images) - len(torch.unique(images.flatten(1), dim=0))


class MemorizationFraction(Metric):
    """f_mem as a metric that merges over ranks.

    Args:
        train: Training images (n, \\*), n ≥ 2.
        threshold: Largest ratio of the two distances that counts as memorized.
    """

    full_state_update = False
    memorized: Tensor
    total: Tensor

    def __init__(self, train: Tensor, threshold: float = 1 / 3) -> None:
        super().__init__()
        self.threshold = threshold
        self.register_buffer("train_images", train, persistent=False)
        self.add_state("memorized", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, samples: Tensor, distances: Tensor | None = None) -> None:
        """Count ``samples`` (N, \\*), whose (N, ≥ 2) distances to the training images may be known already."""
        if distances is None:
            train = self.train_images
            assert isinstance(train, Tensor)
            distances = nearest_neighbors(samples, train)[0]
        self.memorized += is_memorized(distances, self.threshold).sum()
        self.total += len(distances)

    def compute(self) -> Tensor:
        """Share of memorized samples, a float64 scalar; NaN before the first sample."""
        return self.memorized.double() / self.total

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """:func:`wilson_interval` of the share.

        Raises:
            ParameterError: There is no sample yet.
        """
        return wilson_interval(self.compute().item(), int(self.total), confidence)
