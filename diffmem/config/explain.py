"""What is wrong with a command line or a config file, in one line: key, value, what was expected, remedy."""

import difflib
import inspect
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from diffmem import data, models, networks
from diffmem.errors import ConfigError, UserError
from diffmem.optim import MuonAdamW
from diffmem.shipped import config_names

#: Where the classes a config names by class path live: their arguments are keys below the prefix.
_CLASSES: Mapping[str, Mapping[str, Any]] = {
    "data": vars(data),
    "model": vars(models),
    "model.network": vars(networks),
    "optimizer": {**vars(torch.optim), "MuonAdamW": MuonAdamW},
}

#: What is no choice among them: bases, and what batches are made of.
_NO_CHOICES = ("Batch", "ImageData", "Optimizer")

#: Files of the classes of a section, by a part of their path.
_FILES = {
    "torch/optim/lr_scheduler": "lr_scheduler",
    "torch/optim/": "optimizer",
    "diffmem/optim": "optimizer",
    "diffmem/networks/": "model.network",
    "diffmem/models/": "model",
    "diffmem/data/": "data",
}

_UNREADABLE = object()


def user_error_behind(error: BaseException) -> UserError | None:
    """The first user error in the chain of causes of ``error``."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def explain(error: Exception, args: list[str], group_keys: Iterable[str]) -> ConfigError:
    """The error to show in place of the parser's.

    Args:
        error: The parser's exception; its innermost cause says what was expected.
        args: The command line.
        group_keys: Dotted keys of the config groups that are not classes by path.
    """
    message, cause = str(error), str(_innermost(error))
    unknown = re.search(r"unrecognized arguments: (\S+)|(?:Option|accept option) '([^']+)'", message)
    if unknown:
        return _unknown_key(unknown[1] or unknown[2], args, group_keys)
    missing = re.search(r"arguments are required: (.+)", cause)
    keys = re.findall(r'(?:Parser key "|argument --|^--)([\w.]+)', f"{message} {error.__context__}")
    full, where = _locate(keys[-1], args, message) if keys else _section_that_failed(error)
    if missing and not keys:
        remedy = "give --config, e.g. --config configs/digits/unet.yaml"
        return ConfigError("command line", got=f"no {missing[1]}", expected="a config that sets them", remedy=remedy)
    if missing:
        return ConfigError(full, got=f"no {missing[1]}", expected="it to be set", remedy=f"set --{full}.{missing[1]}")
    absent = re.search(r"File does not exist: (.+)", cause)
    if absent:
        name = "/".join(Path(absent[1].strip("'")).parts[-2:])
        near = difflib.get_close_matches(name, config_names(), n=1, cutoff=0.7)
        named = f"did you mean {near[0]}? One" if near else "name it from the folder you are in, or one"
        remedy = f"{named} of diffmem's: {', '.join(config_names())}"
        return ConfigError(full, got=f"no file {absent[1]}", expected="a config file", remedy=remedy)
    for path in _config_files(args):
        if (tree := _read_yaml(path)) is _UNREADABLE:
            return ConfigError(str(path), got=_one_line(cause), expected="YAML", remedy="fix it")
        if not isinstance(tree, Mapping):
            got = "nothing" if tree is None else f"{type(tree).__name__} {tree}"
            return ConfigError(str(path), got=got, expected="keys with values", remedy="fill it or leave it out")
    choices = re.findall(r"- Expected an? (?!path but)([^\n]+)", message)  # a list may also come from a file
    given = re.search(r"Given value: ([^\n]+)", message)
    if len(choices) > 1 and given and "dot import path" not in message:
        expected = ", ".join(dict.fromkeys(name for choice in choices for name in _plain_types(choice)))
        return ConfigError(full, got=_one_line(given[1]), expected=expected, remedy=f"change it {where}")
    wanted = re.search(r"Expected (?:an? )?(.+?)[.:] (?:Got value: )?(.+)", cause, re.DOTALL)
    if not wanted:
        return ConfigError(full, got=_one_line(cause), expected="a usable value", remedy=f"change it {where}")
    if wanted[2].strip().lower() in ("nan", "inf", "-inf"):
        return ConfigError(full, got=wanted[2].strip(), expected="a finite number", remedy=f"change it {where}")
    expected = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", wanted[1]).replace("typing.", "")
    if "dot import path" in expected:
        names = ", ".join(sorted(_class_names(full.removesuffix(".help"))))
        expected = f"a class path or one of {names}" if names else "a class path"
    return ConfigError(full, got=_one_line(wanted[2]), expected=expected, remedy=f"change it {where}")


def _unknown_key(written: str, args: list[str], group_keys: Iterable[str]) -> ConfigError:
    name = written.partition("=")[0].lstrip("-")
    full, where = _locate(name, args)
    known = sorted({*group_keys, *_class_keys()})
    near = difflib.get_close_matches(full, known, n=1, cutoff=0.6)
    places = [place for place, arg in enumerate(args) if arg.partition("=")[0].lstrip("-").endswith(name)]
    late = [place for place, arg in enumerate(args) if arg.startswith("--config") and places and place > places[0]]
    if not written.startswith("-") and written.endswith((".yaml", ".yml")):
        remedy = f"write --config {written}"
    elif not written.startswith("-") and full not in known and not near:
        remedy = "leave it out; a list is one word, e.g. [1,2]"
        return ConfigError(repr(written), got="a word of no option", expected="--key=value", remedy=remedy)
    elif full not in known and near:
        remedy = f"did you mean {near[0]}? Change it {where}"
    elif full not in known:
        remedy = f"see --help for every key; remove it {where}"
    elif late:
        remedy = "put every --config before the other options"
    elif any(not args[place].startswith("--") for place in places):
        remedy = f"write --{full}"
    else:
        remedy = f"the class that is chosen does not have it; see --{full.rpartition('.')[0]}.help CLASS"
    return ConfigError(full, got="an unknown key", expected="a key of the config", remedy=remedy)


def _section_that_failed(error: BaseException) -> tuple[str, str]:
    """The section whose class raised ``error``, by the files that it passed through; ``config`` where none did."""
    cause: BaseException | None = error
    while cause is not None:
        for frame in reversed(traceback.extract_tb(cause.__traceback__)):
            for part, section in _FILES.items():
                if part in Path(frame.filename).as_posix():
                    return section, f"--{section}"
        cause = cause.__cause__ or cause.__context__
    return "config", "in the config"


def _locate(name: str, args: list[str], message: str = "") -> tuple[str, str]:
    """The full key that ends in ``name``, without ``init_args``, and where it was written.

    Of several files that have the key it is the last, unless another one has a value that ``message`` names.
    """
    for arg in args:
        key = arg.partition("=")[0].lstrip("-").replace(".init_args", "")
        if arg.startswith("-") and (key == name or key.endswith(f".{name}")):
            return key, "on the command line"
    found = [
        (str(value) in message, number, key, path)
        for number, path in enumerate(_config_files(args))
        for key, value in _flatten(_read_yaml(path))
        if key == name or key.endswith(f".{name}")
    ]
    if found:
        *_, key, path = max(found, key=lambda each: each[:2])
        return key, f"in {path}"
    return name, "on the command line or in the config"


def _config_files(args: list[str]) -> Iterator[Path]:
    for position, arg in enumerate(args):
        option, _, value = arg.partition("=")
        if option in ("--config", "-c"):
            path = Path(value or args[position + 1] if value or position + 1 < len(args) else "")
            if path.is_file():
                yield path


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return _UNREADABLE


def _plain_types(choice: str) -> list[str]:
    """The names in what the parser says of a type: a class, ``null``, or the members of a literal."""
    literal = re.search(r"Literal\[(.+)\]", choice)
    if literal:
        return [each.strip(" '") for each in literal[1].split(",")]
    name = re.search(r"<class '(?:\w+\.)*(\w+)'>", choice)
    return ["null" if name and name[1] == "NoneType" else name[1] if name else choice.rstrip(".")]


def _flatten(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key with its value; that of a class is its class path."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            path = prefix if key == "init_args" else f"{prefix}.{key}".lstrip(".")
            yield path, value.get("class_path", value) if isinstance(value, Mapping) else value
            yield from _flatten(value, path)


def _class_keys() -> Iterator[str]:
    for prefix, classes in _CLASSES.items():
        for name in _class_names(prefix):
            for parameter in inspect.signature(classes[name]).parameters:
                yield f"{prefix}.{parameter}"


def _class_names(prefix: str) -> list[str]:
    members = _CLASSES.get(prefix, {}).items()
    classes = [name for name, member in members if inspect.isclass(member) and not name.startswith("_")]
    return [name for name in classes if name not in _NO_CHOICES]


def _innermost(error: BaseException) -> BaseException:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return error


def _one_line(text: str) -> str:
    return " ".join(text.split())
