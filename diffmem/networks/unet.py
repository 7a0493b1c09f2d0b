"""The DDPM U-Net of the paper (arXiv 2505.17638, appendix A; Ho et al. 2020)."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from diffmem import ranks
from diffmem.errors import ParameterError, require_at_least
from diffmem.networks.labels import LabelEmbedding

NUM_GROUPS = 8
NUM_HEADS = 4

_FEW_TOKENS = 64  # so few that plain products beat the fused kernel and its gradient on a CPU
_WIDE = 32  # from this width on convolutions win more by the channels-last layout than GroupNorm loses


class ChannelDropout(nn.Module):
    """Zeroes whole channels, as ``nn.Dropout2d``, with a mask that does not depend on the number of ranks.

    Features of a vector are its channels. Every rank draws the mask of the global batch from the (equally seeded)
    global generator and takes its share.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise ParameterError("dropout", got=probability, expected="0 <= dropout < 1")
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """``x`` (B, C, \\*) with some of its channels zero and the others enlarged, in training."""
        if not self.training or self.probability == 0:
            return x
        size, mine = ranks.batch_share(len(x))
        uniform = torch.rand(size, x.shape[1], device=x.device)[mine]
        keep = (uniform >= self.probability).to(x) / (1 - self.probability)
        return x * keep.reshape(*keep.shape, *[1] * (x.ndim - 2))


class Attention(nn.Module):
    """Multi-head self-attention over the pixels, with a residual connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(NUM_GROUPS, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        height = x_BCHW.shape[2]
        x = rearrange(self.norm(x_BCHW), "b c h w -> b (h w) c")
        q, k, v = rearrange(self.qkv(x), "b n (three heads c) -> three b heads n c", three=3, heads=NUM_HEADS)
        x = rearrange(_attend(q, k, v), "b heads n c -> b n (heads c)")
        return x_BCHW + rearrange(self.out(x), "b (h w) c -> b c h w", h=height)


def _attend(q_BHNC: Tensor, k_BHNC: Tensor, v_BHNC: Tensor) -> Tensor:
    """softmax(q kᵀ/√C) v, trained on a CPU in whichever of three ways is the fastest."""
    if q_BHNC.device.type != "cpu" or not torch.is_grad_enabled():
        return F.scaled_dot_product_attention(q_BHNC, k_BHNC, v_BHNC)
    if q_BHNC.shape[2] <= _FEW_TOKENS:
        scores = q_BHNC * q_BHNC.shape[3] ** -0.5 @ k_BHNC.transpose(2, 3)
        return scores.softmax(3) @ v_BHNC
    with torch.autocast("cpu", enabled=False):  # in bfloat16 the fused kernel's backward pass takes twice as long
        return F.scaled_dot_product_attention(q_BHNC.float(), k_BHNC.float(), v_BHNC.float())


class ResidualBlock(nn.Module):
    """Two normalized 3×3 convolutions with the time embedding added between them, then attention where wanted."""

    def __init__(
        self, in_channels: int, out_channels: int, time_channels: int, dropout: float, attention: bool
    ) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(NUM_GROUPS, in_channels)
        self.conv_in = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time = nn.Linear(time_channels, out_channels)
        self.norm_out = nn.GroupNorm(NUM_GROUPS, out_channels)
        self.dropout = ChannelDropout(dropout)
        self.conv_out = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.skip = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()
        self.attention = Attention(out_channels) if attention else nn.Identity()

    def forward(self, x_BCHW: Tensor, time_BE: Tensor) -> Tensor:
        h = self.conv_in(F.silu(self.norm_in(x_BCHW)))
        h = h + self.time(time_BE)[:, :, None, None]
        h = self.conv_out(self.dropout(F.silu(self.norm_out(h))))
        return self.attention(h + self.skip(x_BCHW))


class Upsample(nn.Module):
    """Makes every pixel four, as ``nn.Upsample``."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return repeat_pixels(x_BCHW) if x_BCHW.is_cuda else F.interpolate(x_BCHW, scale_factor=2, mode="nearest")


def repeat_pixels(x_BCHW: Tensor) -> Tensor:
    """Twice the height and width, each pixel four times.

    Faster than ``interpolate`` in a network compiled for a GPU, where that one's gradient is added up atomically.
    """
    x_BHWC = rearrange(x_BCHW, "b c h w -> b h w c")
    return rearrange(repeat(x_BHWC, "b h w c -> b (h 2) (w 2) c"), "b h w c -> b c h w")


def sinusoidal_table(num_steps: int, channels: int) -> Tensor:
    """Sinusoidal position embedding of the steps 0 … num_steps−1, (num_steps, channels)."""
    half = channels // 2
    frequency = torch.exp(-math.log(10000) / (half - 1) * torch.arange(half, dtype=torch.float64))
    angle = torch.arange(num_steps, dtype=torch.float64)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1).float()


