"""The U-Net: steps of training, and sampling."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from benchmarks.reference import PlainUNet, copy_weights, plain_alpha_bar, plain_ddim, plain_step
from benchmarks.timing import PLAIN, Measurement, Scale, Work, interleave, missing
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from diffmem import rng
from diffmem.data.subset import Batch
from diffmem.diffusion.sampling import DDIMSampler
from diffmem.models.ddpm import DDPM, CompileMode
from diffmem.networks import UNet

_PEERS = ("diffusers", "denoising_diffusion_pytorch")
_STEPS = 10  # network evaluations of one sample: their cost does not depend on how many there are


class Size:
    """A U-Net and the images it is trained on.

    Args:
        width: Width W.
        multipliers: Of the width, a level each.
        attention: Whether a level attends.
        pixels: Height and width of the images.
        batch: Images in a step.
    """

    def __init__(
        self, width: int, multipliers: tuple[int, ...], attention: tuple[bool, ...], pixels: int, batch: int
    ) -> None:
        self.width, self.multipliers, self.attention = width, multipliers, attention
        self.pixels, self.batch = pixels, batch
        self.images = rng.normal(0, "images", 0, (batch, 1, pixels, pixels))
        self.name = f"W = {width}, {pixels}×{pixels}, batch {batch}"

    def diffmem(self) -> UNet:
        rng.seed_global(0, "weights")
        return UNet(1, self.width, self.multipliers, self.attention)

    def plain(self) -> PlainUNet:
        return copy_weights(self.diffmem(), PlainUNet(self.width, self.multipliers, self.attention, dropout=0.1))

    def peers(self) -> dict[str, nn.Module]:
        """The same levels and widths by other packages, those that are installed; their blocks differ somewhat."""
        found: dict[str, nn.Module] = {}
        if not missing("diffusers"):
            found["diffusers UNet2DModel"] = _diffusers(self)
        if not missing("denoising_diffusion_pytorch"):
            from denoising_diffusion_pytorch import Unet

            options = {"channels": 1, "dim_mults": self.multipliers, "full_attn": self.attention}
            found["denoising-diffusion-pytorch Unet"] = Unet(self.width, **options)
        return found


@dataclass(frozen=True)
class Variant:
    """Options of diffmem.

    Attributes:
        precision: Of autocast; None for float32 throughout.
        compile: ``--model.compile``.
    """

    precision: torch.dtype | None = None
    compile: CompileMode | None = None

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        return nullcontext() if self.precision is None else torch.autocast(device.type, dtype=self.precision)


def variants(scale: Scale) -> dict[str, Variant]:
    """What is measured of diffmem, by name."""
    found = {"diffmem, float32": Variant(), "diffmem, bf16-mixed": Variant(torch.bfloat16)}
    if scale.compile:
        found[f"diffmem, bf16-mixed, compile={scale.compile}"] = Variant(torch.bfloat16, scale.compile)
    return found


def sizes(scale: Scale) -> list[Size]:
    """The paper's network and the small one of the digits."""
    if scale.quick:
        return [Size(8, (1, 2), (False, True), 8, 4)]
    if scale.device.type == "cuda":
        return [Size(width, (1, 2, 4), (False, True, True), 32, 512) for width in (32, 64)]
    return [Size(32, (1, 2, 4), (False, True, True), 32, 64), Size(16, (1, 2), (False, True), 8, 64)]


def training(scale: Scale) -> list[Measurement]:
    """Steps of training with Adam."""
    return [_training(size, scale) for size in sizes(scale)]


def sampling(scale: Scale) -> list[Measurement]:
    """DDIM."""
    return [_sampling(size, scale) for size in sizes(scale)]


