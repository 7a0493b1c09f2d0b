"""The random-feature network: its formula, what trains, and what it refuses."""

import math

import pytest
import torch
from torch import Tensor

from diffmem.errors import ConfigError, DataError
from diffmem.networks.random_features import RandomFeatureNetwork, centered_relu


def test_score_is_the_papers_formula() -> None:
    network = RandomFeatureNetwork(dim=6, num_features=10, seed=1)
    x = torch.randn(4, 6)
    assert torch.equal(network(x), torch.zeros(4, 6))
    with torch.no_grad():
        network.A.normal_()
    expected = torch.stack([network.A @ torch.tanh(network.W @ row / math.sqrt(6)) / math.sqrt(10) for row in x])
    assert torch.allclose(network(x), expected, atol=1e-6)


def test_images_are_flattened_and_come_back_in_their_shape() -> None:
    network = RandomFeatureNetwork(dim=2 * 3 * 4, num_features=5)
    with torch.no_grad():
        network.A.normal_()
    x = torch.randn(7, 2, 3, 4)
    assert torch.equal(network(x).flatten(1), network(x.flatten(1)))
    assert network(x).shape == x.shape


def test_only_the_second_layer_trains_and_a_checkpoint_holds_the_first() -> None:
    network = RandomFeatureNetwork(dim=4, num_features=8, seed=1)
    assert [name for name, _ in network.named_parameters()] == ["A"]
    other = RandomFeatureNetwork(dim=4, num_features=8, seed=2)
    assert not torch.equal(network.W, other.W)
    other.load_state_dict(network.state_dict())
    assert torch.equal(network.W, other.W)
    assert torch.equal(RandomFeatureNetwork(dim=4, num_features=8, seed=1).W, network.W)


@pytest.mark.parametrize("activation", ["tanh", "erf", "relu", torch.sin])
def test_features_have_mean_zero_under_unit_preactivations(activation: object) -> None:
    network = RandomFeatureNetwork(dim=400, num_features=50, activation=activation)
    x = torch.randn(4000, 400, generator=torch.Generator().manual_seed(0))
    assert float(network.features(x).mean()) == pytest.approx(0.0, abs=0.02)


def test_relu_is_centred_at_the_deviation_it_is_given() -> None:
    values = centered_relu(3.0)(3.0 * torch.randn(1_000_000, generator=torch.Generator().manual_seed(0)))
    assert float(values.mean()) == pytest.approx(0.0, abs=0.01)


def bad_input(network: RandomFeatureNetwork) -> Tensor:
    return network(torch.zeros(2, 5))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="5 values a sample, expected 4"):
        bad_input(RandomFeatureNetwork(dim=4, num_features=8))
    with pytest.raises(ConfigError, match="num_features"):
        RandomFeatureNetwork(dim=4, num_features=0)
    with pytest.raises(ConfigError, match="one of tanh, erf, relu"):
        RandomFeatureNetwork(dim=4, num_features=8, activation="gelu")
