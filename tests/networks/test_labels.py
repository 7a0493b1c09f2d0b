"""Networks that are told labels."""

import pytest
import torch

from diffmem.networks import ResidualMLP, UNet

SMALL = {"base_channels": 8, "channel_multipliers": (1,), "attention": (False,), "num_res_blocks": 1, "dropout": 0.0}


def networks(num_classes):
    for make, shape in (
        (lambda **k: UNet(**SMALL, **k), (3, 1, 8, 8)),
        (lambda **k: ResidualMLP(8, 16, **k), (3, 8)),
    ):
        torch.manual_seed(0)
        told = {} if num_classes is None else {"num_classes": num_classes}
        yield make(**told), torch.randn(shape, generator=torch.Generator().manual_seed(1))


T = torch.tensor([1, 50, 900])


def test_labels_add_their_embedding_and_change_no_other_weight():
    for (plain, _), (told, _) in zip(networks(0), networks(5), strict=True):
        assert set(told.state_dict()) - set(plain.state_dict()) == {"label.weight"}
        assert len(told.label.weight) == 6
        for name, value in plain.state_dict().items():
            assert torch.equal(value, told.state_dict()[name]), name


def test_a_network_without_labels_has_the_weights_and_numbers_that_it_has_without_the_word():
    for (plain, x), (told, _), (unsaid, _) in zip(networks(0), networks(5), networks(None), strict=True):
        counts = [sum(each.numel() for each in network.parameters()) for network in (unsaid, plain, told)]
        assert counts[0] == counts[1] == counts[2] - told.label.weight.numel()
        assert torch.equal(plain(x, T), unsaid(x, T))
        torch.nn.init.zeros_(told.label.weight)
        assert torch.equal(told(x, T, torch.arange(3)), plain(x, T)), "all that labels do goes through their embedding"


def test_each_label_is_heard_and_none_is_the_label_after_the_last():
    for network, x in networks(5):
        found = [network(x, T, torch.full((3,), label)) for label in range(6)]
        assert all(not torch.allclose(found[0], each) for each in found[1:])
        assert torch.equal(network(x, T), found[5])


def test_a_network_without_labels_takes_none():
    for network, _ in networks(0):
        assert network.num_classes == 0
        assert not hasattr(network, "label")


def test_a_negative_number_of_labels_is_refused():
    with pytest.raises(ValueError, match=r"^num_classes: got -1"):
        UNet(**SMALL, num_classes=-1)
