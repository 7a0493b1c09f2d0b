import itertools
import multiprocessing
import pickle

import numpy as np
import pytest
import scipy.linalg
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from diffmem.errors import ConfigError
from diffmem.metrics.frechet import FrechetDistance, Reference, frechet_distance


def gaussian(seed: int, num: int, dimension: int, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(dimension, dimension, generator=generator) / dimension**0.5
    return scale * torch.randn(num, dimension, generator=generator) @ mix + shift


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    return features.double().mean(0), torch.atleast_2d(torch.cov(features.double().T))


def by_sqrtm(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """The formula as published, with a general matrix square root."""
    root = scipy.linalg.sqrtm(cov_a.numpy() @ cov_b.numpy())
    return float((mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * np.trace(root).real)


class Identity(nn.Module):
    num_features = 12

    def forward(self, features: Tensor) -> Tensor:
        return features


@given(seed=st.integers(0, 10_000), dimension=st.integers(1, 24), scale=st.floats(0.05, 20), shift=st.floats(-5, 5))
@settings(max_examples=30, deadline=None)
def test_equals_the_formula_with_sqrtm(seed, dimension, scale, shift):
    a, b = moments(gaussian(seed, 60, dimension, scale, shift)), moments(gaussian(seed + 1, 60, dimension))
    assert frechet_distance(*a, *b) == pytest.approx(by_sqrtm(*a, *b), rel=1e-7, abs=1e-9)


@given(seed=st.integers(0, 10_000), dimension=st.integers(1, 24), num=st.integers(2, 40))
@settings(max_examples=30, deadline=None)
def test_is_a_squared_distance_even_when_rank_deficient(seed, dimension, num):
    a, b = moments(gaussian(seed, num, dimension)), moments(gaussian(seed + 1, 2 * num, dimension))
    trace = float(a[1].trace() + b[1].trace())
    assert frechet_distance(*a, *a) == pytest.approx(0, abs=1e-6 * trace)
    assert frechet_distance(*a, *b) == pytest.approx(frechet_distance(*b, *a), abs=1e-6 * trace)


def test_diagonal_case_by_hand():
    a, b = torch.tensor([4.0, 9.0, 0.0]), torch.tensor([1.0, 0.0, 16.0])
    mean = torch.tensor([1.0, -2.0, 0.0])
    expected = 5 + (a.sqrt() - b.sqrt()).square().sum().item()
    assert frechet_distance(mean, a.diag(), 0 * mean, b.diag()) == pytest.approx(expected, rel=1e-12)


def test_metric_equals_torchmetrics():
    real, fake = gaussian(0, 300, 12, 2.0, 1.0), gaussian(1, 200, 12)
    other = FrechetInceptionDistance(feature=Identity())
    other.update(real.double(), real=True)
    other.update(fake.double(), real=False)
    ours = FrechetDistance(Reference.from_features(real), num_samples=200)
    ours.update(fake, range(200))
    assert float(ours.compute()) == pytest.approx(float(other.compute()), rel=1e-7)
    assert ours.compute().dtype == torch.float64


def test_features_far_from_zero_lose_no_digits():
    features, reference = gaussian(0, 100, 6), gaussian(1, 200, 6)
    near, far = (Reference.from_features([part + shift for part in reference.double().split(30)]) for shift in (0, 1e6))
    distances = []
    for target, shift in ((near, 0), (far, 1e6)):
        metric = FrechetDistance(target)
        metric.update(features.double() + shift, range(100))
        distances.append(float(metric.compute()))
    assert distances[1] == pytest.approx(distances[0], rel=1e-6)


@given(cuts=st.lists(st.integers(1, 99), max_size=5), order=st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_batches_and_their_order_do_not_matter(cuts, order):
    features, reference = gaussian(3, 100, 5), Reference.from_features(gaussian(4, 100, 5))
    whole, split = FrechetDistance(reference, 100), FrechetDistance(reference, 100)
    whole.update(features, range(100))
    edges = [0, *sorted(set(cuts)), 100]
    parts = [range(*pair) for pair in itertools.pairwise(edges)]
    order.shuffle(parts)
    for part in parts:
        split.update(features[part.start : part.stop], part)
    assert split.count.equal(whole.count)
    assert float(split.compute()) == pytest.approx(float(whole.compute()), rel=1e-10)
    assert float(split.standard_error()) == pytest.approx(float(whole.standard_error()), rel=1e-8)


def test_merging_two_states_equals_one_pass():
    features, reference = gaussian(3, 100, 5), Reference.from_features(gaussian(4, 100, 5))
    whole, first, second = (FrechetDistance(reference) for _ in range(3))
    whole.update(features, range(100))
    first.update(features[::2], range(0, 100, 2))
    second.update(features[1::2], torch.arange(1, 100, 2))
    first.merge_state(second)
    assert float(first.compute()) == pytest.approx(float(whole.compute()), rel=1e-12)


def test_fewer_reference_samples_than_dimensions():
    features, few = gaussian(0, 60, 30).double(), gaussian(1, 12, 30, 1.5).double()
    reference = Reference.from_features(few)
    assert reference.root.shape == (30, 12)
    expected = frechet_distance(features.mean(0), features.T.cov(), few.mean(0), few.T.cov())
    assert reference.distance(features.mean(0), features.T.cov()) == pytest.approx(expected, rel=1e-7)


def test_standard_error_is_the_scatter_over_repeated_samples():
    reference = Reference.from_features(gaussian(0, 2000, 3, 1.5))
    values, errors = [], []
    for seed in range(120):
        features = torch.randn(200, 3, generator=torch.Generator().manual_seed(seed)) + 0.5
        metric = FrechetDistance(reference, 200, num_groups=20)
        metric.update(features, range(200))
        values.append(float(metric.compute()))
        errors.append(float(metric.standard_error()))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(values), rel=0.25)


def test_jackknife_deletes_each_group_in_turn():
    features, reference = gaussian(5, 40, 4), Reference.from_features(gaussian(6, 50, 4))
    metric = FrechetDistance(reference, 40, num_groups=4)
    metric.update(features, range(40))
    deleted = []
    for group in range(4):
        kept = features[torch.arange(40) % 4 != group]
        deleted.append(frechet_distance(*moments(kept), reference.mean, reference.covariance))
    assert float(metric.standard_error()) == pytest.approx(np.sqrt(3 * np.var(deleted)), rel=1e-9)


def test_one_group_gives_the_same_distance_and_no_error():
    features, reference = gaussian(5, 40, 4), Reference.from_features(gaussian(6, 50, 4))
    one, ten = FrechetDistance(reference, num_groups=1), FrechetDistance(reference)
    for metric in (one, ten):
        metric.update(features, range(40))
    assert one.outer.shape == (1, 4, 4)
    assert float(one.compute()) == pytest.approx(float(ten.compute()), rel=1e-12)
    assert one.standard_error().isnan()


def test_reset_pickle_and_clone():
    features, reference = gaussian(5, 40, 4), Reference.from_features(gaussian(6, 50, 4))
    metric = FrechetDistance(reference, 40)
    metric.update(features, range(40))
    for copy in (pickle.loads(pickle.dumps(metric)), metric.clone()):
        assert copy.compute().equal(metric.compute())
    value = metric.compute()
    metric.reset()
    assert metric.outer.count_nonzero() == 0
    metric.update(features, range(40))
    assert metric.compute().equal(value)


def test_a_feature_that_is_not_finite_gives_nan():
    features, reference = gaussian(5, 40, 4), Reference.from_features(gaussian(6, 50, 4))
    features[7, 2] = torch.inf
    metric = FrechetDistance(reference, 40)
    metric.update(features, range(40))
    assert metric.compute().isnan()
    assert metric.standard_error().isnan()


def test_mistakes_are_named():
    reference = Reference.from_features(gaussian(6, 50, 4))
    with pytest.raises(ConfigError, match="exactly 40"):
        metric = FrechetDistance(reference, 40)
        metric.update(gaussian(5, 39, 4), range(39))
        metric.compute()
    with pytest.raises(ConfigError, match=r"shape \(5, 3\)"):
        FrechetDistance(reference).update(torch.zeros(5, 3), range(5))
    with pytest.raises(ConfigError, match="4 numbers"):
        FrechetDistance(reference).update(torch.zeros(5, 4), range(4))
    with pytest.raises(ConfigError, match="num_groups"):
        FrechetDistance(reference, num_groups=0)
    with pytest.raises(ConfigError, match="num_samples"):
        FrechetDistance(reference, num_samples=9)
    with pytest.raises(ConfigError, match="in the groups"):
        metric = FrechetDistance(reference)
        metric.update(gaussian(5, 20, 4), range(0, 40, 2))
        metric.standard_error()
    with pytest.raises(ConfigError, match="at least 2"):
        Reference.from_features(torch.zeros(1, 4))
    with pytest.raises(ConfigError, match="not finite"):
        Reference.from_features(torch.full((5, 4), torch.nan))
    with pytest.raises(ConfigError, match="moments"):
        frechet_distance(torch.zeros(3), torch.eye(3), torch.zeros(4), torch.eye(4))
    for wrong in (torch.tensor([[1.0, 0.5], [0.0, 1.0]]), -torch.eye(2), torch.tensor([[1.0, 2.0], [2.0, 1.0]])):
        for covariances in ((wrong, torch.eye(2)), (torch.eye(2), wrong)):
            with pytest.raises(ConfigError, match=r"^covariance: got smallest eigenvalue"):
                frechet_distance(torch.zeros(2), covariances[0], torch.zeros(2), covariances[1])


def _rank(rank: int, address: str, results) -> None:
    torch.set_num_threads(1)  # the parent's thread pool does not survive the fork
    dist.init_process_group("gloo", init_method=f"file://{address}", rank=rank, world_size=2)
    features = gaussian(3, 101, 5)
    metric = FrechetDistance(Reference.from_features(gaussian(4, 100, 5)), 101)
    numbers = torch.arange(rank, 101, 2)
    metric.update(features[numbers], numbers)
    results.put((rank, float(metric.compute()), float(metric.standard_error()), int(metric.count.sum())))
    dist.destroy_process_group()


def test_two_ranks_equal_one(tmp_path):
    whole = FrechetDistance(Reference.from_features(gaussian(4, 100, 5)), 101)
    whole.update(gaussian(3, 101, 5), range(101))
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    processes = [
        context.Process(target=_rank, args=(rank, str(tmp_path / "store"), results), daemon=True) for rank in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    for rank, distance, error, count in sorted(results.get() for _ in processes):
        assert distance == pytest.approx(float(whole.compute()), rel=1e-10)
        assert error == pytest.approx(float(whole.standard_error()), rel=1e-8)
        assert count == (51, 50)[rank]
