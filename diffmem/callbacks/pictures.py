"""Pictures of the samples, each beside its nearest training image."""

import io
from collections import Counter
from typing import ClassVar

import lightning.pytorch as pl
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.utils import make_grid, save_image

from diffmem import ranks
from diffmem.callbacks.observer import EvaluationObserver, Row, Snapshot
from diffmem.data.subset import SubsetData
from diffmem.errors import ConfigError, parameters_of, require_at_least
from diffmem.files import write_atomic
from diffmem.metrics.memorization import check_threshold, is_memorized
from diffmem.roles import Role
from diffmem.runs.samples import FOLDER, KeptSamples

_MIN_PIXELS = 48
_MAX_COPIED = 24
_MARK, _PLAIN = torch.tensor([0.84, 0.15, 0.16]), torch.tensor([1.0, 1.0, 1.0])


class Pictures(EvaluationObserver):
    """Writes ``samples/step-*.png``: pairs of a sample (left) and its nearest training image (right).

    Pairs framed in red are memorized by the rule of :func:`diffmem.metrics.memorization.is_memorized`. Beside each
    picture, ``step-*.npz`` keeps the samples, their neighbours and distances for :mod:`diffmem.report`; the distances
    are those of all samples of the first rank, the pictures those of ``num_samples``.

    Args:
        num_samples: Number of pairs, None for no pictures. At most this rank's share of the samples is shown.
        threshold: As in :class:`diffmem.callbacks.memorization.Memorization`.

    Raises:
        ConfigError: A count below 1, or ``threshold`` outside (0, 1).
    """

    role: ClassVar[Role] = "operation"

    needs_samples = True

    def __init__(self, num_samples: int | None = 32, threshold: float = 1 / 3) -> None:
        require_at_least(1, "pictures", num_samples=num_samples)
        with parameters_of("memorization"):
            check_threshold(threshold)
        self.num_samples, self.threshold = num_samples, threshold

    def check(self, data: SubsetData, num_samples: int, model: pl.LightningModule) -> None:
        shape = data.unit_images(range(1)).shape[1:]
        if num_samples and self.num_samples and (len(shape) != 3 or shape[0] not in (1, 3)):
            raise ConfigError(
                "pictures.num_samples",
                got=f"{self.num_samples} pictures of data of shape {tuple(shape)}",
                expected="images of 1 or 3 channels, or null",
                remedy="set --pictures.num_samples=null",
            )

    def measure(self, snapshot: Snapshot) -> Row:
        if ranks.rank_and_world()[0] == 0 and self.num_samples:
            self._draw(snapshot)
            self._keep(snapshot)
        return {}

    def _draw(self, snapshot: Snapshot) -> None:
        samples = snapshot.samples[: self.num_samples]
        distances, indices = (each[: len(samples)] for each in snapshot.train_neighbors)
        pairs = torch.stack([samples, snapshot.train_images[indices[:, 0]]], dim=1)
        pairs = snapshot.data.to_unit(pairs.flatten(0, 1)).clamp(0, 1).cpu()
        scale = max(1, -(-_MIN_PIXELS // pairs.shape[-1]))
        pairs = F.interpolate(pairs, scale_factor=scale, mode="nearest").expand(-1, 3, -1, -1)
        left, right = pairs[0::2], pairs[1::2]
        frames = torch.where(is_memorized(distances, self.threshold).cpu()[:, None], _MARK, _PLAIN)
        tiles = []
        for pair, color in zip(torch.cat([left, right], dim=3), frames, strict=True):
            tile = color[:, None, None].expand(3, pair.shape[1] + 6, pair.shape[2] + 6).clone()
            tile[:, 3:-3, 3:-3] = pair
            tiles.append(tile)
        buffer = io.BytesIO()
        save_image(make_grid(tiles, nrow=8, padding=6, pad_value=1.0), buffer, format="png")
        folder = snapshot.view_folder / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / f"step-{snapshot.step:08d}.png", buffer.getvalue())

    def _keep(self, snapshot: Snapshot) -> None:
        distances, indices = (each.cpu() for each in snapshot.train_neighbors)
        null = snapshot.null_neighbors
        copied = Counter(indices[is_memorized(distances, self.threshold), 0].tolist())
        shown = {*indices[: self.num_samples, 0].tolist(), *(image for image, _ in copied.most_common(_MAX_COPIED))}
        members = torch.tensor(sorted(shown))
        KeptSamples(
            images=_bytes(snapshot, snapshot.samples[: self.num_samples]),
            nearest=indices.int().numpy(),
            distances=distances.float().numpy(),
            null_distances=np.zeros((0, 2), np.float32) if null is None else null.distances.cpu().float().numpy(),
            train_rows=members.int().numpy(),
            train_images=_bytes(snapshot, snapshot.train_images[members.to(snapshot.device)]),
        ).write(snapshot.view_folder, snapshot.step)


def _bytes(snapshot: Snapshot, images: Tensor) -> np.ndarray:
    """Images (N, C, H, W) of the model as (N, H, W, C) uint8."""
    unit = snapshot.data.to_unit(images).clamp(0, 1).cpu()
    return (255 * unit).round().byte().permute(0, 2, 3, 1).numpy()
