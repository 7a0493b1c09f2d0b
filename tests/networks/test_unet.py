import pytest
import torch
from torch import nn

from diffmem.errors import ConfigError
from diffmem.networks import UNet
from diffmem.networks.unet import Attention, ChannelDropout, Upsample, repeat_pixels, sinusoidal_table


@pytest.mark.parametrize(("width", "millions"), [(8, 0.263), (16, 1.027), (32, 4.055), (48, 9.086), (64, 16.118)])
def test_parameter_counts_of_the_paper(width, millions):
    with torch.device("meta"):
        network = UNet(base_channels=width)
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 3) == millions


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 32)])
def test_output_has_the_shape_of_the_image(channels, size):
    network = UNet(channels, base_channels=8)
    x = torch.randn(2, channels, size, size)
    assert network(x, torch.tensor([0, 999])).shape == x.shape


def test_output_depends_on_image_and_time_and_each_row_on_its_own_alone():
    torch.manual_seed(0)
    network = UNet(base_channels=8).eval()
    x, t = torch.randn(3, 1, 8, 8), torch.tensor([10, 500, 900])
    with torch.no_grad():
        together = network(x, t)
        assert torch.allclose(network(x[1:2], t[1:2])[0], together[1], atol=1e-5)
        assert not torch.allclose(network(x, t.flip(0)), together, atol=1e-3)


def test_attention_is_that_of_torch():
    torch.manual_seed(0)
    attention, reference = Attention(16), nn.MultiheadAttention(16, 4, batch_first=True)
    nn.init.normal_(attention.qkv.bias)
    reference.in_proj_weight, reference.in_proj_bias = attention.qkv.weight, attention.qkv.bias
    reference.out_proj.weight, reference.out_proj.bias = attention.out.weight, attention.out.bias
    x = torch.randn(2, 16, 4, 4)
    tokens = attention.norm(x).flatten(2).transpose(1, 2)
    expected = x + reference(tokens, tokens, tokens)[0].transpose(1, 2).reshape(x.shape)
    assert torch.allclose(attention(x), expected, atol=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("upsample", [Upsample(), repeat_pixels])
def test_upsampling_is_that_of_torch(upsample, layout):
    x = torch.randn(2, 3, 4, 6).to(memory_format=layout).requires_grad_()
    expected, weights = nn.Upsample(scale_factor=2, mode="nearest")(x), torch.randn(2, 3, 8, 12)
    assert torch.equal(upsample(x), expected)
    gradients = (torch.autograd.grad((output * weights).sum(), x)[0] for output in (upsample(x), expected))
    torch.testing.assert_close(*gradients)


def test_the_time_table_is_frozen():
    network = UNet(base_channels=8)
    assert not network.time[0].weight.requires_grad
    assert torch.equal(network.time[0].weight, sinusoidal_table(1000, 8))


def test_dropout_drops_whole_channels_and_keeps_the_mean():
    torch.manual_seed(0)
    x = torch.ones(200, 50, 2, 2)
    dropped = ChannelDropout(0.3)(x)
    assert set(dropped.flatten(2).amax(2).unique().tolist()) == set(dropped.flatten(2).amin(2).unique().tolist())
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)
    assert ChannelDropout(0.3).eval()(x) is x


@pytest.mark.parametrize(
    "arguments",
    [
        {"base_channels": 12},
        {"base_channels": 0},
        {"channel_multipliers": (1, 2)},
        {"channel_multipliers": (), "attention": ()},
        {"num_res_blocks": 0},
        {"in_channels": 0},
        {"num_steps": 0},
        {"num_res_blocks": 10**13},
        {"dropout": 1.0},
    ],
)
def test_impossible_networks_are_refused(arguments):
    with pytest.raises(ConfigError, match=r"^(?!model).*: got .*; change"):
        UNet(**arguments)
