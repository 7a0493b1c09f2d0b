import pytest
import torch

from diffmem.errors import ConfigError
from diffmem.networks import ResidualMLP


def test_number_of_parameters_is_the_papers():
    assert sum(parameter.numel() for parameter in ResidualMLP(dim=8, width=128).parameters()) == 102_024


def test_the_time_reaches_every_block():
    network = ResidualMLP(dim=3, width=8, num_blocks=2)
    x, seen = torch.zeros(2, 3), []
    for block in network.blocks:
        block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1]))
    out = network(x, torch.tensor([0, 999]))
    assert out.shape == x.shape
    assert not torch.allclose(out[0], out[1])
    assert len(seen) == 2
    assert all(torch.equal(time, network.table[[0, 999]]) for time in seen)


def test_an_image_is_read_as_the_vector_of_its_pixels():
    network, images, times = ResidualMLP(dim=6, width=8), torch.randn(2, 1, 2, 3), torch.tensor([1, 5])
    out = network(images, times)
    assert out.shape == images.shape
    assert torch.equal(out.flatten(1), network(images.flatten(1), times))


@pytest.mark.parametrize(
    "arguments", [{"width": 7}, {"width": 2}, {"dim": 0}, {"num_blocks": 0}, {"num_blocks": 10**13}, {"num_steps": 0}]
)
def test_impossible_sizes_are_refused(arguments):
    with pytest.raises(ConfigError, match=f"^{next(iter(arguments))}: got"):
        ResidualMLP(**arguments)
