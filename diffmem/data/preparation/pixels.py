"""From an encoded picture to the pixels that a model is trained on."""

from __future__ import annotations

import contextlib
import functools
import io

import numpy as np
import scipy.sparse
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torchvision.io import decode_jpeg
from torchvision.transforms import functional

_LUMA = (0.2989, 0.587, 0.114)  # torchvision's Grayscale


def decode(data: bytes) -> np.ndarray:
    """RGB pixels (H, W, 3) uint8 of an encoded picture, as a person sees it.

    It stands as its EXIF orientation says, what is transparent lies on white, and grey of 16 bits is scaled to 8.

    torchvision's decoder gives the same pixels of a colour JPEG in half the time; Pillow reads all the rest and has
    the last word on what is not a picture.

    Raises:
        ValueError: Not an image file, or one whose pixels have no range: floats, or whole numbers of 32 bits.
        OSError: A truncated one.
    """
    if data.startswith(b"\xff\xd8\xff"):
        with contextlib.suppress(RuntimeError):
            image = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), apply_exif_orientation=True)
            if len(image) == 3:
                return image.permute(1, 2, 0).numpy()
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(_eight_bits(ImageOps.exif_transpose(picture)).convert("RGB"))
    except UnidentifiedImageError as error:  # its own words are the address of a buffer
        raise ValueError("not an image file") from error


def _eight_bits(picture: Image.Image) -> Image.Image:
    """``picture`` without transparency and with 8 bits a channel, in any mode that converts to RGB as it looks."""
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture)
        if picture.mode == "F" or values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError(f"pixels of mode {picture.mode}, which have no range of 8 or 16 bits")
        return Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture


def shrink(pixels: np.ndarray, size: int, rgb: bool) -> np.ndarray:
    """(C, size, size) uint8 of RGB pixels (H, W, 3): ToTensor, Resize(size), CenterCrop(size), Grayscale(1), rounded.

    All four are linear, so each picture costs two matrix products.
    """
    height, width, _ = pixels.shape
    vertical, horizontal = _shrinking(height, width, size, rgb)
    lower = vertical @ pixels.reshape(height, width * 3).astype(np.float32)
    values = torch.from_numpy(lower) @ horizontal
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
