"""Samples beside their nearest training images, their distance ratios and the images that were copied, step by step."""

import base64
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffmem.runs.samples import KeptSamples, ratios, read_samples

#: Largest side of a picture on the page; larger ones are made smaller.
MAX_SIDE = 64
#: Pictures in a row of a sheet.
COLUMNS = 16
_MAX_HITS = 24
_BINS = 24


class Album:
    """What a page can show of the samples that one view of a run has kept.

    Args:
        folder: The folder of its ``evaluations.csv``; None for a run that has none.
        threshold: Ratio below which a sample counts as a copy.

    Raises:
        DataError: A file is damaged.
    """

    def __init__(self, folder: Path | None, threshold: float) -> None:
        self._kept = list(read_samples(folder)) if folder else []
        self._threshold = threshold
        self._copied = [_copied(samples, threshold) for _, samples in self._kept]
        self._sheets = [_sheet(samples.images) for _, samples in self._kept]
        self._whole = self._with_every(1) if self._kept else None

    @property
    def size(self) -> int:
        """Bytes on the page with the pictures of every step."""
        return _bytes(self._whole)

    def within(self, budget: int) -> dict[str, Any] | None:
        """What the page shows; None where no sample was kept.

        Args:
            budget: Most bytes that it may take. Pictures of steps are left out evenly until it fits, those of the last
                step at the end; there are no steps then.
        """
        found, stride = self._whole, 1
        while found is not None and found["steps"] and _bytes(found) > budget:
            stride *= 2
            found = self._with_every(stride) if stride < 2 * len(self._kept) else {**found, "steps": [], "training": ""}
        return found

    def _with_every(self, stride: int) -> dict[str, Any]:
        """With the pictures of every ``stride``-th step, the last one always."""
        last = len(self._kept) - 1
        shown = [place for place in range(last + 1) if (last - place) % stride == 0]
        training, places = self._training_sheet(shown)
        height, width = self._kept[0][1].images.shape[1:3]
        scale = min(1.0, MAX_SIDE / max(height, width))
        return {
            "tile": [max(1, round(width * scale)), max(1, round(height * scale))],
            "columns": COLUMNS,
            "threshold": self._threshold,
            "edges": np.linspace(0, 1, _BINS + 1).round(4).tolist(),
            "training": training,
            "places": {str(image): place for image, place in places.items()},
            "num_places": len(places),
            "first": self._first_steps(),
            "left_out": len(self._kept) - len(shown),
            "steps": [self._step(place, place in shown) for place in range(len(self._kept))],
        }

    def _step(self, place: int, with_pictures: bool) -> dict[str, Any]:
        step, samples = self._kept[place]
        ratio, null, copied = ratios(samples.distances), ratios(samples.null_distances), self._copied[place]
        shown = len(samples.images) if with_pictures else 0
        return {
            "step": step,
            "sheet": self._sheets[place] if with_pictures else "",
            "nearest": samples.nearest[:shown, 0].tolist(),
            "ratio": np.round(ratio[:shown], 4).tolist(),
            "copies": np.flatnonzero(ratio[:shown] < self._threshold).tolist(),
            "distance": np.round(samples.distances[:shown, 0].astype(float), 4).tolist(),
            "share": _histogram(ratio),
            "null": _histogram(null) if len(null) else None,
            "num_samples": len(ratio),
            "hits": [[image, count] for image, count in copied.most_common(_MAX_HITS)],
            "num_copies": sum(copied.values()),
            "num_copied": len(copied),
        }

    def _first_steps(self) -> dict[str, int]:
        """For each training image, the first step with a copy of it."""
        first: dict[str, int] = {}
        for (step, _), copied in zip(self._kept, self._copied, strict=True):
            for image in copied:
                first.setdefault(str(image), step)
        return first

    def _training_sheet(self, shown: Sequence[int]) -> tuple[str, Mapping[int, int]]:
        """One sheet of the training images that these steps show, and the place of each on it."""
        images: dict[int, NDArray[np.uint8]] = {}
        for place in shown:
            samples = self._kept[place][1]
            kept = dict(zip(samples.train_rows.tolist(), samples.train_images, strict=True))
            hits = [image for image, _ in self._copied[place].most_common(_MAX_HITS)]
            wanted = {*samples.nearest[: len(samples.images), 0].tolist(), *hits}
            images.update({image: kept[image] for image in wanted if image in kept})
        positions = sorted(images)
        return _sheet([images[each] for each in positions]), {each: place for place, each in enumerate(positions)}


def allot(sizes: Sequence[int], total: int) -> list[int]:
    """What each may take of ``total``: what it needs, or an equal share of what the smaller ones leave.

    >>> allot([10, 500, 300], 400)
    [10, 195, 195]
    """
    shares = [0] * len(sizes)
    left = max(0, total)
    for done, place in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        shares[place] = min(sizes[place], left // (len(sizes) - done))
        left -= shares[place]
    return shares


def _bytes(shown: object) -> int:
    return len(json.dumps(shown, separators=(",", ":")))


def _copied(samples: KeptSamples, threshold: float) -> Counter[int]:
    """Samples that copy each training image."""
    return Counter(samples.nearest[ratios(samples.distances) < threshold, 0].tolist())


def _histogram(ratio: NDArray[np.float64]) -> list[float]:
    """Share of the ratios in each of the bins of [0, 1]."""
    counts, _ = np.histogram(ratio, bins=_BINS, range=(0, 1))
    return (counts / max(len(ratio), 1)).round(5).tolist()


def _sheet(images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> str:
    """The pictures (K, H, W, C), :data:`COLUMNS` in a row, as a PNG in a data URL."""
    from PIL import Image

    tiles = [Image.fromarray(each[..., 0] if each.shape[-1] == 1 else each) for each in images]
    scale = min(1.0, MAX_SIDE / max(tiles[0].size))
    if scale < 1:
        tiles = [
            each.resize([max(1, round(side * scale)) for side in each.size], Image.Resampling.BOX) for each in tiles
        ]
    width, height = tiles[0].size
    sheet = Image.new(tiles[0].mode, (width * COLUMNS, height * -(-len(tiles) // COLUMNS)))
    for place, tile in enumerate(tiles):
        sheet.paste(tile, (place % COLUMNS * width, place // COLUMNS * height))
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")  # optimize=True gains nothing here and takes twice as long
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
