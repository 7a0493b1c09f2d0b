"""What a network knows of labels."""

import torch
from torch import Tensor, nn


class LabelEmbedding(nn.Embedding):
    """A learned vector for each of the labels 0 … K−1, and for K, which stands for no label.

    Args:
        num_classes: Number K of labels.
        channels: Length of the vectors.
    """

    def __init__(self, num_classes: int, channels: int) -> None:
        super().__init__(num_classes + 1, channels)
        self.no_label = num_classes

    def forward(self, labels_B: Tensor | None, size: int) -> Tensor:  # type: ignore[override]
        """Vectors (size, channels) of ``labels_B``; those of no label where it is None."""
        if labels_B is None:
            labels_B = torch.full((size,), self.no_label, device=self.weight.device)
        return super().forward(labels_B)
