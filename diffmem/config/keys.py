"""Every key of a config with its value, its default and its role."""

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

from diffmem.roles import Role, role_of

#: Keys that have no class of diffmem's to state their role.
_TRAINER: dict[str, Role] = {
    **dict.fromkeys(
        ("accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm", "precision"), "training"
    ),
    "accelerator": "measurement",
    "callbacks": "measurement",
}
_TORCH: dict[str, Role] = dict.fromkeys(("fused", "foreach", "capturable", "differentiable"), "operation")
_ROOT: dict[str, Role] = {"seed": "training"}
_SECTIONS: dict[str, Role] = {
    "model": "training",
    "data": "training",
    "optimizer": "training",
    "lr_scheduler": "training",
}
#: Other words for a value; None for the default.
_SYNONYMS = {"trainer.precision": {"32": None, "32-true": None, "bf16": "bf16-mixed", "16": "16-mixed"}}

Resolve = Callable[[str], type | None]


class Key(NamedTuple):
    """One key of a config.

    Attributes:
        name: With dots and without ``init_args``, as on the command line. A class is the value of its own key.
        value: Plain value; the name of a class.
        default: Plain value; None for a class.
        role: What the key is for.
        is_switch: Whether null switches a measurement off.
    """

    name: str
    value: Any
    default: Any
    role: Role
    is_switch: bool = False

    @property
    def is_default(self) -> bool:
        return bool(self.value == self.default)


def keys_of(config: Mapping[str, Any], groups: Mapping[str, type], resolve: Resolve | None = None) -> Iterator[Key]:
    """Every key of a complete config.

    Args:
        config: Plain values, as the command line dumps them.
        groups: The class behind each config group.
        resolve: The class of a class path, None for one that is not to be imported; None imports all.
    """
    resolve = resolve or import_class
    for section, value in config.items():
        if section in _SECTIONS:
            yield from _of_class(section, value, _SECTIONS[section], resolve)
        elif section in groups:
            yield from _parameters(section, value or {}, groups[section], "measurement", resolve)
        elif section == "trainer":
            for name, each in value.items():
                key = f"trainer.{name}"
                each = _SYNONYMS.get(key, {}).get(str(each), each)
                default = 1 if name == "accumulate_grad_batches" else None
                yield Key(key, _plain(each), default, _TRAINER.get(name, "operation"))
        else:
            yield Key(section, _plain(value), 0 if section == "seed" else None, _ROOT.get(section, "operation"))


def import_class(class_path: str) -> type | None:
    """The class at ``class_path``; None where there is none."""
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (ImportError, ValueError):
        return None
    return found if isinstance(found, type) else None


def class_name(class_path: str, cls: type | None) -> str:
    """How an identity calls a class: by its name alone where it is diffmem's or torch's, whose modules may move."""
    known = cls is not None and cls.__module__.partition(".")[0] in ("diffmem", "torch")
    return class_path.rpartition(".")[2] if known else class_path


def _of_class(prefix: str, value: Any, default: Role, resolve: Resolve) -> Iterator[Key]:
    if not (isinstance(value, Mapping) and "class_path" in value):
        yield Key(prefix, _plain(value), None, default)
        return
    cls = resolve(value["class_path"])
    yield Key(prefix, class_name(value["class_path"], cls), None, default)
    yield from _parameters(prefix, value.get("init_args") or {}, cls, default, resolve)


def _parameters(
    prefix: str, values: Mapping[str, Any], cls: type | None, default: Role, resolve: Resolve
) -> Iterator[Key]:
    defaults = _defaults(cls)
    torchs = cls is not None and cls.__module__.startswith("torch.optim")
    for name, value in values.items():
        role = _TORCH.get(name, default) if torchs else role_of(cls, name, default)
        key = f"{prefix}.{name}"
        if isinstance(value, Mapping) and "class_path" in value:
            yield from _of_class(key, value, role, resolve)
            continue
        if role == "location" and isinstance(value, str):
            value = PurePath(value).name
        yield Key(key, _plain(value), _plain(defaults.get(name)), role, name == getattr(cls, "switch", None))


def _defaults(cls: type | None) -> dict[str, Any]:
    """Defaults of the constructor's parameters, those that ``**kwargs`` hand on to a base class included."""
    found: dict[str, Any] = {}
    for each in cls.__mro__ if cls else ():
        if "__init__" not in vars(each):
            continue
        parameters = inspect.signature(vars(each)["__init__"]).parameters.values()
        for parameter in parameters:
            if parameter.default is not parameter.empty:
                found.setdefault(parameter.name, parameter.default)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def _plain(value: Any) -> Any:
    """``value`` as JSON reads it back, a whole number without a point."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | float | str | None) else str(value)
