"""Fréchet distance between two sets of features, each seen as a Gaussian (FID when they are Inception's)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics import Metric

from diffmem.errors import ConfigError


def frechet_distance(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """Squared Fréchet (2-Wasserstein) distance of two Gaussians, in float64.

    |μ_a − μ_b|² + Tr(C_a + C_b − 2 (C_b^½ C_a C_b^½)^½), Heusel et al. 2017 (arXiv 1706.08500), eq. 6.

    Args:
        mean_a: (D,), finite, as all of them.
        cov_a: (D, D), symmetric, without negative eigenvalues.
        mean_b: (D,).
        cov_b: (D, D), likewise.

    Raises:
        ConfigError: The shapes do not fit together, a value is not finite, or a covariance is none.
    """
    a, b = Reference.from_moments(mean_a, cov_a), Reference.from_moments(mean_b, cov_b)
    return b.distance(a.mean, a.covariance)


def feature_moments(features: Tensor | Iterable[Tensor]) -> tuple[Tensor, Tensor, int]:
    """Mean (D,), unbiased covariance (D, D), both float64, and number N of features (N, D), or of batches of them.

    Raises:
        ConfigError: Fewer than two samples.
    """
    total, outer, count = torch.zeros(()), torch.zeros(()), 0
    shift: Tensor | None = None
    for batch in [features] if isinstance(features, Tensor) else features:
        batch = batch.detach().double()
        shift = batch.mean(0) if shift is None else shift
        centred = batch - shift
        total, outer, count = total + centred.sum(0), outer + centred.T @ centred, count + len(centred)
    if shift is None or count < 2:
        raise _too_few("samples", count, "at least 2")
    mean = total / count
    return shift + mean, (outer - count * mean.outer(mean)) / (count - 1), count


@dataclass(frozen=True, eq=False)
class Reference:
    """Moments of the fixed feature set that others are compared with, all in float64.

    Attributes:
        mean: (D,).
        covariance: (D, D), unbiased (divided by count − 1).
        root: (D, rank), a factor of the covariance, ``root @ root.T``; its one ``eigh`` is done here and never again.
    """

    mean: Tensor
    covariance: Tensor
    root: Tensor

    @classmethod
    def from_moments(cls, mean: Tensor, covariance: Tensor) -> Reference:
        """Reference with the given mean (D,) and covariance (D, D).

        Raises:
            ConfigError: The shapes do not fit together, a value is not finite, or the covariance is not symmetric or
                has an eigenvalue below 0, by more than rounding.
        """
        dimension = mean.numel()
        _check_shapes(mean, covariance, dimension)
        mean, covariance = mean.detach().double(), covariance.detach().double()
        _check_finite(mean, covariance)
        eigenvalues, vectors = torch.linalg.eigh(covariance)
        asymmetry, rounding = (covariance - covariance.T).abs().max(), 1e-5 * eigenvalues.abs().max()
        if eigenvalues[0] < -rounding or asymmetry > rounding:
            raise ConfigError(
                "covariance",
                got=f"smallest eigenvalue {eigenvalues[0]:.3g}, asymmetry {asymmetry:.3g}",
                expected="a symmetric matrix without negative eigenvalues",
                remedy="compute it from features, e.g. by feature_moments",
            )
        kept = eigenvalues > eigenvalues[-1] * dimension * torch.finfo(torch.float64).eps
        return cls(mean, covariance, vectors[:, kept] * eigenvalues[kept].sqrt())

    @classmethod
    def from_features(cls, features: Tensor | Iterable[Tensor]) -> Reference:
        """Reference of features (N, D), or of batches of them read one after the other.

        Raises:
            ConfigError: Fewer than two samples, or a feature that is not finite.
        """
        mean, covariance, count = feature_moments(features)
        if not isinstance(features, Tensor) or count > len(mean):
            return cls.from_moments(mean, covariance)
        _check_finite(mean, covariance)
        root = (features.detach().double() - mean).T / (count - 1) ** 0.5  # the centred features are a factor already
        return cls(mean, covariance, root)

    def distance(self, mean: Tensor, covariance: Tensor) -> float:
        """Distance of the Gaussian with this mean (D,) and covariance (D, D); NaN if a moment is not finite.

        Raises:
            ConfigError: The shapes do not fit together.
        """
        _check_shapes(mean, covariance, dimension=len(self.mean))
        return float(_distance(mean.double() - self.mean, covariance.double(), self))

    def to(self, device: torch.device | str) -> Reference:
        """The same reference on ``device``."""
        return Reference(self.mean.to(device), self.covariance.to(device), self.root.to(device))


class FrechetDistance(Metric):
    """Fréchet distance of a feature set to a fixed :class:`Reference`.

    Keeps float64 moment sums, centred by the reference's mean, in ``num_groups`` groups: sample i is in group
    i mod ``num_groups`` whatever the batch or the rank, so the states of several ranks add up exactly.

    Args:
        reference: The other side of the distance.
        num_samples: Number of samples the distance is asked for; None takes what comes. The distance of few
            samples is biased upwards (by about Tr C / N), so values of different counts cannot be compared.
        num_groups: Groups of the jackknife, each a D × D sum. 1 switches the standard error off.

    Raises:
        ConfigError: ``num_groups`` or ``num_samples`` is impossible.
    """

    full_state_update = False
    higher_is_better = False
    is_differentiable = False

    total: Tensor
    outer: Tensor
    count: Tensor

    def __init__(self, reference: Reference, num_samples: int | None = None, num_groups: int = 10) -> None:
        super().__init__()
        if num_groups < 1:
            raise ConfigError(
                "num_groups", got=num_groups, expected="at least 1", remedy="use 1 for no standard error, else 10"
            )
        if num_samples is not None and num_samples < _fewest(num_groups):
            raise ConfigError(
                "num_samples",
                got=num_samples,
                expected=f"at least {_fewest(num_groups)} for {num_groups} groups",
                remedy="ask for more samples or fewer groups",
            )
        self.reference, self.num_samples, self.num_groups = reference, num_samples, num_groups
        dimension = len(reference.mean)
        self.add_state("total", torch.zeros(num_groups, dimension, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state(
            "outer", torch.zeros(num_groups, dimension, dimension, dtype=torch.float64), dist_reduce_fx="sum"
        )
        self.add_state("count", torch.zeros(num_groups, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, features: Tensor, numbers: Sequence[int] | Tensor) -> None:
        """Add features (N, D) of the samples numbered ``numbers`` (N,), e.g. ``range(first, first + N)``."""
        if features.ndim != 2 or features.shape != (len(numbers), self.total.shape[1]):
            raise ConfigError(
                "features",
                got=f"shape {tuple(features.shape)} with {len(numbers)} numbers",
                expected=f"(N, {self.total.shape[1]}) with N numbers",
                remedy="compare features of the space the reference was made in",
            )
        centred = features.to(self.total) - self.reference.mean.to(self.total)
        groups = torch.as_tensor(numbers, device=centred.device) % self.num_groups
        for group in groups.unique().tolist():
            members = centred[groups == group]
            self.total[group] += members.sum(0)
            self.outer[group] += members.T @ members
            self.count[group] += len(members)

    def compute(self) -> Tensor:
        """The distance, a float64 scalar; NaN if a feature was not finite.

        Raises:
            ConfigError: Another number of samples than ``num_samples`` was seen, or fewer than two.
        """
        self._check_count()
        reference = self.reference.to(self.total.device)
        return _distance_of_sums(self.total.sum(0), self.outer.sum(0), self.count.sum(), reference)

    def standard_error(self) -> Tensor:
        """Standard error of the distance over generated samples at a fixed reference, a float64 scalar.

        Delete-one-group jackknife (Efron & Tibshirani 1993, ch. 11): with θ_g the distance without group g,
        SE² = (G − 1)/G Σ_g (θ_g − θ̄)². NaN with one group, where it is not known. It is the scatter of repeated sets of
        samples, too large by 10 to 40% where few samples make most of the distance, and says nothing of the bias of few
        samples, which raises every distance. Sums the states over the ranks as :meth:`compute` does: call it on all of
        them or on none.

        Raises:
            ConfigError: As :meth:`compute`, or a group holds no sample.
        """
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync):
            self._check_count()
            if self.num_groups == 1:
                return torch.full_like(self.total[0, 0], torch.nan)
            total, outer, count = self.total.sum(0), self.outer.sum(0), self.count.sum()
            if (self.count == 0).any() or count < _fewest(self.num_groups):
                counts, fewest = self.count.tolist(), _fewest(self.num_groups)
                raise _too_few("samples", f"{counts} in the groups", f"some in each and {fewest} in all")
            reference = self.reference.to(total.device)
            without = torch.stack(
                [
                    _distance_of_sums(total - self.total[g], outer - self.outer[g], count - self.count[g], reference)
                    for g in range(self.num_groups)
                ]
            )
            return ((self.num_groups - 1) * without.var(correction=0)).sqrt()

    def _check_count(self) -> None:
        count = int(self.count.sum())
        if self.num_samples is not None and count != self.num_samples:
            raise _too_few("samples", count, f"exactly {self.num_samples}")
        if count < 2:
            raise _too_few("samples", count, "at least 2")


def _distance_of_sums(total: Tensor, outer: Tensor, count: Tensor, reference: Reference) -> Tensor:
    """Distance of ``count`` samples from the sums of x − μ_b and of its outer product."""
    mean = total / count
    return _distance(mean, (outer - count * mean.outer(mean)) / (count - 1), reference)


def _distance(offset: Tensor, covariance: Tensor, reference: Reference) -> Tensor:
    """Distance to ``reference`` of the Gaussian with mean ``reference.mean + offset``.

    Tr (C_b^½ C_a C_b^½)^½ is the sum of the square roots of the eigenvalues of Rᵀ C_a R for any R with R Rᵀ = C_b.
    """
    if not (offset.isfinite().all() and covariance.isfinite().all()):
        return torch.full_like(offset[0], torch.nan)
    product = reference.root.T @ covariance @ reference.root
    overlap = torch.linalg.eigvalsh(product).clamp(min=0).sqrt().sum()
    distance = offset.square().sum() + covariance.trace() + reference.covariance.trace() - 2 * overlap
    return distance.clamp(min=0)


def _check_shapes(mean: Tensor, covariance: Tensor, dimension: int) -> None:
    if mean.shape != (dimension,) or covariance.shape != (dimension, dimension):
        raise ConfigError(
            "moments",
            got=f"mean {tuple(mean.shape)} and covariance {tuple(covariance.shape)}",
            expected=f"({dimension},) and ({dimension}, {dimension})",
            remedy="compare moments of one feature space",
        )


def _check_finite(mean: Tensor, covariance: Tensor) -> None:
    if not (mean.isfinite().all() and covariance.isfinite().all()):
        raise ConfigError(
            "moments",
            got="values that are not finite",
            expected="finite features",
            remedy="check the images that they are of",
        )


def _fewest(num_groups: int) -> int:
    """Fewest samples that leave two when one group is deleted and no group empty."""
    return 2 if num_groups == 1 else max(4, num_groups)


def _too_few(what: str, got: object, expected: str) -> ConfigError:
    return ConfigError(what, got=got, expected=expected, remedy="update with every sample once, on all ranks")
