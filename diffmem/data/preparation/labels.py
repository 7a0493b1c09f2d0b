"""Labels of pictures: folders, columns beside them, or a file of attributes; kept beside the prepared array.

Labels are whole numbers (N, A) from 0 on, a column for each of A attributes. The record of the array holds the names of
the attributes with those of their values: value v of an attribute has label v.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from diffmem.data.preparation.sources import first_line, natural_key
from diffmem.errors import DataError

#: Name of the attribute that folders of classes give.
CLASS = "class"

Attributes = Mapping[str, Sequence[str]]


def labels_path(array: Path) -> Path:
    """Where the labels of the pictures of ``array`` lie: ``mine.labels.npy`` beside ``mine.npy``."""
    return array.with_suffix(".labels.npy")


def values_of_pictures(names: Sequence[str], attributes: Path | None) -> dict[str, list[str]]:
    """The value of every picture, by attribute: those of the file ``attributes``, or the folders of classes.

    Folders are classes where every picture lies in one of at least two below the folder that holds them all.

    Args:
        names: Names of the pictures, with the folders that they lie in.
        attributes: CelebA's ``list_attr_celeba.txt`` or a CSV file, with a line of names and a line for each picture
            that begins with the name of its file; None for folders.

    Returns:
        Values in the order of ``names``; {} where there are no folders of classes.

    Raises:
        DataError: The file is no such table, lacks a picture or a value, or does not say which of several lines or
            pictures is meant.
    """
    if attributes is not None:
        return _of_file(names, attributes)
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    while folders and all(folders) and len({each[0] for each in folders}) == 1:
        folders = [each[1:] for each in folders]
    return {CLASS: [each[0] for each in folders]} if folders and all(folders) else {}


def encode(values: Mapping[str, Sequence[str]]) -> tuple[np.ndarray, dict[str, list[str]]]:
    """Labels (N, A) in the smallest unsigned type that holds them, and the values of each attribute in natural order.

    CelebA's −1 and 1 become 0 and 1.
    """
    attributes = {name: sorted(set(column), key=_order) for name, column in values.items()}
    places = {name: {value: place for place, value in enumerate(found)} for name, found in attributes.items()}
    columns = [[places[name][value] for value in column] for name, column in values.items()]
    largest = max(len(found) for found in attributes.values()) - 1
    return np.array(columns, dtype=np.min_scalar_type(largest)).T, attributes


def load_labels(array: str | Path, record: Mapping[str, Any]) -> np.ndarray:
    """The labels (N, A) that belong to ``array`` by its ``record``.

    Raises:
        DataError: They are missing, or others than were recorded.
    """
    path = labels_path(Path(array))
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise _not_recorded(path, error.strerror or str(error)) from error
    if hashlib.sha256(contents).hexdigest() != record["labels"]["sha256"]:
        raise _not_recorded(path, "its SHA-256 is not the recorded one")
    return np.load(io.BytesIO(contents), allow_pickle=False)


def _not_recorded(path: Path, got: str) -> DataError:
    return DataError(
        "data.labels",
        got=f"{path} ({got})",
        expected="the labels that were recorded with the images",
        remedy="prepare the images again with tools/prepare_celeba.py",
    )


def _order(value: str) -> tuple[bool, float, tuple[list[str | int], str]]:
    """Numbers by their value, and before texts in their natural order."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    is_text = not math.isfinite(number)
    return is_text, 0.0 if is_text else number, natural_key(value)


def _of_file(names: Sequence[str], path: Path) -> dict[str, list[str]]:
    def refuse(got: str) -> DataError:
        return DataError(
            "--attributes",
            got=f"{path} ({got})",
            expected="CelebA's list_attr_celeba.txt, or a CSV file of file names and attributes with a header",
            remedy="correct the file, or leave it out",
        )

    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise refuse(first_line(error)) from error
    if lines and lines[0].strip().isdecimal():  # CelebA's: the number of pictures, then names of attributes alone
        rows = [line.split() for line in lines[1:] if line.strip()]
        header, rows = (rows[0] if rows else []), rows[1:]
    else:
        header, *rows = [[cell.strip() for cell in row] for row in csv.reader(lines) if row] or [[]]
        header = header[1:]
    if not header or not rows:
        raise refuse("no attributes")
    if len(set(header)) < len(header):
        raise refuse("an attribute named twice")
    if odd := next((row for row in rows if len(row) != len(header) + 1), None):
        raise refuse(f"{odd[0]} has {len(odd) - 1} values, not {len(header)}")
    if empty := next((row for row in rows if not all(row)), None):
        raise refuse(f"{empty[0] or 'a line'} lacks a value")
    by_name = {row[0]: row[1:] for row in rows}
    if len(by_name) < len(rows):
        raise refuse(f"{_most_common(row[0] for row in rows)} has several lines")
    # as the file writes it, or the name of the picture without its folder
    keys = [name if name in by_name else PurePosixPath(name).name for name in names]
    if missing := next((name for name, key in zip(names, keys, strict=True) if key not in by_name), None):
        raise refuse(f"no line for {missing}")
    if len(set(keys)) < len(keys):
        raise refuse(f"one line for several pictures called {_most_common(keys)}, without their folders")
    return {name: [by_name[key][place] for key in keys] for place, name in enumerate(header)}


def _most_common(names: Iterable[str]) -> str:
    return Counter(names).most_common(1)[0][0]
