"""Samples beside their nearest training images, their distance ratios and the images that were copied, step by step."""

import base64
import io
from collections import Counter
from collections.abc import Sequence
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


def pictures(folder: Path, threshold: float, budget: int) -> dict[str, Any] | None:
    """What the page shows of the samples of the run in ``folder``; None where it kept none.

    Args:
        folder: The run's folder.
        threshold: Ratio below which a sample counts as a copy.
        budget: Most bytes that the pictures of samples may take; steps are left out evenly until they do.

    Raises:
        DataError: A file is damaged.
    """
    kept = list(read_samples(folder))
    if not kept:
        return None
    sheets, left_out = _within([_sheet(samples.images) for _, samples in kept], budget)
    train, places = _training(kept)
    steps = []
    for (step, samples), sheet in zip(kept, sheets, strict=True):
        ratio = ratios(samples.distances)
        null = ratios(samples.null_distances)
        shown = len(samples.images)
        copied = Counter(samples.nearest[ratio < threshold, 0].tolist())
        steps.append(
            {
                "step": step,
                "sheet": sheet,
                "nearest": samples.nearest[:shown, 0].tolist() if sheet else [],
                "ratio": np.round(ratio[:shown], 4).tolist() if sheet else [],
                "distance": np.round(samples.distances[:shown, 0].astype(float), 4).tolist() if sheet else [],
                "share": _histogram(ratio),
                "null": _histogram(null) if len(null) else None,
                "num_samples": len(ratio),
                "hits": [[image, count] for image, count in copied.most_common(_MAX_HITS)],
                "num_copies": sum(copied.values()),
                "num_copied": len(copied),
            }
        )
    height, width = kept[0][1].images.shape[1:3]
    scale = min(1.0, MAX_SIDE / max(height, width))
    return {
        "tile": [max(1, round(width * scale)), max(1, round(height * scale))],
        "columns": COLUMNS,
        "threshold": threshold,
        "edges": np.linspace(0, 1, _BINS + 1).round(4).tolist(),
        "training": train,
        "places": {str(image): place for image, place in places.items()},
        "num_places": len(places),
        "first": _first_steps(kept, threshold),
        "left_out": left_out,
        "steps": steps,
    }


def _histogram(ratio: NDArray[np.float64]) -> list[float]:
    """Share of the ratios in each of the bins of [0, 1]."""
    counts, _ = np.histogram(ratio, bins=_BINS, range=(0, 1))
    return (counts / max(len(ratio), 1)).round(5).tolist()


def _first_steps(kept: Sequence[tuple[int, KeptSamples]], threshold: float) -> dict[str, int]:
    """For each training image, the first step with a copy of it."""
    first: dict[str, int] = {}
    for step, samples in kept:
        for image in samples.nearest[ratios(samples.distances) < threshold, 0].tolist():
            first.setdefault(str(image), step)
    return first


def _training(kept: Sequence[tuple[int, KeptSamples]]) -> tuple[str, dict[int, int]]:
    """One sheet of all training images that are shown at any step, and the place of each on it."""
    images: dict[int, NDArray[np.uint8]] = {}
    for _, samples in kept:
        images.update(zip(samples.train_rows.tolist(), samples.train_images, strict=True))
    shown = sorted(images)
    return _sheet(np.stack([images[image] for image in shown])), {image: place for place, image in enumerate(shown)}


def _within(sheets: list[str], budget: int) -> tuple[list[str], int]:
    """``sheets`` with every second one emptied, the last kept, until they fit; and how many are left out."""
    stride = 1
    while (size := sum(map(len, _every(sheets, stride)))) > budget and size and stride < len(sheets):
        stride *= 2
    fitting = _every(sheets, stride)
    return fitting, sum(not sheet for sheet in fitting)


def _every(sheets: Sequence[str], stride: int) -> list[str]:
    last = len(sheets) - 1
    return [sheet if (last - place) % stride == 0 else "" for place, sheet in enumerate(sheets)]


def _sheet(images: NDArray[np.uint8]) -> str:
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
    sheet.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
