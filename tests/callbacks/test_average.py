"""Averages against the formula."""

import pytest
import torch
from torch import nn

from diffmem.callbacks import Average
from diffmem.errors import ConfigError

DECAYS = [0.0, 0.5, 0.9]


def train(average, module, values, fresh=True):
    """Set the weights to one value after another, as updates would."""
    if fresh:
        average.begin(module, fresh=True)
    for value in values:
        with torch.no_grad():
            module.weight.fill_(value)
        average.on_update(None, module)


def in_view(average, module, decay):
    with average.in_place(module, decay):
        return module.weight.item()


@pytest.fixture
def module():
    made = nn.Linear(1, 1, bias=False)
    nn.init.constant_(made.weight, 1.0)
    return made


def test_an_average_follows_its_formula_and_the_weights_come_back(module):
    average, values = Average(DECAYS), [2.0, -1.0, 0.3]
    train(average, module, values)
    for decay in DECAYS:
        expected = 1.0
        for value in values:
            expected = decay * expected + (1 - decay) * value
        assert in_view(average, module, decay) == pytest.approx(expected, rel=1e-6)
        assert module.weight.item() == torch.tensor(0.3).item()
    assert in_view(average, module, 0.0) == torch.tensor(0.3).item(), "decay 0 is the weights, bit for bit"


def test_an_average_goes_on_from_its_state_bit_for_bit(module):
    whole, first, second = Average(DECAYS), Average(DECAYS), Average(DECAYS)
    train(whole, module, [2.0, -1.0, 0.3])
    nn.init.constant_(module.weight, 1.0)
    train(first, module, [2.0])
    second.load_state_dict(first.state_dict())
    assert [in_view(second, module, each) for each in DECAYS] == [in_view(first, module, each) for each in DECAYS]
    second.begin(module, fresh=False)
    train(second, module, [-1.0, 0.3], fresh=False)
    assert [in_view(second, module, each) for each in DECAYS] == [in_view(whole, module, each) for each in DECAYS]


def test_a_decay_that_a_checkpoint_lacks_is_refused(module):
    saved, resumed = Average([0.5]), Average([0.5, 0.9])
    train(saved, module, [2.0])
    resumed.load_state_dict(saved.state_dict())
    with pytest.raises(ConfigError, match=r"average\.decay: got 0\.9, expected one of the decays .*: 0\.5;"):
        resumed.begin(module, fresh=False)


@pytest.mark.parametrize("decays", [[1.0], [-0.1], [0.9, 0.9]])
def test_impossible_decays_are_refused(decays):
    with pytest.raises(ConfigError, match=r"average\.decay"):
        Average(decays)
