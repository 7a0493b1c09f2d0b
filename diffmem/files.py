"""Files that are either whole or absent: atomic writes, locks, and tables with one row per step."""

import contextlib
import csv
import errno
import io
import math
import os
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from diffmem.errors import DataError

_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)


def partial_path(path: Path) -> Path:
    """Where the contents of ``path`` are written before they get its name: always the same, so a kill leaves one."""
    return path.with_name(f".{path.name}.partial")


def publish(partial: Path, path: Path) -> None:
    """Flush ``partial`` to disk and give it the name ``path`` in one step."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Where the body is to write what becomes ``path`` when it ends well; an error leaves nothing behind."""
    partial = partial_path(path)
    try:
        yield partial
        publish(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, str(partial)):
            error.filename = str(path)  # what a write that fails does not say
        raise


def write_atomic(path: Path, contents: str | bytes) -> None:
    """Replace ``path`` by ``contents``; a reader, or a kill at any moment, sees the old file or the new one.

    Folders that are missing are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as partial:
        partial.write_bytes(contents.encode() if isinstance(contents, str) else contents)


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
    from filelock import FileLock, Timeout  # a tenth of a second, more than the status of a run takes

    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch()  # filelock would wait for ever for a file that cannot be made
    # not its lock of a file's existence, which would outlive a process that was killed on another machine
    lock = FileLock(path, timeout=-1 if wait else 0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise BlockingIOError(errno.EWOULDBLOCK, "held by another process", str(path)) from error
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        warnings.warn(
            f"{path.parent} cannot be locked ({error.strerror}): let one process at a time use it", stacklevel=4
        )
    try:
        yield
    finally:
        lock.release()


def folders_with(name: str, root: Path) -> Iterator[Path]:
    """Folders at and below ``root`` that hold a file ``name``; links to folders are followed, each folder once."""
    seen: set[tuple[int, int]] = set()
    for folder, below, files in os.walk(root, followlinks=True):
        status = Path(folder).stat()
        key = (status.st_dev, status.st_ino)
        if key in seen:
            below.clear()
            continue
        seen.add(key)
        below.sort()
        if name in files:
            yield Path(folder)


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
        DataError: It is not text in UTF-8, or a line has more or fewer fields than the header.
    """

    def refuse(where: str, got: str, expected: str) -> DataError:
        return DataError(f"{path}{where}", got=got, expected=expected, remedy="fix or delete it")

    try:
        text = path.read_bytes().decode("utf-8-sig")  # spreadsheets begin a file with a byte order mark
        lines = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1], newline=""), strict=True))
    except FileNotFoundError:
        return []
    except (UnicodeDecodeError, csv.Error) as error:
        raise refuse("", str(error), "a table in UTF-8") from error
    if not lines:
        return []
    header, *rows = lines
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise refuse(f" line {number}", f"{len(row)} fields", f"{len(header)} as in its header")
    return [dict(zip(header, row, strict=True)) for row in rows]


def read_steps(path: Path) -> dict[int, dict[str, str]]:
    """Rows of the table at ``path`` by their ``step``, as :func:`read_table` finds them.

    Raises:
        DataError: As there, or a row without a whole number in ``step``.
    """
    return {int(row["step"]): row for row in _rows_of_steps(path)}


def _rows_of_steps(path: Path) -> list[dict[str, str]]:
    rows = read_table(path)
    for row in rows:
        if not row.get("step", "").isdecimal():
            got = repr(row["step"]) if "step" in row else "no such column"
            raise DataError(
                f"{path} column step", got=got, expected="a whole number in every row", remedy="fix or delete it"
            )
    return rows


def read_numbers(path: Path, needed: Sequence[str], optional: Sequence[str] = ()) -> list[tuple[float, ...]]:
    """Rows of the table at ``path`` as numbers, first those of the ``needed`` columns; [] where it does not exist.

    An ``optional`` column may be missing, and its fields may be empty: NaN.

    Raises:
        DataError: As :func:`read_table`, or a field that holds no number.
    """

    def number(line: int, name: str, text: str | None) -> float:
        if name in optional and not text:
            return math.nan
        try:
            return float(text or "")
        except ValueError as error:
            got = "no such column" if text is None else repr(text)
            raise DataError(
                f"{path} line {line} column {name}", got=got, expected="a number", remedy="fix or delete it"
            ) from error

    rows = enumerate(read_table(path), start=2)
    return [tuple(number(line, name, row.get(name)) for name in (*needed, *optional)) for line, row in rows]


def values_of(column: Sequence[str], text: bool = False) -> list[int | None] | list[float | None] | list[str | None]:
    """Fields of a table as whole numbers or as numbers where every one is, else, or with ``text``, as they are.

    An empty field is None.
    """
    fields = [each or None for each in column]
    for number in () if text else (int, float):
        with contextlib.suppress(ValueError):
            return [None if each is None else number(each) for each in fields]
    return fields


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
    """Add ``row`` to the table at ``path`` in the order of ``step``, in place of a row of the same step.

    Raises:
        DataError: What is there is no such table.
    """
    rows: dict[int, Mapping[str, object]] = {**read_steps(path), int(str(row["step"])): row}
    write_table(path, [rows[step] for step in sorted(rows)])


def put_rows(path: Path, step: int, rows: Iterable[Mapping[str, object]]) -> None:
    """Make ``rows`` those of ``step`` in the table at ``path``, which has several for a step, in the order of steps.

    Raises:
        DataError: What is there is no such table.
    """
    others: list[Mapping[str, object]] = [row for row in _rows_of_steps(path) if int(row["step"]) != step]
    write_table(path, sorted([*others, *rows], key=lambda row: int(str(row["step"]))))
