import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffmem.errors import ConfigError
from diffmem.metrics import memorization
from diffmem.metrics.memorization import (
    MemorizationFraction,
    duplicate_count,
    is_memorized,
    memorization_fraction,
    nearest_neighbors,
    wilson_interval,
)


def brute_force(samples, train, k):
    """Distances and indices from all float64 differences, ties by index."""
    difference = samples.double().flatten(1)[:, None] - train.double().flatten(1)[None]
    distances, indices = difference.norm(dim=2).sort(dim=1, stable=True)
    return distances[:, :k], indices[:, :k]


@given(st.integers(0, 5), st.integers(1, 30), st.integers(1, 4), st.integers(0, 2**20))
def test_the_gpus_way_to_the_smallest_finds_those_of_topk(num, length, count, seed):
    block = torch.randint(0, 12, (num, length), generator=torch.Generator().manual_seed(seed)).float()
    count = min(count, length)
    values, places = memorization._smallest_by_minima(block.clone(), count)
    assert torch.equal(values, memorization._smallest_by_topk(block, count)[0])
    assert torch.equal(block.gather(1, places), values)
    assert all(len(set(row)) == count for row in places.tolist())


@given(
    st.integers(0, 40),
    st.integers(2, 60),
    st.integers(1, 20),
    st.integers(1, 4),
    st.floats(0, 1000),
    st.integers(0, 2**20),
)
@settings(deadline=None)
def test_neighbors_are_those_of_brute_force(num, n, dimension, k, offset, seed):
    generator = torch.Generator().manual_seed(seed)
    train = torch.rand(n, dimension, generator=generator) + offset
    samples = torch.rand(num, dimension, generator=generator) + offset
    k = min(k, n)
    samples[: min(num, n) // 2] = train[: min(num, n) // 2]
    distances, indices = nearest_neighbors(samples, train, k)
    expected, _ = brute_force(samples, train, k)
    assert distances.dtype == torch.float64
    assert torch.allclose(distances, expected, rtol=1e-12, atol=1e-12)
    assert torch.equal((samples.double()[:, None] - train.double()[indices]).norm(dim=2), distances)


def test_blocks_do_not_change_the_result(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    train, samples = (torch.randn(num, 1, 4, 4, generator=generator) for num in (50, 30))
    whole = nearest_neighbors(samples, train)
    monkeypatch.setattr(memorization, "_SAMPLE_BLOCK", 7)
    monkeypatch.setattr(memorization, "_TRAIN_BLOCK", 3)
    assert all(torch.equal(a, b) for a, b in zip(nearest_neighbors(samples, train), whole, strict=True))


def test_copies_are_at_distance_zero():
    train = torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 100
    distances, indices = nearest_neighbors(train, train)
    assert (distances[:, 0] == 0).all()
    assert torch.equal(indices[:, 0], torch.arange(20))


def test_the_edge_of_one_third():
    """On the line between images at 0 and 4, x = 1 is at ratio exactly 1/3: not below it."""
    train = torch.tensor([[0.0], [4.0]])
    below, edge, above = 1 - 1e-6, 1.0, 1 + 1e-6
    samples = torch.tensor([[below], [edge], [above]], dtype=torch.float64)
    assert is_memorized(nearest_neighbors(samples, train)[0]).tolist() == [True, False, False]


def test_a_copy_of_a_doubled_image_is_memorized():
    train = torch.tensor([[1.0, 2.0], [1.0, 2.0], [5.0, 5.0]])
    assert memorization_fraction(train[:1], train) == 1
    assert duplicate_count(train) == 1


def test_the_metric_merges_like_one_update():
    generator = torch.Generator().manual_seed(0)
    train, samples = (torch.randn(num, 3, generator=generator) for num in (10, 200))
    samples[:20] = train[0] + 1e-3
    whole, parts = MemorizationFraction(train), MemorizationFraction(train)
    whole.update(samples)
    for part in samples.split(33):
        parts.update(part)
    assert whole.compute().item() == parts.compute().item() == memorization_fraction(samples, train) >= 0.1


def test_wilson_interval_covers_at_its_nominal_rate():
    draws = np.random.default_rng(0).binomial(100, 0.07, size=4000)
    covered = [low <= 0.07 <= high for low, high in (wilson_interval(k / 100, 100) for k in draws)]
    assert 0.93 <= np.mean(covered) <= 0.98


def test_wilson_interval_at_the_ends():
    low, high = wilson_interval(0, 100)
    assert low == 0
    assert high == pytest.approx(0.0370, abs=1e-4)
    assert wilson_interval(1, 100)[1] == 1


@pytest.mark.parametrize("arguments", [(0.5, 0), (-0.1, 10), (1.1, 10), (math.nan, 10), (0.5, 10, 1.0)])
def test_an_interval_of_no_share_is_refused(arguments):
    with pytest.raises(ConfigError, match=r"^(total|fraction|confidence): got"):
        wilson_interval(*arguments)
    with pytest.raises(ConfigError, match=r"^total: got 0"):
        MemorizationFraction(torch.zeros(3, 2)).interval()


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0, math.nan])
def test_thresholds_outside_the_unit_interval_are_refused(threshold):
    with pytest.raises(ConfigError, match=r"^threshold: got"):
        is_memorized(torch.ones(1, 2), threshold)


def test_samples_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        nearest_neighbors(torch.full((1, 2), math.nan), torch.zeros(3, 2))
    with pytest.raises(ConfigError, match=r"^train: got values that are not finite"):
        nearest_neighbors(torch.zeros(1, 2), torch.tensor([[0.0, 1.0], [math.nan, 1.0], [1.0, 1.0]]))


def test_other_precisions_in_force_do_not_change_the_result():
    generator = torch.Generator().manual_seed(0)
    train, samples = (torch.randn(num, 16, generator=generator) for num in (50, 30))
    expected = nearest_neighbors(samples, train)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(nearest_neighbors(samples, train)[0], expected)
