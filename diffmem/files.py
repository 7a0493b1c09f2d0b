"""Files that are either whole or absent: atomic writes, locks, and tables with one row per step."""

import contextlib
import csv
import fcntl
import io
import os
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from diffmem.errors import DataError


def partial_path(path: Path) -> Path:
    """Where the contents of ``path`` are written before they get its name: always the same, so a kill leaves one."""
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


@contextlib.contextmanager
def locked(path: Path, wait: bool) -> Iterator[None]:
    """Hold ``path``, a file made for this alone, against every other process that asks for it.

    On a file system without locks there is a warning and no protection.

    Args:
        path: The lock's file; its folder is made where it is missing.
        wait: Whether to wait until another process lets go.

    Raises:
        BlockingIOError: Another process holds it; only without ``wait``.
        OSError: The lock's file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError as error:
            warnings.warn(
                f"{path.parent} cannot be locked ({error.strerror}): let one process at a time use it", stacklevel=4
            )
        yield


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
    text = path.read_text(encoding="utf-8")
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
                remedy="fix or delete that line",
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
