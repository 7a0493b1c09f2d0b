"""The mirror takes what its version of W&B knows."""

from types import SimpleNamespace

import wandb

from diffmem.callbacks.wandb import _write_at_once

NAME = "x_transaction_log_flush_interval"


def test_a_setting_is_passed_only_where_this_version_knows_it():
    assert _write_at_once(SimpleNamespace(model_fields={NAME: None})) == {NAME: 1}
    assert _write_at_once(SimpleNamespace(model_fields={"console": None})) == {}
    wandb.Settings(**_write_at_once(wandb.Settings))  # refuses what it does not know
