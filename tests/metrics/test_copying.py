import numpy as np
import pytest
import torch
from scipy.stats import kstest

from diffmem.errors import ConfigError
from diffmem.metrics.copying import CopyingTest, calibrated_distance, is_authentic, spacing
from diffmem.metrics.memorization import nearest_neighbors


def clusters(num, generator, noise=1.0):
    """``num`` points around each of three centres."""
    return np.concatenate([generator.normal(0, noise, (num, 3)) + 8 * np.eye(3)[at] for at in range(3)]).astype("f4")


@pytest.fixture
def case():
    """Train, held-out and fresh points, and near-copies of a third of the training points."""
    generator = np.random.default_rng(0)
    train, held_out, fresh = (clusters(num, generator) for num in (100, 70, 50))
    copies = (train[::3] + 0.3 * generator.normal(size=(100, 3))).astype("f4")
    return [torch.from_numpy(each) for each in (train, held_out, fresh, copies)]


def test_c_t_is_that_of_the_authors_code(case):
    """Its data_copying_tests.py gives these; its continuity correction of half a pair is left out here."""
    train, held_out, fresh, copies = case
    test = CopyingTest(train, held_out, num_cells=3)
    reference = {
        0.8738741562311865: fresh,
        -1.6892352904107328: copies,
        -0.2830548238418959: torch.cat([fresh, copies]),
    }
    for expected, samples in reference.items():
        assert test(samples)[0] == pytest.approx(expected, abs=0.004)


def test_c_t_of_one_cell_is_the_test_of_mann_and_whitney(case):
    train, held_out, fresh, _ = case
    nearest = [np.sort(torch.cdist(each.double(), train.double()).numpy(), axis=1)[:, 0] for each in (fresh, held_out)]
    u = sum((nearest[1] < mine).sum() for mine in nearest[0])
    m, n = len(fresh), len(held_out)
    statistic, p = CopyingTest(train, held_out, num_cells=1)(fresh)
    assert statistic == pytest.approx((u - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12), abs=0.01)
    assert p == pytest.approx(0.5 * (1 + torch.erf(torch.tensor(statistic / 2**0.5)).item()), abs=1e-6)


def test_the_p_value_is_uniform_for_fresh_points_and_small_for_copies():
    p_values, of_copies = [], []
    for seed in range(40):
        generator = np.random.default_rng(seed)
        train, held_out, fresh = (torch.from_numpy(clusters(60, generator)) for _ in range(3))
        test = CopyingTest(train, held_out, num_cells=3)
        p_values.append(test(fresh)[1])
        of_copies.append(test(train + 0.1)[1])
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert max(of_copies) < 1e-6


def test_cells_with_few_samples_do_not_count(case):
    train, held_out, fresh, _ = case
    test = CopyingTest(train, held_out, num_cells=3)
    assert test(fresh[:19]) is None
    one = test(torch.cat([fresh[:50], fresh[50:60]]))
    alone = CopyingTest(train[:100], held_out[:70], num_cells=1)(fresh[:50])
    assert one == pytest.approx(alone), "the first cluster is the one cell with 20"
    for arguments in ({"num_cells": 0}, {"num_cells": 301}, {"min_samples": 0}):
        with pytest.raises(ConfigError):
            CopyingTest(train, held_out, **arguments)


def test_authenticity_on_a_line():
    train = torch.tensor([[0.0], [1.0], [10.0], [10.0]])
    assert spacing(train).tolist() == [1, 1, 0, 0]
    samples = torch.tensor([[0.4], [-1.5], [10.0], [10.1]])
    assert is_authentic(*nearest_neighbors(samples, train), spacing(train)).tolist() == [False, True, False, True]


def test_half_of_fresh_points_are_authentic_and_no_copy_is():
    generator = torch.Generator().manual_seed(0)
    train, fresh = (torch.randn(1000, 20, generator=generator) for _ in range(2))
    spacings = spacing(train)
    assert 0.4 < is_authentic(*nearest_neighbors(fresh, train), spacings).double().mean() < 0.75
    half = torch.cat([fresh[:500], train[:500] + 1e-3])
    assert is_authentic(*nearest_neighbors(half, train), spacings).double()[500:].sum() == 0


def test_calibrated_distance_by_hand():
    distances = torch.tensor([[0.0, 0.0], [1.0, 3.0], [2.0, 2.0]], dtype=torch.float64)
    assert calibrated_distance(distances).tolist() == [0, 1, 2]
    assert calibrated_distance(distances, alpha=1).tolist() == [0, 0.5, 1]
