"""What the framework costs: a whole scheduled evaluation, and a step inside the Trainer."""

import io
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import overhead as overhead_tool
import torch
from benchmarks.network import Size
from benchmarks.reference import broadcast_f_mem, plain_alpha_bar, plain_ddim, plain_frechet
from benchmarks.timing import PLAIN, Measurement, Scale, Work, interleave
from PIL import Image

from diffmem import rng
from diffmem.callbacks import Evaluation

_CONFIGS = Path(__file__).parents[2] / "configs"
_DIGITS = ["--config", str(_CONFIGS / "digits/unet.yaml"), "--evaluation.steps=[]"]
_LARGE = [
    "--config",
    str(_CONFIGS / "mnist/unet.yaml"),
    "--evaluation.steps=[]",
    "--evaluation.sampling_steps=200",
    "--trainer.precision=bf16-mixed",
    # one batch size of training and one of all else: a compiled network is compiled for each
    "--data.batch_size=512",
    "--evaluation.num_samples=1000",
    "--evaluation.batch_size=1000",
    "--losses.batch_size=1000",
    "--data.num_test=1000",
    "--data.n=1000",
]
_QUICK = [
    "--model.network.base_channels=8",
    "--data.n=16",
    "--evaluation.num_samples=80",
    "--evaluation.sampling_steps=4",
]


def overhead(scale: Scale) -> list[Measurement]:
    """A step of the digits run by the Trainer with all callbacks, and by a bare loop on the same network."""
    steps = scale.pick(25 * (2 * scale.rounds + 1), 50)
    pairs = overhead_tool.measure(_arguments(scale, f"--trainer.max_steps={steps}"))
    trained, alone = (list(times) for times in zip(*pairs, strict=True))
    return [Measurement("step of the digits run", "step", {PLAIN: alone, "diffmem, in the Trainer": trained})]


def evaluation(scale: Scale) -> list[Measurement]:
    """A scheduled evaluation: samples, f_mem, Fréchet distance, both losses, a grid of images.

    Of the digits run; on a GPU of the MNIST run at the paper's size, in bfloat16.
    """
    large = scale.device.type == "cuda" and not scale.quick
    if large:
        compile = [f"--model.compile={scale.compile}"] if scale.compile else []
        name, arguments, size = (
            "MNIST",
            _arguments(scale, *compile, large=True),
            Size(32, (1, 2, 4), (False, True, True), 32, 1),
        )
    else:
        name, arguments = "digits", _arguments(scale)
        size = Size(8 if scale.quick else 16, (1, 2), (False, True), 8, 1)
    timed = TimedEvaluation(size, scale, name, num_samples=10_000 if large else None)
    with overhead_tool.trained_in_scratch([*arguments, "--trainer.max_steps=1"], timed):
        return [timed.measurement]


class TimedEvaluation(pl.Callback):
    """Times evaluations at the end of training, while the module is on its device.

    Args:
        size: The network and images of the run.
        scale: How much is measured.
        name: Of the data.
        num_samples: In place of the run's own number; plain then draws a tenth of them.

    Attributes:
        measurement: What was found.
    """

    measurement: Measurement

    def __init__(self, size: Size, scale: Scale, name: str, num_samples: int | None) -> None:
        self.size, self.scale, self.name, self.num_samples = size, scale, name, num_samples

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        (callback,) = (each for each in trainer.callbacks if isinstance(each, Evaluation))  # type: ignore[attr-defined]
        samples, steps = callback.samples, callback.views[""].sampler.num_steps
        few = samples.num if self.num_samples is None else self.num_samples // 10
        samples.num = self.num_samples or samples.num
        data, device = trainer.datamodule, pl_module.device  # type: ignore[attr-defined]
        network = self.size.plain().to(device).eval()
        works = {
            PLAIN: Work(lambda: _plain(network, data, few, steps, device), few),
            "diffmem": Work(lambda: callback.evaluate(trainer, pl_module), samples.num),
        }
        title = f"scheduled evaluation, {self.name}, {samples.num} samples, {steps} DDIM steps"
        self.measurement = Measurement(title, "sample", interleave(works, self.scale))


def _arguments(scale: Scale, *more: str, large: bool = False) -> list[str]:
    device = [f"--trainer.accelerator={'gpu' if scale.device.type == 'cuda' else 'cpu'}", "--trainer.devices=1"]
    return [*(_LARGE if large else _DIGITS), *(_QUICK if scale.quick else []), *device, *more]


@torch.no_grad()
def _plain(
    network: torch.nn.Module, data: object, num_samples: int, sampling_steps: int, device: torch.device
) -> tuple[float, ...]:
    """The same by plain means: one batch of samples, PNG files, distances by broadcasting, matrix square roots."""
    train, test = data.train_images.to(device), data.test_images.to(device)  # type: ignore[attr-defined]
    alpha_bar = plain_alpha_bar().to(device)
    noise = rng.normal(0, "start", 0, (num_samples, *train.shape[1:])).to(device)
    samples = plain_ddim(network, noise, sampling_steps, alpha_bar)
    losses = [
        float((network(alpha_bar[7].sqrt() * x + (1 - alpha_bar[7]).sqrt() * e, index) - e).square().mean())
        for x in (train, test)
        for e in (torch.randn_like(x) for _ in range(5))
        for index in [torch.full((len(x),), 7, device=device)]
    ]
    pixels = np.stack([_through_png(image) for image in samples.cpu()])
    distance = plain_frechet(pixels.reshape(len(pixels), -1), test.flatten(1).double().cpu().numpy())
    return (broadcast_f_mem(samples, train), distance, *losses)


def _through_png(image: torch.Tensor) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image[0].mul(255).clamp(0, 255).byte().numpy()).save(buffer, format="png")
    return np.asarray(Image.open(buffer), dtype=np.float64) / 255
