"""MuonAdamW against torch's own Muon and AdamW, against the singular values it promises, and when it is resumed."""

import copy

import pytest
import torch
from torch import nn

from diffmem.networks import ResidualMLP, UNet
from diffmem.optim import MuonAdamW

pytestmark = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch before 2.9 has no Muon")


def unet():
    torch.manual_seed(0)
    return UNet(1, 8, (1, 2), (False, True), 1)


def set_gradients(network, step):
    generator = torch.Generator().manual_seed(step)
    for each in network.parameters():
        if each.requires_grad:
            each.grad = torch.randn(each.shape, generator=generator)


def is_inner(name, weight):
    return weight.ndim >= 2 and weight.requires_grad and name.split(".")[0] not in ("stem", "head")


def test_the_layers_at_the_data_and_the_vectors_are_adamws():
    for network in (unet(), ResidualMLP(8, 16)):
        optimizer = MuonAdamW(network.parameters())
        expected = [weight for name, weight in network.named_parameters() if is_inner(name, weight)]
        found = optimizer.param_groups[0]["params"]
        assert len(found) == len(expected) and all(map(lambda a, b: a is b, found, expected))


def test_three_steps_are_those_of_torchs_muon_and_adamw():
    network = unet()
    reference = copy.deepcopy(network)
    optimizer = MuonAdamW(network.parameters(), lr=0.01, weight_decay=0.1)
    named = [(name, each) for name, each in reference.named_parameters() if each.requires_grad]
    inner = [each for name, each in named if is_inner(name, each)]
    flat = [nn.Parameter(each.detach().flatten(1)) for each in inner]
    muon = torch.optim.Muon(flat, lr=0.01, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    rest = [each for name, each in named if not is_inner(name, each)]
    adamw = torch.optim.AdamW(rest, lr=0.01, betas=(0.9, 0.95), weight_decay=0.1)
    for step in range(3):
        set_gradients(network, step)
        set_gradients(reference, step)
        for each, matrix in zip(inner, flat, strict=True):
            matrix.grad = each.grad.flatten(1)
        optimizer.step(), muon.step(), adamw.step()
    for each, matrix in zip(inner, flat, strict=True):
        each.data = matrix.data.view_as(each)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), reference.parameters(), strict=True))


def test_a_matrix_moves_by_its_gradient_with_equal_singular_values():
    """By numpy's decomposition: singular values 0.2 √max(rows, columns) · lr, as near as Newton and Schulz come."""
    weight = nn.Parameter(torch.zeros(24, 4, 3, 3))
    optimizer = MuonAdamW([weight, nn.Parameter(torch.zeros(24))], lr=0.5)
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    u, _, v = torch.linalg.svd(weight.grad.flatten(1), full_matrices=False)
    moved = -(u.T @ weight.detach().flatten(1) @ v.T) / (0.5 * 0.2 * 36**0.5)
    singular = moved.diagonal()
    assert singular.min() > 0.6 and singular.max() < 1.3
    assert (moved - torch.diag(singular)).abs().max() < 0.05


def test_its_state_is_saved_and_loaded():
    network = unet()
    optimizer = MuonAdamW(network.parameters())
    for step in range(2):
        set_gradients(network, step)
        optimizer.step()
    resumed = copy.deepcopy(network)
    other = MuonAdamW(resumed.parameters(), lr=0.5)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for each, with_optimizer in ((network, optimizer), (resumed, other)):
        set_gradients(each, 2)
        with_optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), resumed.parameters(), strict=True))


def test_a_weight_in_another_layout_is_moved_too():
    network = unet()
    wide = copy.deepcopy(network).to(memory_format=torch.channels_last)
    for each in (network, wide):
        optimizer = MuonAdamW(each.parameters(), lr=0.01)
        set_gradients(each, 0)
        optimizer.step()
    for a, b in zip(network.parameters(), wide.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_a_schedule_of_the_rate_reaches_both():
    network = unet()
    before = copy.deepcopy(network)
    optimizer = MuonAdamW(network.parameters(), lr=0.01)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.0)
    set_gradients(network, 0)
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), before.parameters(), strict=True))


def test_an_impossible_rate_is_refused():
    with pytest.raises(ValueError, match="rate"):
        MuonAdamW(unet().parameters(), lr=-1)
