"""The features of the Inception network, in which FID and KID are defined."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from diffmem.errors import ConfigError, DataError, ParameterError

_INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
_INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
_INCEPTION_REMEDY = f"name {_INCEPTION_FILE} of torch-fidelity's release v0.2.0"
_BATCH = 128  # images of 299×299 in memory at once


class InceptionFeatures(nn.Module):
    """The 2048 pooled features of the Inception network that FID is defined with (arXiv 1706.08500).

    Architecture, resize to 299×299 and weights format are torch-fidelity's. Images are rounded to uint8 and a gray
    channel is repeated to three; the network runs in float32 whatever the surrounding precision, frozen in eval
    mode. An image with a value that is not finite gets NaN features. Weights other than the published file's, by its
    SHA-256, are used with a warning.

    Args:
        weights: Local file with torch-fidelity's Inception weights. Nothing is ever downloaded.

    Attributes:
        dimension: Length of a feature vector.
        protocol: What was computed and how; two distances may be compared only where these agree.

    Raises:
        ParameterError: torch-fidelity is not installed.
        DataError: The file is missing or holds something else.
    """

    dimension = 2048

    def __init__(self, weights: str | Path) -> None:
        super().__init__()
        path = Path(weights)
        if not path.is_file():
            raise DataError(str(path), got="no such file", expected="Inception weights", remedy=_INCEPTION_REMEDY)
        self.network = _load_inception(path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        if sha256 != _INCEPTION_SHA256:
            warnings.warn(
                f"{path}: got SHA-256 {sha256[:12]}…, expected {_INCEPTION_SHA256[:12]}… of "
                f"torch-fidelity's {_INCEPTION_FILE}: this FID compares with no published value",
                stacklevel=2,
            )
        self.protocol = {
            "features": "inception-v3-compat 2048",
            "weights_sha256": sha256,
            "images": "clamped to [0, 1], rounded to uint8, gray repeated to 3 channels",
            "resize": "bilinear to 299x299 as TensorFlow 1 (torch-fidelity)",
            "dtype": "float32",
        }

    def train(self, mode: bool = True) -> InceptionFeatures:
        """Stay in eval mode: the network is frozen."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Features (B, 2048) of images (B, 1 or 3, H, W) in [0, 1].

        Raises:
            ConfigError: The images have another shape.
        """
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ConfigError(
                "images",
                got=f"shape {tuple(images.shape)}",
                expected="(B, 1 or 3, H, W)",
                remedy="give gray or RGB images",
            )
        finite = images.isfinite().flatten(1).all(1)
        pixels = (images.float().nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8).expand(-1, 3, -1, -1)
        full_precision = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with torch.autocast(images.device.type, enabled=False), full_precision:
            features = torch.cat([self.network(part)[0] for part in pixels.split(_BATCH)])
        return features.masked_fill(~finite[:, None], torch.nan)


def _load_inception(path: Path) -> nn.Module:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise ParameterError(
            "weights",
            got="torch-fidelity is not installed",
            expected="its Inception network",
            remedy='pip install "diffmem[fid]"',
        ) from error
    try:
        # torch-fidelity unpickles the file without restriction, so it is first read as plain weights here.
        torch.load(path, map_location="cpu", weights_only=True)
        return FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
    except Exception as error:
        raise DataError(
            str(path),
            got=f"a file that does not hold the network's weights ({str(error).splitlines()[0]})",
            expected="Inception weights",
            remedy=_INCEPTION_REMEDY,
        ) from error
