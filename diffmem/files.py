"""Files that are either whole or absent: atomic writes, and tables with one row per step."""

import csv
import io
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from diffmem.errors import DataError


def partial_path(path: Path) -> Path:
    """Where the contents of ``path`` are written before they get its name."""
    return path.with_name(f".{path.name}.partial")


def publish(partial: Path, path: Path) -> None:
    """Flush ``partial`` to disk and give it the name ``path`` in one step."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def write_atomic(path: Path, contents: str | bytes) -> None:
    """Replace ``path`` by ``contents``; a reader, or a kill at any moment, sees the old file or the new one.

    Folders that are missing are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    partial.write_bytes(contents.encode() if isinstance(contents, str) else contents)
    publish(partial, path)


def is_whole(path: Path) -> bool:
    """Whether every record of the archive that torch wrote has its checksum (reading it with torch does not check)."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError, ValueError):
        return False


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file as written, [] where it does not exist; a last line cut short by a kill is left out.

    Raises:
        DataError: A line has more or fewer fields than the header.
    """
    if not path.exists():
        return []
    text = path.read_text()
    lines = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])))
    if not lines:
        return []
    header, *rows = lines
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise DataError(
                f"{path} line {number}",
                got=f"{len(row)} fields",
                expected=f"{len(header)} as in its header",
                remedy="mend or delete that line",
            )
    return [dict(zip(header, row, strict=True)) for row in rows]


def write_table(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Replace the CSV file ``path`` by ``rows``; columns are the union of their keys, None is an empty field.

    Floats are written so that reading them back gives the same bits.
    """
    rows = list(rows)
    columns = dict.fromkeys(key for row in rows for key in row)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, buffer.getvalue())


def put_row(path: Path, row: Mapping[str, object]) -> None:
    """Add ``row`` to the table at ``path`` in the order of ``step``, in place of a row of the same step."""
    step = int(str(row["step"]))
    rows: list[Mapping[str, object]] = [old for old in read_table(path) if int(old["step"]) != step]
    write_table(path, sorted([*rows, row], key=lambda each: int(str(each["step"]))))