def _training(size: Size, scale: Scale) -> Measurement:
    images = size.images.to(scale.device)
    alpha_bar = plain_alpha_bar().to(scale.device)
    count = 10 if scale.device.type == "cuda" else 1  # a GPU is still busy while the next step is prepared

    def work(step: Callable[[], object]) -> Work:
        return Work(lambda: [step() for _ in range(count)], amount=count * len(images))

    def plain(network: nn.Module) -> Work:
        network = network.to(scale.device).train()
        optimizer = torch.optim.Adam(network.parameters(), 1e-3)
        return work(lambda: plain_step(network, optimizer, images, alpha_bar))

    works = {PLAIN: plain(size.plain())}
    for name, variant in variants(scale).items():
        works[name] = work(_diffmem_step(size.diffmem(), images, variant))
    works |= {name: plain(peer) for name, peer in size.peers().items()}
    works["machine's limit, float32"] = _limit(size, scale, torch.float32, passes=3)
    works["machine's limit, bfloat16"] = _limit(size, scale, torch.bfloat16, passes=3)
    return Measurement(f"training, {size.name}", "image", interleave(works, scale), missing(*_PEERS))


def _sampling(size: Size, scale: Scale) -> Measurement:
    noise = rng.normal(0, "noise", 0, (size.batch, 1, size.pixels, size.pixels)).to(scale.device)
    alpha_bar = plain_alpha_bar().to(scale.device)
    amount = size.batch * _STEPS

    def plain(network: nn.Module) -> Work:
        network = network.to(scale.device).eval()
        return Work(lambda: plain_ddim(network, noise, _STEPS, alpha_bar), amount)

    works = {PLAIN: plain(size.plain())}
    for name, variant in variants(scale).items():
        works[name] = Work(_diffmem_samples(size.diffmem(), noise, variant), amount)
    works |= {name: plain(peer) for name, peer in size.peers().items()}
    works["machine's limit, float32"] = _limit(size, scale, torch.float32, passes=1)
    works["machine's limit, bfloat16"] = _limit(size, scale, torch.bfloat16, passes=1)
    return Measurement(f"sampling, {size.name}", "network call", interleave(works, scale), missing(*_PEERS))


def _diffmem_step(network: UNet, images: Tensor, variant: Variant) -> Callable[[], None]:
    model = DDPM(network, compile=variant.compile).to(images.device).train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    numbers = iter(range(10**9))

    def step() -> None:
        with variant.autocast(images.device):
            loss = model.training_step(Batch(next(numbers), images, torch.arange(len(images))), 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _diffmem_samples(network: UNet, noise: Tensor, variant: Variant) -> Callable[[], Tensor]:
    model = DDPM(network, compile=variant.compile).to(noise.device).eval()

    def sample() -> Tensor:
        with torch.no_grad(), variant.autocast(noise.device):
            return model.sample(noise, DDIMSampler(_STEPS))

    return sample


def _limit(size: Size, scale: Scale, dtype: torch.dtype, passes: int) -> Work:
    """The U-Net's multiplications as one square matmul after the other."""
    side = scale.pick(8192 if scale.device.type == "cuda" else 2048, 64)
    a, b = (torch.randn(side, side, device=scale.device, dtype=dtype) for _ in range(2))
    return Work(lambda: a @ b, amount=2 * side**3 / (passes * _operations(size)))


def _operations(size: Size) -> float:
    """Floating-point operations of one forward pass on one image."""
    network = size.plain().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(size.images[:1], torch.zeros(1, dtype=torch.int64))
    return float(counter.get_total_flops())


def _diffusers(size: Size) -> nn.Module:
    from diffusers import UNet2DModel

    kinds = ["AttnDownBlock2D" if attends else "DownBlock2D" for attends in size.attention]
    network = UNet2DModel(
        sample_size=size.pixels,
        in_channels=1,
        out_channels=1,
        layers_per_block=2,
        block_out_channels=[size.width * each for each in size.multipliers],
        norm_num_groups=8,
        attention_head_dim=size.width // 4,
        down_block_types=kinds,
        up_block_types=[kind.replace("Down", "Up") for kind in reversed(kinds)],
    )
    return _FirstOutput(network)


class _FirstOutput(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        return self.network(x, index, return_dict=False)[0]
