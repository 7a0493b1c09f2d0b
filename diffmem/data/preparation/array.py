"""The prepared array: one memory-mappable uint8 file, and a record of how it was made."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import io
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL
import torchvision

from diffmem.data.preparation.labels import encode, labels_path, values_of_pictures
from diffmem.data.preparation.sources import ImageSource, first_line, open_source
from diffmem.data.preparation.workers import available_cores, prepare_chunk, worker_pool
from diffmem.errors import ConfigError, DataError
from diffmem.files import writing

_CHUNK = 128


def prepare(
    source: str | Path,
    size: int,
    out: str | Path,
    rgb: bool = False,
    on_error: Literal["refuse", "skip"] = "refuse",
    num_workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    attributes: str | Path | None = None,
) -> dict[str, Any]:
    """Write the pictures of ``source`` to ``out``, (N, C, size, size) uint8 .npy, and their record beside it as .json.

    Labels that the pictures have lie beside them as .labels.npy; see :mod:`diffmem.data.preparation.labels`.

    The final names appear only when everything is written, and a killed run leaves nothing that the next one minds.

    Args:
        source: See :func:`open_source`.
        size: Height and width in pixels.
        out: File ending in ``.npy``.
        rgb: Keep three channels instead of one.
        on_error: What to do about a file that cannot be read as a picture.
        num_workers: Processes; by default one for every core this process may use.
        progress: Called with (pictures done, pictures in all).
        attributes: Table of the pictures' attributes, such as CelebA's; None for the columns of parquet files, or the
            classes that folders name.

    Returns:
        The record: source, count, shape, recipe, labels, SHA-256 of the files and the skipped pictures.

    Raises:
        ConfigError: An argument is impossible.
        DataError: No picture, or one that cannot be read and is not to be skipped; attributes that do not fit.
    """
    out = Path(out)
    num_workers = available_cores() if num_workers is None else num_workers
    _check_arguments(size, out, on_error, num_workers)
    pictures = open_source(source)
    attributes = None if attributes is None else Path(attributes)
    # refused before the work; a file that may yet be skipped needs no attributes
    values_of_pictures(pictures.names if on_error == "refuse" else [], attributes)
    out.parent.mkdir(parents=True, exist_ok=True)
    for stale in out.parent.glob(f".{glob.escape(out.name)}.*.partial"):
        stale.unlink(missing_ok=True)
    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")
    total = len(pictures.names)
    chunks = [range(start, min(start + _CHUNK, total)) for start in range(0, total, _CHUNK)]
    shape = [0, 3 if rgb else 1, size, size]
    skipped: dict[int, str] = {}
    with contextlib.ExitStack() as stack:
        stack.callback(partial.unlink, missing_ok=True)
        file = stack.enter_context(partial.open("wb"))
        pool = stack.enter_context(worker_pool(num_workers, pictures, size, rgb))
        file.write(_header(shape))
        for chunk, (block, failures) in zip(chunks, pool.map(prepare_chunk, chunks), strict=True):
            if failures and on_error == "refuse":
                position, reason = next(iter(failures.items()))
                raise _unreadable(pictures.names[position], reason)
            skipped |= failures
            shape[0] += len(block)
            file.write(block.tobytes())
            if progress:
                progress(chunk.stop, total)
        if len(skipped) == total:
            raise DataError(
                str(source),
                got=f"{total} files, none a readable picture ({pictures.names[0]}: {skipped[0]})",
                expected="at least one",
                remedy="name the folder or archive of the pictures",
            )
        file.seek(0)
        file.write(_header(shape))
        file.flush()
        os.fsync(file.fileno())
        kept = [position for position in range(total) if position not in skipped]
        labels, recorded = _labels(_values(pictures, kept, attributes))
        record = {
            "source": {"kind": pictures.kind, "name": Path(source).resolve().name},
            "count": shape[0],
            "shape": shape,
            "dtype": "uint8",
            "recipe": [
                "RGB pixels as Pillow decodes them, upright by EXIF, transparency on white, 16 bits scaled to 8",
                "ToTensor",
                f"Resize({size}, antialias=True)",
                f"CenterCrop({size})",
                *([] if rgb else ["Grayscale(1)"]),
                "rounded to uint8",
            ],
            "order": pictures.order,
            "versions": {"pillow": PIL.__version__, "torchvision": torchvision.__version__.split("+")[0]},
            "sha256": _sha256(partial),
            **recorded,
            "skipped": [{"name": pictures.names[position], "reason": reason} for position, reason in skipped.items()],
        }
        _publish(partial, out, labels, record)
    return record


def load_prepared(path: str | Path) -> tuple[np.memmap, dict[str, Any]]:
    """The array (N, C, H, W) uint8 that :func:`prepare` wrote, memory-mapped read-only, and its record.

    Args:
        path: The ``.npy`` file.

    Raises:
        DataError: A file is missing, or the two do not belong together, by the SHA-256 of the whole array.
    """
    path = Path(path)

    def wrong(got: str) -> DataError:
        return DataError(
            "data.path",
            got=got,
            expected="an array and its record",
            remedy="make it with tools/prepare_celeba.py --source PATH --size SIZE --out FILE.npy",
        )

    record_path = path.with_suffix(".json")
    for file in (path, record_path):
        if not file.is_file():
            raise wrong(f"no file {file}")
    try:
        record = json.loads(record_path.read_text(encoding="utf-8"))
        expected = tuple(record["shape"]), record["dtype"], record["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise wrong(f"{record_path}, which is not a record ({first_line(error)})") from error
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise wrong(f"{path}, which is no whole array ({first_line(error)})") from error
    if (array.shape, str(array.dtype)) != expected[:2]:
        raise wrong(f"{path} of {array.dtype} {array.shape}, not {expected[1]} {expected[0]} as recorded")
    if _sha256(path) != expected[2]:
        raise wrong(f"{path}, whose SHA-256 is not the recorded one")
    return array, record


def _check_arguments(size: int, out: Path, on_error: str, num_workers: int) -> None:
    if size < 2:
        raise ConfigError("--size", got=size, expected="at least 2 pixels", remedy="use 32 for the paper's CelebA")
    if out.suffix != ".npy" or out.is_dir():
        raise ConfigError("--out", got=out, expected="a file name ending in .npy", remedy="e.g. --out celeba32.npy")
    if on_error not in ("refuse", "skip"):
        raise ConfigError("--on-error", got=on_error, expected="refuse or skip", remedy="use one of the two")
    if num_workers < 1:
        raise ConfigError("--workers", got=num_workers, expected="at least 1", remedy="leave it out to use every core")


def _unreadable(name: str, reason: str) -> DataError:
    return DataError(
        name,
        got=f"no readable picture ({reason})",
        expected="a whole image file",
        remedy="replace it, or pass --on-error skip",
    )


def _values(pictures: ImageSource, kept: list[int], attributes: Path | None) -> dict[str, list[str]]:
    """The values of the pictures that were ``kept``, by attribute."""
    own = {} if attributes else pictures.values()
    if own:
        return {name: [column[position] for position in kept] for name, column in own.items()}
    return values_of_pictures([pictures.names[position] for position in kept], attributes)


def _labels(values: dict[str, list[str]]) -> tuple[bytes | None, dict[str, Any]]:
    """The file of the labels and what the record says of them; None and {} where there are none."""
    if not values:
        return None, {}
    labels, attributes = encode(values)
    file = io.BytesIO()
    np.save(file, labels)
    return file.getvalue(), {
        "labels": {"attributes": attributes, "sha256": hashlib.sha256(file.getvalue()).hexdigest()}
    }


def _publish(partial: Path, out: Path, labels: bytes | None, record: dict[str, Any]) -> None:
    """Give array, labels and record their names; a kill in between leaves no record, and nothing that is loaded."""
    record_path, path = out.with_suffix(".json"), labels_path(out)
    with writing(record_path) as partial_record:
        partial_record.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        with contextlib.nullcontext() if labels is None else writing(path) as partial_labels:
            if partial_labels is not None and labels is not None:
                partial_labels.write_bytes(labels)
            record_path.unlink(missing_ok=True)
            partial.replace(out)
        if labels is None:
            path.unlink(missing_ok=True)


def _header(shape: list[int]) -> bytes:
    """Header of a uint8 .npy file; NumPy pads it, so that it is as long for any number of rows."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)})
    return header.getvalue()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
