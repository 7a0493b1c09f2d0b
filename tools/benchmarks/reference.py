"""Plain PyTorch beside which diffmem is timed: what one writes first. Nothing of diffmem in it."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainAttention(nn.Module):
    """Self-attention over the pixels by ``nn.MultiheadAttention`` with its default arguments."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.attention = nn.MultiheadAttention(channels, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        attended, _ = self.attention(tokens, tokens, tokens)
        return x + attended.transpose(1, 2).view_as(x)


class PlainBlock(nn.Module):
    """The residual block of the paper's U-Net."""

    def __init__(self, inputs: int, outputs: int, time: int, dropout: float, attention: bool) -> None:
        super().__init__()
        self.norm_in, self.norm_out = nn.GroupNorm(8, inputs), nn.GroupNorm(8, outputs)
        self.conv_in = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv_out = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.time = nn.Linear(time, outputs)
        self.dropout = nn.Dropout2d(dropout)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.attention = PlainAttention(outputs) if attention else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv_in(F.silu(self.norm_in(x))) + self.time(F.silu(time))[:, :, None, None]
        h = self.conv_out(self.dropout(F.silu(self.norm_out(h))))
        return self.attention(h + self.skip(x))


class PlainUNet(nn.Module):
    """The paper's U-Net; :func:`copy_weights` gives it the weights of diffmem's."""

    def __init__(self, width: int, multipliers: Sequence[int], attention: Sequence[bool], dropout: float) -> None:
        super().__init__()
        time = 4 * width
        frequency = torch.exp(-math.log(10000) / (width // 2 - 1) * torch.arange(width // 2))
        angle = torch.arange(1000)[:, None] * frequency
        table = torch.cat([angle.sin(), angle.cos()], dim=1)
        self.time = nn.Sequential(
            nn.Embedding.from_pretrained(table), nn.Linear(width, time), nn.SiLU(), nn.Linear(time, time)
        )
        channels, skips = width, [width]
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        levels = list(zip(multipliers, attention, strict=True))
        for level, (multiplier, attend) in enumerate(levels):
            if level:
                self.down.append(nn.Conv2d(channels, channels, 3, stride=2, padding=1))
                skips.append(channels)
            for _ in range(2):
                self.down.append(PlainBlock(channels, multiplier * width, time, dropout, attend))
                channels = multiplier * width
                skips.append(channels)
        self.middle = nn.ModuleList(PlainBlock(channels, channels, time, dropout, attend) for attend in (True, False))
        for level, (multiplier, attend) in reversed(list(enumerate(levels))):
            for _ in range(3):
                self.up.append(PlainBlock(channels + skips.pop(), multiplier * width, time, dropout, attend))
                channels = multiplier * width
            if level:
                self.up.append(nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(channels, channels, 3, padding=1)))
        self.head = nn.Sequential(nn.GroupNorm(8, channels), nn.SiLU(), nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        time = self.time(index)
        x = self.stem(x)
        skips = [x]
        for module in self.down:
            x = module(x, time) if isinstance(module, PlainBlock) else module(x)
            skips.append(x)
        for module in self.middle:
            x = module(x, time)
        for module in self.up:
            x = module(torch.cat([x, skips.pop()], dim=1), time) if isinstance(module, PlainBlock) else module(x)
        return self.head(x)


def copy_weights(source: nn.Module, plain: PlainUNet) -> PlainUNet:
    """``plain`` with the weights of diffmem's network ``source`` of the same size."""
    names = {"attention.qkv.weight": "attention.attention.in_proj_weight", "attention.qkv.bias":
             "attention.attention.in_proj_bias", "attention.out.": "attention.attention.out_proj."}  # fmt: skip
    weights = {}
    for name, value in source.state_dict().items():
        for old, new in names.items():
            name = name.replace(old, new)
        weights[name] = value
    plain.load_state_dict(weights)
    return plain


def plain_alpha_bar() -> Tensor:
    """ᾱ of the linear schedule with 1,000 steps."""
    return torch.cumprod(1 - torch.linspace(1e-4, 2e-2, 1000), 0)


def plain_step(network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, alpha_bar: Tensor) -> Tensor:
    """One step of training; the loss."""
    index = torch.randint(1, 1000, (len(images),), device=images.device)
    noise = torch.randn_like(images)
    signal = alpha_bar[index].view(-1, 1, 1, 1)
    loss = F.mse_loss(network(signal.sqrt() * images + (1 - signal).sqrt() * noise, index), noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


@torch.no_grad()
def plain_ddim(network: Callable[[Tensor, Tensor], Tensor], noise: Tensor, num_steps: int, alpha_bar: Tensor) -> Tensor:
    """DDIM samples, by the predicted image and noise."""
    indices = torch.linspace(999, 0, num_steps).long().tolist()
    x = noise
    for index, following in zip(indices, [*indices[1:], None], strict=True):
        predicted = network(x, torch.full((len(x),), index, device=x.device))
        image = (x - (1 - alpha_bar[index]).sqrt() * predicted) / alpha_bar[index].sqrt()
        after = alpha_bar[following] if following is not None else torch.tensor(1.0, device=x.device)
        x = after.sqrt() * image + (1 - after).sqrt() * predicted
    return x


def broadcast_f_mem(samples: Tensor, train: Tensor, block: int = 10) -> float:
    """f_mem at 1/3 from broadcast differences."""
    memorized = 0
    for part in samples.flatten(1).split(block):
        distances = (part[:, None] - train.flatten(1)[None]).square().sum(-1).sqrt()
        nearest = distances.topk(2, largest=False).values
        memorized += int((nearest[:, 0] < nearest[:, 1] / 3).sum())
    return memorized / len(samples)


def plain_frechet(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Fréchet distance by ``np.cov`` and ``scipy.linalg.sqrtm``, as in the common implementations."""
    mean_a, mean_b = features_a.mean(0), features_b.mean(0)
    cov_a, cov_b = np.cov(features_a, rowvar=False), np.cov(features_b, rowvar=False)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a + cov_b - 2 * root))