class UNet(nn.Module):
    """U-Net that predicts the noise of an image.

    Args:
        in_channels: Channels C of the images.
        base_channels: Width W, a multiple of 8.
        channel_multipliers: Width of each resolution level in units of W; every level halves the image.
        attention: Whether each level's residual blocks end in self-attention.
        num_res_blocks: Residual blocks a level on the way down; one more on the way up.
        dropout: Probability to drop a channel before each block's second convolution.
        num_steps: Number of diffusion steps, the size of the (frozen) sinusoidal table.
        num_classes: Number K of labels, whose learned embedding is added to that of t; 0 for a network without labels.

    The number of parameters is that of the paper's code, where the table counts: 4.055 M by default.

    Raises:
        ParameterError: A width that is no multiple of 8, lists of different lengths, or a number that is too small.
    """

    def __init__(
        self,
        in_channels: int = 1,
        base_channels: int = 32,
        channel_multipliers: Sequence[int] = (1, 2, 4),
        attention: Sequence[bool] = (False, True, True),
        num_res_blocks: int = 2,
        dropout: float = 0.1,
        num_steps: int = 1000,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        require_at_least(0, num_classes=num_classes)
        require_at_least(1, in_channels=in_channels, num_steps=num_steps)
        self.num_classes = num_classes
        _check(base_channels, channel_multipliers, attention, num_res_blocks)
        time_channels = 4 * base_channels
        self.time = nn.Sequential(
            nn.Embedding.from_pretrained(sinusoidal_table(num_steps, base_channels), freeze=True),
            nn.Linear(base_channels, time_channels),
            nn.SiLU(),
            nn.Linear(time_channels, time_channels),
        )

        def block(in_channels: int, out_channels: int, attention: bool) -> ResidualBlock:
            return ResidualBlock(in_channels, out_channels, time_channels, dropout, attention)

        channels = base_channels
        self.stem = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.down = nn.ModuleList()
        skips = [channels]
        for level, (multiplier, attend) in enumerate(zip(channel_multipliers, attention, strict=True)):
            if level > 0:
                self.down.append(nn.Conv2d(channels, channels, 3, stride=2, padding=1))
                skips.append(channels)
            for _ in range(num_res_blocks):
                self.down.append(block(channels, multiplier * base_channels, attend))
                channels = multiplier * base_channels
                skips.append(channels)

        self.middle = nn.ModuleList([block(channels, channels, True), block(channels, channels, False)])

        self.up = nn.ModuleList()
        for level, (multiplier, attend) in reversed(list(enumerate(zip(channel_multipliers, attention, strict=True)))):
            for _ in range(num_res_blocks + 1):
                self.up.append(block(channels + skips.pop(), multiplier * base_channels, attend))
                channels = multiplier * base_channels
            if level > 0:
                self.up.append(nn.Sequential(Upsample(), nn.Conv2d(channels, channels, 3, padding=1)))
        self.head = nn.Sequential(
            nn.GroupNorm(NUM_GROUPS, channels), nn.SiLU(), nn.Conv2d(channels, in_channels, 3, padding=1)
        )
        if num_classes:  # last, so that all other weights begin as those of the network without labels
            self.label = LabelEmbedding(num_classes, time_channels)
        if base_channels >= _WIDE:
            self.to(memory_format=torch.channels_last)

    def forward(self, x_BCHW: Tensor, t_B: Tensor, labels_B: Tensor | None = None) -> Tensor:
        """Predicted noise (B, C, H, W) of ``x_BCHW`` at diffusion steps ``t_B`` (B,) int64.

        H and W must be divisible by 2^(levels − 1). ``labels_B`` (B,) int64 in 0 … K, where K and None stand for no
        label; a network without labels takes none.
        """
        time = self.time(t_B)
        if self.num_classes:
            time = time + self.label(labels_B, len(t_B))
        time = F.silu(time)
        x = self.stem(x_BCHW)
        skips = [x]
        for module in self.down:
            x = module(x, time) if isinstance(module, ResidualBlock) else module(x)
            skips.append(x)
        for module in self.middle:
            x = module(x, time)
        for module in self.up:
            x = module(torch.cat([x, skips.pop()], dim=1), time) if isinstance(module, ResidualBlock) else module(x)
        return self.head(x)


def _check(
    base_channels: int,
    channel_multipliers: Sequence[int],
    attention: Sequence[bool],
    num_res_blocks: int,
) -> None:
    if base_channels < NUM_GROUPS or base_channels % NUM_GROUPS:
        raise ParameterError(
            "base_channels",
            got=base_channels,
            expected=f"a positive multiple of {NUM_GROUPS}, the groups of GroupNorm",
        )
    if not channel_multipliers or len(channel_multipliers) != len(attention) or min(channel_multipliers) < 1:
        raise ParameterError(
            "channel_multipliers",
            got=f"{list(channel_multipliers)} with attention {list(attention)}",
            expected="positive multipliers and one attention switch for each",
        )
    require_at_least(1, num_res_blocks=num_res_blocks)
    if num_res_blocks > 1000:
        raise ParameterError("num_res_blocks", got=num_res_blocks, expected="at most 1,000")
