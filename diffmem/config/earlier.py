"""Configs that earlier versions wrote, in the words of this one."""

import copy
from collections.abc import Mapping
from typing import Any

#: Groups by their earlier names.
_RENAMED = {"grid": "pictures", "requeue": "signals"}
#: Values that meant off, by the key that null switches off.
_OFF = {
    ("early_stopping", "mode"): "off",
    ("pictures", "num_samples"): 0,
    ("likelihood", "num_points"): 0,
}


def in_present_words(config: Mapping[str, Any]) -> dict[str, Any]:
    """A complete config of version 0.1.0 or later as this version reads it."""
    present = {_RENAMED.get(key, key): copy.deepcopy(value) for key, value in config.items()}
    for (group, key), off in _OFF.items():
        if isinstance(present.get(group), dict) and present[group].get(key) in (off, False):
            present[group][key] = None
    network = (present.get("model") or {}).get("init_args", {}).get("network")
    if isinstance(network, dict) and isinstance(network.get("init_args"), dict):
        network["init_args"].pop("num_steps", None)  # follows the model's
    return present
