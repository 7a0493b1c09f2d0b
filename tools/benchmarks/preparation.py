"""From JPEG files to the prepared array."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from benchmarks.timing import PLAIN, Measurement, Scale, Work, interleave
from PIL import Image
from torchvision.transforms import v2

from diffmem import rng
from diffmem.data.preparation.array import prepare

_SIZE = 32


def preparation(scale: Scale) -> list[Measurement]:
    """Files of CelebA's form, 178×218, to 32×32 gray."""
    count, few = scale.pick(2000, 6), scale.pick(500, 6)
    with tempfile.TemporaryDirectory() as scratch:
        folder, out = Path(scratch) / "img_align_celeba", Path(scratch) / "out.npy"
        folder.mkdir()
        for number in range(count):
            coarse = rng.normal(0, "picture", number, (27, 22, 3)).mul(60).add(128).clamp(0, 255).byte().numpy()
            Image.fromarray(coarse).resize((178, 218), Image.Resampling.BICUBIC).save(folder / f"{number:06d}.jpg")
        files = sorted(folder.iterdir())

        def ours() -> None:
            out.unlink(missing_ok=True)
            prepare(folder, _SIZE, out)

        ours()
        assert np.abs(np.load(out)[:few] - _plain(files[:few]) * 255).max() <= 1
        works = {PLAIN: Work(lambda: _plain(files[:few]), few), "diffmem": Work(ours, count)}
        return [Measurement("preparation, JPEG 178×218 to 32×32", "image", interleave(works, scale))]


def _plain(files: list[Path]) -> np.ndarray:
    """torchvision's transforms in one process."""
    transform = v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Resize(_SIZE, antialias=True),
                            v2.CenterCrop(_SIZE), v2.Grayscale(1)])  # fmt: skip
    pictures = []
    for file in files:
        with Image.open(file) as picture:
            pictures.append(transform(picture.convert("RGB")).numpy())
    return np.stack(pictures)
