import pytest
import torch
from torch import nn
from torchmetrics.image.kid import KernelInceptionDistance

from diffmem.errors import ConfigError
from diffmem.metrics.kernel import kernel_distance


class Identity(nn.Module):
    def forward(self, features):
        return features


def features(seed: int, num: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(num, 6, generator=torch.Generator().manual_seed(seed)) + shift


def test_equals_torchmetrics_where_the_subset_is_everything():
    """Then the only subset is the whole set, whatever the random numbers."""
    fake, real = features(0, 80, 0.5).double(), features(1, 80).double()
    other = KernelInceptionDistance(feature=Identity(), subsets=1, subset_size=80)
    other.update(real, real=True)
    other.update(fake, real=False)
    assert kernel_distance(fake, real, seed=3, num_subsets=1, subset_size=80) == pytest.approx(
        float(other.compute()[0]), rel=1e-9
    )


def test_unbiased_for_equal_laws_and_positive_for_others():
    same = [kernel_distance(features(seed, 60), features(seed + 500, 60), 0, 1, 60) for seed in range(100)]
    values = torch.tensor(same)
    assert values.mean().abs() < 4 * values.std() / len(values) ** 0.5
    assert kernel_distance(features(0, 60, 1.0), features(1, 60), 0, 1, 60) > 10 * values.std()


def test_addressed_by_the_seed_alone():
    fake, real = features(0, 60, 0.5), features(1, 90)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = kernel_distance(fake, real, seed=7, num_subsets=5, subset_size=20)
    assert torch.get_rng_state().equal(state)
    torch.manual_seed(2)
    assert kernel_distance(fake, real, seed=7, num_subsets=5, subset_size=20) == first
    assert kernel_distance(fake, real, seed=8, num_subsets=5, subset_size=20) != first


@pytest.mark.parametrize(
    "numbers, named", [((1, 61), "subset_size"), ((1, 1), "subset_size"), ((0, 20), "num_subsets")]
)
def test_impossible_numbers_are_named(numbers, named):
    with pytest.raises(ConfigError, match=named):
        kernel_distance(features(0, 60), features(1, 90), 0, *numbers)


def test_other_dimensions_are_refused():
    with pytest.raises(ConfigError, match="features"):
        kernel_distance(features(0, 60), features(1, 60)[:, :5], 0)
