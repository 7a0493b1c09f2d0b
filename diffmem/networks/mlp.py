"""The residual MLP of the paper's Gaussian mixture (arXiv 2505.17638, appendix)."""

import torch.nn.functional as F
from torch import Tensor, nn

from diffmem.errors import ParameterError, require_at_least
from diffmem.networks.labels import LabelEmbedding
from diffmem.networks.unet import ChannelDropout, sinusoidal_table


class ResidualBlock(nn.Module):
    """h + W₂ dropout(GELU(W₁(LayerNorm(h) + embedding of t)))."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear_in = nn.Linear(width, width)
        self.dropout = ChannelDropout(dropout)
        self.linear_out = nn.Linear(width, width)

    def forward(self, h_BW: Tensor, time_BW: Tensor) -> Tensor:
        return h_BW + self.linear_out(self.dropout(F.gelu(self.linear_in(self.norm(h_BW) + time_BW))))


class ResidualMLP(nn.Module):
    """Residual MLP that predicts the noise of a vector, or of an image read as one.

    A linear layer to the width, blocks of LayerNorm and two linear layers, a linear layer back. The sinusoidal
    embedding of t is added in each block as it is, so it has no parameters: 102,024 at the defaults, as in the paper.

    Args:
        dim: Number d of dimensions.
        width: Width W, even, at least 4.
        num_blocks: Number of residual blocks.
        num_steps: Number of diffusion steps, the size of the sinusoidal table.
        dropout: Probability to drop a feature before each block's second linear layer.
        num_classes: Number K of labels, whose learned embedding is added to that of t; 0 for a network without labels.

    Raises:
        ParameterError: A size that cannot be used.
    """

    table: Tensor

    def __init__(
        self,
        dim: int = 8,
        width: int = 128,
        num_blocks: int = 3,
        num_steps: int = 1000,
        dropout: float = 0.0,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        if width < 4 or width % 2:
            raise ParameterError("width", got=width, expected="even, at least 4")
        require_at_least(1, dim=dim, num_blocks=num_blocks, num_steps=num_steps)
        if num_blocks > 1000:
            raise ParameterError("num_blocks", got=num_blocks, expected="at most 1,000")
        require_at_least(0, num_classes=num_classes)
        self.num_classes = num_classes
        self.register_buffer("table", sinusoidal_table(num_steps, width), persistent=False)
        self.stem = nn.Linear(dim, width)
        self.blocks = nn.ModuleList(ResidualBlock(width, dropout) for _ in range(num_blocks))
        self.head = nn.Linear(width, dim)
        if num_classes:  # last, so that all other weights begin as those of the network without labels
            self.label = LabelEmbedding(num_classes, width)

    def forward(self, x: Tensor, t_B: Tensor, labels_B: Tensor | None = None) -> Tensor:
        """Predicted noise of ``x`` (B, \\*), d values each, at diffusion steps ``t_B`` (B,) int64; shaped as ``x``.

        ``labels_B`` (B,) int64 in 0 … K, where K and None stand for no label; a network without labels takes none.
        """
        time = self.table[t_B]
        if self.num_classes:
            time = time + self.label(labels_B, len(t_B))
        h = self.stem(x.flatten(1))
        for block in self.blocks:
            h = block(h, time)
        return self.head(h).reshape(x.shape)
