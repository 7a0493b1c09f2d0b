"""The measurements: f_mem, and the Fréchet distance to fixed statistics."""

import numpy as np
import torch
from benchmarks.reference import broadcast_f_mem, plain_frechet
from benchmarks.timing import PLAIN, Measurement, Scale, Work, interleave, missing

from diffmem import rng
from diffmem.metrics.frechet import FrechetDistance, Reference
from diffmem.metrics.memorization import memorization_fraction


def memorization(scale: Scale) -> list[Measurement]:
    """f_mem of samples among which every fourth is a noisy copy."""
    num_samples, n, dimension = scale.pick(10_000, 50), scale.pick(32_768, 200), scale.pick(1024, 64)
    train = rng.normal(0, "train", 0, (n, dimension)).to(scale.device)
    samples = rng.normal(0, "samples", 0, (num_samples, dimension)).to(scale.device)
    samples[::4] = train[: len(samples[::4])] + 0.1 * samples[::4]
    few = scale.pick(100, 10)

    def peer() -> float:
        from torchmetrics.functional import pairwise_euclidean_distance

        found = [pairwise_euclidean_distance(block, train).topk(2, largest=False)[0] for block in samples.split(1000)]
        distances = torch.cat(found)
        return float((distances[:, 0] < distances[:, 1] / 3).double().mean())

    assert memorization_fraction(samples[:few], train) == broadcast_f_mem(samples[:few], train)
    works = {
        PLAIN: Work(lambda: broadcast_f_mem(samples[:few], train), few),
        "diffmem": Work(lambda: memorization_fraction(samples, train), num_samples),
        "torchmetrics pairwise distances": Work(peer, num_samples),
        "machine's limit: the matmul": Work(lambda: [block @ train.T for block in samples.split(1024)], num_samples),
    }
    title = f"f_mem, {num_samples} samples, n = {n}, {dimension} pixels"
    return [Measurement(title, "sample", interleave(works, scale))]


def frechet(scale: Scale) -> list[Measurement]:
    """A Fréchet distance to a reference that stays the same, from features."""
    num_samples, dimension = scale.pick(10_000, 200), scale.pick(2048, 16)
    rows = torch.arange(num_samples)
    features = rng.normal(0, "features", 0, (num_samples, dimension))
    images = rng.normal(0, "reference", 0, (num_samples, dimension)) * 1.1 + 0.1
    reference = Reference.from_features(images)
    metric = FrechetDistance(reference, num_samples=num_samples, num_groups=1)

    def ours() -> float:
        metric.reset()
        for part in rows.split(1000):
            metric.update(features[part], part)
        return float(metric.compute())

    expected = plain_frechet(features.double().numpy(), images.double().numpy())
    assert abs(ours() - expected) < 1e-4 * expected
    works = {
        PLAIN: Work(lambda: plain_frechet(features.double().numpy(), images.double().numpy())),
        "diffmem": Work(ours),
        "machine's limit: one covariance": Work(lambda: features.double().T @ features.double()),
    }
    if not missing("pytorch_fid"):
        from pytorch_fid.fid_score import calculate_frechet_distance

        def moments(values: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
            return values.double().mean(0).numpy(), np.cov(values.double().numpy(), rowvar=False)

        fixed = moments(images)
        works["pytorch-fid"] = Work(lambda: calculate_frechet_distance(*moments(features), *fixed))
    title = f"Fréchet distance, {num_samples} features of {dimension}"
    return [Measurement(title, "evaluation", interleave(works, scale), missing("pytorch_fid"))]
