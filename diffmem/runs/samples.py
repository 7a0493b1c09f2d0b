"""``samples/step-*.npz``: what an evaluation keeps of its samples, to be looked at later without torch."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffmem.errors import DataError
from diffmem.files import write_atomic

FOLDER = "samples"


@dataclass(frozen=True)
class KeptSamples:
    """Samples of one step, some of them as pictures, with their nearest training images.

    Attributes:
        images: (K, H, W, C) uint8, the first K samples.
        nearest: (N, 2) int32, the two nearest training images of each of the N samples of the first rank.
        distances: (N, 2) float32, their distances, ascending.
        null_distances: (N, 2) float32, those to as many held-out images; (0, 2) where there are fewer.
        train_rows: (M,) int32, the training images that are shown: nearest to a picture, or copied most often.
        train_images: (M, H, W, C) uint8.
    """

    images: NDArray[np.uint8]
    nearest: NDArray[np.int32]
    distances: NDArray[np.float32]
    null_distances: NDArray[np.float32]
    train_rows: NDArray[np.int32]
    train_images: NDArray[np.uint8]

    def write(self, folder: Path, step: int) -> None:
        """Keep them in the run's ``folder``."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{field.name: getattr(self, field.name) for field in fields(self)})
        write_atomic(folder / FOLDER / f"step-{step:08d}.npz", buffer.getvalue())


def ratios(distances: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distance to the nearest image over that to the second nearest, (N,); 0 where both are 0."""
    nearest, second = distances.astype(np.float64).T
    return np.divide(nearest, second, out=np.zeros_like(nearest), where=second > 0)


def read_samples(folder: Path) -> Iterator[tuple[int, KeptSamples]]:
    """Step and samples of each evaluation that the run in ``folder`` has kept, ascending in step.

    Raises:
        DataError: A file is damaged.
    """
    for path in sorted((folder / FOLDER).glob("step-*.npz")):
        try:
            with np.load(path, allow_pickle=False) as arrays:
                kept = KeptSamples(**{field.name: arrays[field.name] for field in fields(KeptSamples)})
            step = int(path.stem.removeprefix("step-"))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            got = " ".join(str(error).split()) or type(error).__name__
            raise DataError(str(path), got=got, expected="samples of a step", remedy="delete it") from error
        yield step, kept
