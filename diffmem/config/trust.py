"""What the config of a run folder that somebody sent may name: its class paths are code.

Without trust only classes of diffmem, torch and lightning are taken. With or without it, no module is imported from
inside the run folder.
"""

import importlib.util
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from diffmem.errors import ConfigError, DataError

#: Packages whose classes every config may name.
TRUSTED = ("diffmem", "torch", "lightning")

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_CONFIG_SUFFIXES = (".yaml", ".yml", ".json", ".jsonnet", ".toml")


_trust = ContextVar("trust", default=False)


@contextmanager
def trusting(trust: bool) -> Iterator[None]:
    """Within, whether the configs of run folders may name classes from elsewhere; without this they may not."""
    token = _trust.set(trust)
    try:
        yield
    finally:
        _trust.reset(token)


@contextmanager
def reading_config_of(run: Path) -> Iterator[Path]:
    """The path of the run's ``config.yaml``, and while it is read no other code than trusted code is imported.

    Args:
        run: Folder of the run. A class that lies in it is refused also within :func:`trusting`.

    Raises:
        ConfigError: The config names a class from elsewhere, a module in ``run``, a file or an environment variable.
        DataError: There is no config, or it is not YAML.
    """
    path = run / "config.yaml"
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            str(run), got="no config.yaml", expected="the folder of a run", remedy="give RUN_ROOT/STUDY/NAME of a run"
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        got = " ".join(str(error).split())
        raise DataError(str(path), got=got, expected="YAML", remedy="restore the file") from error
    if not isinstance(config, dict):
        raise DataError(str(path), got="no keys", expected="the config of a run", remedy="restore the file")
    guard = _Guard(run, _trust.get())
    for key, text in _texts(config):
        guard.check_text(key, text)
    sys.meta_path.insert(0, guard)
    try:
        yield path
    finally:
        sys.meta_path.remove(guard)


class _Guard:
    """Finds no module; refuses to have one found that is neither installed nor trusted."""

    def __init__(self, run: Path, trust: bool) -> None:
        self.run, self.trust = run.resolve(), trust

    def check_text(self, key: str, text: str) -> None:
        """Refuse a value of the config that would bring other code, another file or the environment in."""
        if "${" in text:
            raise self._refusal(key, text, "the value itself", "write it into the config")
        is_config = text.endswith(_CONFIG_SUFFIXES) and not key.endswith(("run_root", "study"))
        if is_config and (Path(text).is_file() or (self.run / text).is_file()):
            raise self._refusal(key, text, "the values themselves", "write them into the config")
        if _DOTTED.fullmatch(text) and (key.endswith("class_path") or _exists(text)):
            root = text.partition(".")[0]
            if root not in TRUSTED and not self.trust:
                raise self._refusal(
                    key, text, f"a class of {', '.join(TRUSTED)}", "read its code and pass --trust if you trust it"
                )
            self._refuse_inside(root, importlib.util.find_spec(root))

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None for what may be imported, which the next finder then finds."""
        root = name.partition(".")[0]
        if path is None and root not in sys.stdlib_module_names:
            spec = PathFinder.find_spec(name)
            self._refuse_inside(name, spec)
            if root not in TRUSTED and not self.trust and not all(map(self._is_installed, _places(spec))):
                places = ", ".join(map(str, _places(spec)))
                raise self._refusal(
                    "config.yaml", f"module {name} ({places})", "installed packages alone", "pass --trust to take it"
                )
        return None

    def _is_installed(self, place: Path) -> bool:
        installed = {"site-packages", "dist-packages"} & set(place.parts)
        return bool(installed) or Path(sysconfig.get_paths()["stdlib"]).resolve() in place.parents

    def _refuse_inside(self, name: str, spec: ModuleSpec | None) -> None:
        for place in _places(spec):
            if self.run == place or self.run in place.parents:
                raise self._refusal(
                    "config.yaml", f"module {name}, which lies in {self.run}", "no code there", "run it elsewhere"
                )

    def _refusal(self, key: str, got: str, expected: str, remedy: str) -> ConfigError:
        return ConfigError(f"{self.run / 'config.yaml'}: {key}", got=got, expected=expected, remedy=remedy)


def _texts(tree: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted key and value of every text in a config, keys included."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            where = f"{prefix}.{key}".lstrip(".")
            yield where, str(key)
            yield from _texts(value, where)
    elif isinstance(tree, list):
        for value in tree:
            yield from _texts(value, prefix)
    elif isinstance(tree, str):
        yield prefix, tree


def _exists(text: str) -> bool:
    """Whether there is a module by the first part of a dotted name; nothing is imported for the answer."""
    try:
        return importlib.util.find_spec(text.partition(".")[0]) is not None
    except (ValueError, ImportError):
        return True


def _places(spec: ModuleSpec | None) -> list[Path]:
    """Where a module lies: its file, or the folders of a namespace; nothing where there is none or it is built in."""
    if spec is None:
        return []
    if spec.origin and spec.has_location:
        return [Path(spec.origin).resolve()]
    return [Path(each).resolve() for each in spec.submodule_search_locations or ()]
