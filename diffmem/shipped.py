"""The files that come with diffmem beside its code: configs, batch scripts, grids and tools.

In a clone they are the folders ``configs``, ``sbatch`` and ``tools``; in an installed package they lie in ``share``.
"""

from collections.abc import Sequence
from pathlib import Path

_PACKAGED = Path(__file__).parent / "share"

#: Where the shipped folders are.
ROOT = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parent.parent
#: The shipped folders.
FOLDERS = ("configs", "sbatch", "tools")


def find_config(name: str) -> Path:
    """The config file ``name``: that file on disk, or else the shipped one, with or without ``configs/`` before it."""
    here = Path(name)
    if here.is_file() or here.is_absolute() or here.suffix != ".yaml":
        return here
    shipped = (ROOT / "configs" / name, ROOT / name)
    inside = [path for path in shipped if path.is_file() and (ROOT / "configs").resolve() in path.resolve().parents]
    return inside[0] if inside else here


def with_shipped_configs(arguments: Sequence[str]) -> list[str]:
    """The command line ``arguments`` with the path of each config that ``--config`` or ``-c`` names."""
    found: list[str] = []
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if option in ("--config", "-c") and equals:
            found.append(f"{option}={find_config(value)}")
        elif found and found[-1] in ("--config", "-c"):
            found.append(str(find_config(argument)))
        else:
            found.append(argument)
    return found


def config_names() -> list[str]:
    """The shipped configs as ``--config`` takes them."""
    folder = ROOT / "configs"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml"))


def files() -> list[Path]:
    """Every shipped file, relative to :data:`ROOT`."""
    found = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.is_file())
    return [path.relative_to(ROOT) for path in found if path.suffix not in (".pyc", ".json")]
