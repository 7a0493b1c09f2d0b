"""What names a run, or a measurement of one: from a config's keys and their roles."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from diffmem.callbacks import GROUPS
from diffmem.callbacks.cache import short_hash
from diffmem.config.keys import Key, Resolve, import_class, keys_of
from diffmem.runs.identity import RunIdentity


def identify(config: Mapping[str, Any], resolve: Resolve | None = None) -> RunIdentity:
    """What names the run of a complete config of plain values; ``resolve`` as in :func:`keys_of`."""
    keys = list(keys_of(config, GROUPS, resolve))
    value = {key.name: key.value for key in keys}
    return RunIdentity(
        study=config["study"],
        training={key.name: key.value for key in keys if key.role in ("training", "location") and not key.is_default},
        protocol={key.name: key.value for key in keys if key.role == "protocol"},
        protocol_defaults={key.name: key.default for key in keys if key.role == "protocol"},
        switches={key.name: key.value is not None for key in keys if key.is_switch},
        columns={
            "study": config["study"],
            "model": value.get("model.network") or value["model"],
            "n": value["data.n"],
            "index": value["data.index"],
            "optimizer": value["optimizer"],
            "lr": config["optimizer"]["init_args"]["lr"],
            "seed": config["seed"],
        },
    )


def identify_known(config: Mapping[str, Any], trusted: Mapping[str, Any]) -> RunIdentity:
    """As :func:`identify`, of a config from a folder: no class is imported but those that ``trusted`` names."""
    known = {path.rpartition(".")[2]: path for path in _class_paths(trusted)}

    def resolve(class_path: str) -> type | None:
        path = known.get(class_path.rpartition(".")[2])
        return import_class(path) if path else None

    return identify(config, resolve)


def measurement_id(keys: Iterable[Key]) -> str:
    """8 hex digits of everything that the numbers of a measurement depend on."""
    roles = ("training", "location", "protocol", "measurement")
    return short_hash({key.name: key.value for key in keys if key.role in roles and not key.is_default})


def _class_paths(tree: Any) -> Iterator[str]:
    if isinstance(tree, Mapping):
        if isinstance(tree.get("class_path"), str):
            yield tree["class_path"]
        for value in tree.values():
            yield from _class_paths(value)
