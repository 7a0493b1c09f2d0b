"""Configs of version 0.1.0 mean what they meant."""

import copy

import pytest

from diffmem.config.earlier import in_present_words

PRESENT = {
    "seed": 3,
    "early_stopping": {"mode": None, "level": None},
    "pictures": {"num_samples": None},
    "signals": {"every_n_steps": 10},
    "likelihood": {"num_points": None, "num_steps": 100},
    "model": {"class_path": "diffmem.models.DDPM", "init_args": {"network": {"class_path": "UNet", "init_args": {}}}},
}
EARLIER = {
    "seed": 3,
    "early_stopping": {"mode": "off", "level": None},
    "grid": {"num_samples": 0},
    "requeue": {"every_n_steps": 10},
    "likelihood": {"num_points": 0, "num_steps": 100},
    "model": {
        "class_path": "diffmem.models.DDPM",
        "init_args": {"network": {"class_path": "UNet", "init_args": {"num_steps": 1000}}},
    },
}


@pytest.mark.parametrize("config", [EARLIER, PRESENT])
def test_earlier_words_become_present_ones_and_present_ones_stay(config):
    before = copy.deepcopy(config)
    assert in_present_words(config) == PRESENT
    assert config == before


def test_what_was_on_stays_on():
    on = {"early_stopping": {"mode": "stop"}, "grid": {"num_samples": 8}, "likelihood": {"num_points": 5}}
    assert in_present_words(on) == {**{key: on[key] for key in on if key != "grid"}, "pictures": on["grid"]}


@pytest.mark.parametrize("odd", [{}, {"model": None}, {"model": {}}, {"model": {"init_args": {"network": None}}}])
def test_a_config_without_a_network_is_taken_as_it_is(odd):
    assert in_present_words(odd) == odd
