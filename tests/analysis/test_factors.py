"""What sets runs apart from a baseline, and which of them the baseline is."""

import pytest

from diffmem.analysis.factors import Setting, factor_of, find_baseline
from diffmem.errors import ConfigError


def test_the_rate_alone_is_a_change_of_its_own():
    baseline = {"optimizer": "AdamW", "optimizer.lr": 0.001, "model.network": "UNet", "model.network.dropout": 0.0}
    assert factor_of({**baseline, "optimizer.lr": 0.003}, baseline) == "optimizer.lr=0.003"
    assert factor_of({**baseline, "optimizer.lr": 0.003, "data.shift": 1}, baseline) == "data.shift=1"
    other = {"optimizer": "AdamW", "optimizer.lr": 0.001, "model.network": "ResidualMLP", "model.network.width": 64}
    assert factor_of(other, baseline) == "model.network=ResidualMLP, width=64"
    alike = {"optimizer": "SGD", "optimizer.lr": 0.001, "optimizer.weight_decay": 0.1}
    assert factor_of(alike, {**alike, "optimizer": "AdamW"}) == "optimizer=SGD, weight_decay=0.1"
    without = {key: value for key, value in baseline.items() if key != "model.network.dropout"}
    assert factor_of(without, baseline) == "model.network.dropout=default"


SGD = {"optimizer": "SGD", "optimizer.momentum": 0.9}
SETTINGS = [
    Setting({"optimizer.lr": 0.001, **training}, {})
    for training in (
        {"optimizer": "AdamW", "optimizer.weight_decay": 0.0},
        {"optimizer": "AdamW", "optimizer.weight_decay": 1.0},
        {"optimizer": "AdamW", "optimizer.weight_decay": 0.0, "data.flip": True},
        {"optimizer": "AdamW", "optimizer.weight_decay": 0.0, "data.labels": "true"},
        *({**SGD, "optimizer.lr": rate, "optimizer.betas": [0.9, 0.99]} for rate in (0.1, 0.3)),
    )
]


def test_the_baseline_is_the_centre_or_is_asked_for():
    assert find_baseline(SETTINGS, "optimizer=AdamW").training["optimizer.weight_decay"] == 0
    assert find_baseline(SETTINGS, "optimizer=SGD,lr=0.3").rate == 0.3
    assert find_baseline(SETTINGS, "data.flip=true").training["data.flip"] is True
    with pytest.raises(ConfigError, match="that some run has"):
        find_baseline(SETTINGS, "weight_decay=7")
    with pytest.raises(ConfigError, match="with a key of"):
        find_baseline(SETTINGS, "dropout=0")
    with pytest.raises(ConfigError, match=r"one baseline; add a value of optimizer\.lr"):
        find_baseline(SETTINGS, "optimizer=SGD")
    assert find_baseline(SETTINGS, "labels=true").training["data.labels"] == "true"
    assert find_baseline(SETTINGS, "betas=[0.9, 0.99],lr=0.1").rate == 0.1, "a comma inside brackets ends no item"
    assert find_baseline(SETTINGS, "weight_decay=0,flip=default,labels=default") is SETTINGS[0]
    with pytest.raises(ConfigError, match=r"betas=\[, expected values that some run has"):
        find_baseline(SETTINGS, "betas=[")


def test_a_key_is_named_by_its_end_only_where_one_has_it():
    settings = [Setting({"optimizer.lr": 0.1, "model.width": 1, "network.width": 2}, {})]
    assert find_baseline(settings, "model.width=1") is settings[0]
    with pytest.raises(ConfigError, match="width=1, expected KEY=VALUE with a key of"):
        find_baseline(settings, "width=1")
    with pytest.raises(ConfigError, match="idth=1, expected KEY=VALUE with a key of"):
        find_baseline([Setting({"optimizer.lr": 0.1, "model.width": 1}, {})], "idth=1")
