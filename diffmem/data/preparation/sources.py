"""Where pictures come from: encoded files in a fixed order."""

from __future__ import annotations

import functools
import os
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from diffmem.errors import ConfigError, DataError

_BY_NAME = "natural order of the names"


class ImageSource(Protocol):
    """Encoded pictures in a fixed order, wherever possible the natural one of their names: 2.jpg before 10.jpg."""

    kind: str
    names: list[str]
    order: str

    def read(self, position: int) -> bytes: ...

    def values(self) -> dict[str, list[str]]:
        """The value of every picture by attribute, in the order of ``names``, where the source holds any itself."""
        ...


class Folder:
    """Files below a directory, hidden ones left out."""

    kind, order = "folder", _BY_NAME

    def __init__(self, root: Path, files: Iterable[str]) -> None:
        self.root = root
        self.names = _picture_names(files)

    def read(self, position: int) -> bytes:
        return (self.root / self.names[position]).read_bytes()

    def values(self) -> dict[str, list[str]]:
        return {}


class Archive:
    """Every file of a zip, read in place."""

    kind, order = "zip", _BY_NAME

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self.names = _picture_names(name for name in archive.namelist() if not name.endswith("/"))
        except zipfile.BadZipFile as error:
            raise DataError(
                "--source", got=f"{path} ({error})", expected="a whole zip", remedy="download it again"
            ) from error

    def read(self, position: int) -> bytes:
        return self._archive.read(self.names[position])

    def values(self) -> dict[str, list[str]]:
        return {}

    @functools.cached_property
    def _archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.path)  # one for each process: they must not share a file position


class ParquetShards:
    """The ``image`` column (struct of bytes and path) of parquet shards, as Hugging Face datasets store pictures.

    The other columns of truth values, whole numbers or texts are attributes: a column ``label``, or CelebA's forty.
    One that lacks a value, or in which no value comes twice, is none.

    Where a picture has no path, all keep the natural order of the shards and the order of their rows.
    """

    kind, order = "parquet", _BY_NAME

    def __init__(self, shards: list[Path]) -> None:
        parquet = _import_parquet()
        self.shards = sorted(shards, key=lambda path: natural_key(path.as_posix()))
        rows: list[tuple[str, int, int, int]] = []
        for number, shard in enumerate(self.shards):
            try:
                file = parquet.ParquetFile(shard)
                for group in range(file.num_row_groups):
                    images = file.read_row_group(group, ["image.path"], use_threads=False)["image"].to_pylist()
                    rows += [((image or {}).get("path") or "", number, group, row) for row, image in enumerate(images)]
            except (OSError, KeyError, TypeError, ValueError) as error:  # ArrowInvalid is a ValueError
                raise DataError(
                    "--source",
                    got=f"{shard} ({first_line(error)})",
                    expected="a parquet shard with a column image of bytes and path",
                    remedy="download the shard again",
                ) from error
        if all(name for name, *_ in rows):
            rows.sort(key=lambda row: natural_key(row[0]))
        else:
            self.order = "as stored in the shards"
        self.names = [name or f"{self.shards[number].name}:{group}:{row}" for name, number, group, row in rows]
        self._places = [place for _, *place in rows]
        self._group: tuple[tuple[int, int], Any] | None = None

    def read(self, position: int) -> bytes:
        number, group, row = self._places[position]
        if self._group is None or self._group[0] != (number, group):
            file = _import_parquet().ParquetFile(self.shards[number])
            self._group = (number, group), file.read_row_group(group, ["image.bytes"], use_threads=False)["image"]
        return (self._group[1][row].as_py() or {}).get("bytes") or b""

    def values(self) -> dict[str, list[str]]:
        files = [_import_parquet().ParquetFile(shard) for shard in self.shards]
        shared = [name for name in _attributes(files[0]) if all(name in _attributes(each) for each in files)]
        blocks = {
            (number, group): file.read_row_group(group, shared, use_threads=False).to_pydict()
            for number, file in enumerate(files)
            for group in range(file.num_row_groups)
        }
        found = {name: [blocks[number, group][name][row] for number, group, row in self._places] for name in shared}
        return {
            name: [str(value) for value in column]
            for name, column in found.items()
            if None not in column and len(set(column)) < len(column)
        }


def _attributes(file: Any) -> list[str]:
    """Columns of a parquet file that may hold labels."""
    import pyarrow.types as types

    kinds = (types.is_boolean, types.is_integer, types.is_string, types.is_large_string)
    return [field.name for field in file.schema_arrow if any(is_kind(field.type) for is_kind in kinds)]


def open_source(path: str | Path) -> ImageSource:
    """Pictures at ``path``: a zip, a parquet shard, a folder of shards, or any folder of pictures.

    Raises:
        DataError: Nothing there, or nothing in it.
        ConfigError: Parquet without pyarrow.
    """
    path = Path(path)
    source: ImageSource | None = None
    if path.is_dir():
        files = _files_below(path)
        shards = [path / name for name in files if name.endswith(".parquet")]
        source = ParquetShards(shards) if shards else Folder(path, files)
    elif path.suffix == ".parquet" and path.is_file():
        source = ParquetShards([path])
    elif zipfile.is_zipfile(path):
        source = Archive(path)
    if source is None or not source.names:
        raise DataError(
            "--source",
            got=f"{path}, which {'is empty' if source else 'is none of these' if path.exists() else 'does not exist'}",
            expected="a folder of pictures, a zip, or a folder of parquet shards",
            remedy="give the path of img_align_celeba, its zip, or the downloaded shards",
        )
    return source


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sorting key under which numbers in names compare as numbers; the name itself orders 1.jpg and 01.jpg."""
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", name))], name


def _files_below(root: Path) -> list[str]:
    """Files below ``root`` at any depth, relative to it. CelebA has 202,599: a ``Path`` each would take seconds."""
    files: list[str] = []
    for folder, _, names in os.walk(root):
        below = Path(folder).relative_to(root).as_posix()
        files += names if below == "." else [f"{below}/{name}" for name in names]
    return files


def _picture_names(names: Iterable[str]) -> list[str]:
    visible = (name for name in names if not any(part.startswith((".", "__MACOSX")) for part in name.split("/")))
    return sorted(visible, key=natural_key)


def _import_parquet() -> ModuleType:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(
            "--source",
            got="parquet shards, but pyarrow is not installed",
            expected="pyarrow",
            remedy='pip install "diffmem[parquet]"',
        ) from error
    return pyarrow.parquet


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]
