"""Addressed randomness: every random number of a run is named by (seed, name, step).

Nothing is carried from step to step, so a resumed run, a run on several ranks and a run that
is evaluated more often all draw the same numbers. Numbers are drawn on the CPU, which makes
them the same on every device; dropout masks alone are drawn where the network is.
"""

import hashlib
from functools import cache

import torch
from torch import Tensor


def _mix(value: int) -> int:
    """Bijection of 32-bit integers (the finalizer of MurmurHash3)."""
    value ^= value >> 16
    value = value * 0x85EBCA6B & 0xFFFFFFFF
    value ^= value >> 13
    value = value * 0xC2B2AE35 & 0xFFFFFFFF
    return value ^ value >> 16


def derive_seed(seed: int, name: str, step: int = 0) -> int:
    """63-bit seed for ``(seed, name, step)``.

    The CPU engine of torch reads only the low 32 bits. They are a bijection of ``step`` at fixed
    ``(seed, name)``, so no two of the first 2³² steps of a stream share their numbers.
    """
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    high, low = int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")
    return (high & 0x7FFFFFFF) << 32 | _mix((low + step) & 0xFFFFFFFF)


def stream(seed: int, name: str, step: int = 0) -> torch.Generator:
    """Generator of the random numbers called ``name`` at ``step``."""
    return torch.Generator().manual_seed(derive_seed(seed, name, step))


def seed_global(seed: int, name: str, step: int = 0) -> None:
    """Seed torch's global generators (weights, dropout), which draw what no stream can be handed to.

    Without an accelerator that of the CPU alone: ``torch.manual_seed`` notes three stack traces for devices that may
    come, a tenth of an update of a small network and more.
    """
    value = derive_seed(seed, name, step)
    if _has_accelerator():
        torch.manual_seed(value)
    else:
        torch.default_generator.manual_seed(value)


@cache
def _has_accelerator() -> bool:
    return torch.accelerator.is_available()


def normal(seed: int, name: str, step: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal float32 tensor of ``shape``, on the CPU."""
    return torch.randn(shape, generator=stream(seed, name, step))


def normals(seed: int, name: str, numbers: range, shape: tuple[int, ...]) -> Tensor:
    """Standard normal (len(numbers), \\*shape), number i drawn from a stream of its own.

    It does not depend on which others are asked for: sample i starts from noise i whatever
    the batch or the rank.
    """
    if not numbers:
        return torch.empty(0, *shape)
    return torch.stack([normal(seed, name, number, shape) for number in numbers])
