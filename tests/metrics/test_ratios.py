import numpy as np
import pytest
import torch

from diffmem.errors import ConfigError
from diffmem.metrics.memorization import is_memorized
from diffmem.metrics.ratios import distance_ratios, ratio_of_means, shares_below


def test_ratios_of_known_distances():
    distances = torch.tensor([[0.0, 0.0], [0.0, 2.0], [1.0, 4.0], [3.0, 3.0]], dtype=torch.float64)
    assert distance_ratios(distances).tolist() == [0, 0, 0.25, 1]


def test_shares_are_those_of_the_rule_at_every_threshold():
    distances = torch.rand(500, 2, generator=torch.Generator().manual_seed(0)).double().sort(1).values
    thresholds = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
    expected = [is_memorized(distances, each).double().mean().item() for each in thresholds.tolist()]
    assert shares_below(distance_ratios(distances), thresholds).tolist() == expected
    assert shares_below(torch.tensor([0.25, 0.5]), torch.tensor([0.25, 0.5, 0.75])).tolist() == [0, 0.5, 1]


def test_the_interval_covers_at_its_nominal_rate():
    """Correlated pairs with a ratio of means of 2."""
    generator, inside = np.random.default_rng(0), 0
    for _ in range(1000):
        below = generator.gamma(4.0, 1.0, 200)
        ratio, low, high = ratio_of_means(*torch.from_numpy(np.stack([below + generator.gamma(4.0, 1.0, 200), below])))
        assert low < ratio < high
        inside += low <= 2 <= high
    assert 0.93 <= inside / 1000 <= 0.97


def test_without_a_mean_there_is_no_ratio():
    assert ratio_of_means(torch.ones(3), torch.zeros(3)) is None
    assert ratio_of_means(torch.ones(1), torch.full((1,), 2.0)) == (0.5, 0, np.inf), "one pair tells no error"
    with pytest.raises(ConfigError, match="above"):
        ratio_of_means(torch.ones(3), torch.ones(2))
