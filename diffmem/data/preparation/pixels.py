"""From an encoded picture to the pixels that a model is trained on."""

from __future__ import annotations

import contextlib
import functools
import io

import numpy as np
import scipy.sparse
import torch
from PIL import Image, UnidentifiedImageError
from torchvision.io import decode_jpeg
from torchvision.transforms import functional

_LUMA = (0.2989, 0.587, 0.114)  # torchvision's Grayscale


def decode(data: bytes) -> np.ndarray:
    """RGB pixels (H, W, 3) uint8 of an encoded picture, as Pillow gives them.

    torchvision's decoder gives the same pixels of a colour JPEG in half the time; Pillow reads all the rest and has
    the last word on what is not a picture.

    Raises:
        ValueError: Not an image file.
        OSError: A truncated one.
    """
    if data.startswith(b"\xff\xd8\xff"):
        with contextlib.suppress(RuntimeError):
            image = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8))
            if len(image) == 3:
                return image.permute(1, 2, 0).numpy()
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))
    except UnidentifiedImageError as error:  # its own words are the address of a buffer
        raise ValueError("not an image file") from error


def shrink(pixels: np.ndarray, size: int, rgb: bool) -> np.ndarray:
    """(C, size, size) uint8 of RGB pixels (H, W, 3): ToTensor, Resize(size), CenterCrop(size), Grayscale(1), rounded.

    All four are linear, so each picture costs two matrix products.
    """
    height, width, _ = pixels.shape
    vertical, horizontal = _shrinking(height, width, size, rgb)
    rows = vertical @ pixels.reshape(height, width * 3).astype(np.float32)
    values = torch.from_numpy(rows) @ horizontal
    return values.round().clamp(0, 255).byte().view(size, size, -1).permute(2, 0, 1).numpy()


@functools.lru_cache(maxsize=16)
def _shrinking(height: int, width: int, size: int, rgb: bool) -> tuple[scipy.sparse.csr_array, torch.Tensor]:
    """Torchvision's Resize and CenterCrop as matrices: (size, H) on rows and (W · 3, size · C) on columns."""
    resized = functional.resize(torch.empty(1, height, width), [size]).shape[1:]

    def weights(length: int, axis: int) -> torch.Tensor:
        line = functional.resize(torch.eye(length)[None], [length, resized[axis]], antialias=True)
        return functional.center_crop(line, [length, size])[0]

    channels = torch.eye(3) if rgb else torch.tensor(_LUMA)[:, None]
    return scipy.sparse.csr_array(weights(height, 0).T.numpy()), torch.kron(weights(width, 1), channels)
