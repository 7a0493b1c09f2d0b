"""Values that many runs need, computed by the first of them."""

import contextlib
import hashlib
import io
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffmem import ranks
from diffmem.files import is_whole, locked, write_atomic


def cached(
    folder: Path, name: str, key: Mapping[str, Any], compute: Callable[[], Tensor], device: torch.device
) -> Tensor:
    """The tensor that ``key`` describes completely, read from ``folder``, or computed and left there for others.

    A second process that asks for it meanwhile waits. A collective: every rank calls it, and every rank computes.

    Args:
        folder: Folder of the cache, made where it is missing.
        name: What the tensor is, the beginning of the file's name.
        key: Plain values; kept in the file beside the tensor.
        compute: Makes the tensor, the same on every rank.
        device: Where the tensor is wanted.
    """
    path = folder / f"{name}-{short_hash(key, 16)}.pt"
    first = ranks.rank_and_world()[0] == 0
    with contextlib.ExitStack() as stack:
        usable = first and _is_usable(path)
        if first and not usable and (writable := _try_to_hold(path, stack)):
            usable = _is_usable(path)  # made by another process meanwhile
        if ranks.any_rank(usable, device):
            return torch.load(path, map_location=device, weights_only=True)["value"]
        value = compute()
        if first and writable:
            buffer = io.BytesIO()
            torch.save({"key": dict(key), "value": value.cpu()}, buffer)
            write_atomic(path, buffer.getvalue())
        return value


def short_hash(key: Mapping[str, Any], length: int = 8) -> str:
    """Hexadecimal digits that change with any of the plain values in ``key``."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:length]


def _try_to_hold(path: Path, stack: contextlib.ExitStack) -> bool:
    """Wait until no other process makes ``path``; False, with a warning, where the folder cannot be written."""
    try:
        stack.enter_context(locked(path.with_name(f".{path.name}.lock"), wait=True))
    except OSError as error:
        warnings.warn(f"{path.parent} cannot be written ({error.strerror}); nothing is kept there", stacklevel=3)
        return False
    return True


def _is_usable(path: Path) -> bool:
    if path.exists() and not is_whole(path):
        warnings.warn(f"{path} is damaged; it is computed again", stacklevel=2)
        return False
    return path.exists()
