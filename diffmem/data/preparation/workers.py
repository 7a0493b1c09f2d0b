"""Processes that turn chunks of a source into pixels, and end when their parent does."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import torch

from diffmem.data.preparation.pixels import decode, shrink
from diffmem.data.preparation.sources import ImageSource, first_line
from diffmem.errors import ConfigError

_worker: tuple[ImageSource, int, bool]


@contextlib.contextmanager
def worker_pool(num_workers: int, source: ImageSource, size: int, rgb: bool) -> Iterator[ProcessPoolExecutor]:
    """Pool whose workers know ``source`` and run :func:`prepare_chunk`.

    At the end, chunks that are not begun are dropped and those in work waited for.

    Raises:
        ConfigError: A worker was killed from outside.
    """
    with ProcessPoolExecutor(num_workers, initializer=_start_worker, initargs=(source, size, rgb)) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise ConfigError(
                "--workers", got=f"{num_workers}, of which one was killed", expected="enough memory", remedy="use fewer"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker(source: ImageSource, size: int, rgb: bool) -> None:
    global _worker
    _worker = source, size, rgb
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and ends the pool
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """A worker whose parent was killed would wait for its next chunk for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def prepare_chunk(chunk: range) -> tuple[np.ndarray, dict[int, str]]:
    """Pixels (n, C, size, size) of the readable pictures among ``chunk``; position and reason of each other one."""
    source, size, rgb = _worker
    images: list[np.ndarray] = []
    failures: dict[int, str] = {}
    for position in chunk:
        try:
            images.append(shrink(decode(source.read(position)), size, rgb))
        except Exception as error:
            failures[position] = first_line(error)
    return np.stack(images) if images else np.empty(0, np.uint8), failures


def available_cores() -> int:
    """Number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
