"""L_train and L_test: the denoising loss at small diffusion times, where memorization shows first."""

from typing import Any, ClassVar

import lightning.pytorch as pl
import torch
from torch import Tensor

from diffmem import ranks, rng
from diffmem.callbacks.contract import require_of_model
from diffmem.callbacks.observer import EvaluationObserver, Row, Snapshot
from diffmem.data.subset import SubsetData
from diffmem.errors import ConfigError, parameters_of, require_at_least
from diffmem.limits import require_calls
from diffmem.roles import Role


class Losses(EvaluationObserver):
    """Noise-prediction loss at times ``t`` on all training images and on the held-out images.

    Each image meets the same ``num_draws`` noises at every step, so a curve moves by what the network learned alone.
    Columns ``loss_train``, ``loss_test`` are means over images and draws, per dimension (1 for a predictor of zero);
    ``…_std`` their standard deviation over the draws, empty for a single draw; ``loss_gen`` = loss_test − loss_train.
    Of several times the first has these names, by which other parts know the losses; a suffix names each further one,
    as in ``loss_train_t0.1`` and ``loss_train_t0.1_std``; ``loss_t`` is the first time.

    A conditional model is told the label of each image.

    Args:
        t: Diffusion time or times; 0.01 in the paper.
        num_draws: Noise draws for each image; 5 in the paper.
        batch_size: Images per network call.
        seed: Seed of the noise.

    Raises:
        ConfigError: A count below 1, no time or one twice; before training: ``t`` not a time of the model, fewer steps
            in its network, or data of a shape it cannot take.
    """

    roles: ClassVar[dict[str, Role]] = {"t": "protocol", "num_draws": "protocol"}

    def __init__(self, t: float | list[float] = 0.01, num_draws: int = 5, batch_size: int = 512, seed: int = 0) -> None:
        require_at_least(1, "losses", num_draws=num_draws, batch_size=batch_size)
        self.times = list(t) if isinstance(t, list | tuple) else [t]
        if not self.times or len({f"{each:g}" for each in self.times}) < len(self.times):  # as columns name them
            raise ConfigError(
                "losses.t", got=t, expected="a time, or different times", remedy="set --losses.t, e.g. 0.01"
            )
        self.num_draws, self.batch_size, self.seed = num_draws, batch_size, seed

    def check(self, data: SubsetData, num_samples: int, model: pl.LightningModule) -> None:
        require_of_model(model, "schedule", "losses")
        calls = self.num_draws * len(self.times) * (data.n + data.num_test)
        require_calls("num_draws", self.num_draws, calls, "losses")
        last = model.schedule.num_steps - 1
        with parameters_of("losses"):
            index = torch.tensor([*(model.schedule.index_of(t) for t in self.times), last])
        images = data.unit_images(range(1)).repeat_interleave(len(index), dim=0)
        try:
            # a compiled network would be compiled for these two images on the CPU
            with torch.random.fork_rng(devices=[]), torch.no_grad(), torch.compiler.set_stance("force_eager"):
                model.losses(images, images, index)
        except IndexError as error:
            raise ConfigError(
                "model.num_steps",
                got=f"{last + 1}, more than the network knows",
                expected="as many diffusion steps as the network has",
                remedy="set --model.num_steps and --model.network.num_steps alike",
            ) from error
        except (RuntimeError, TypeError) as error:
            raise ConfigError(
                "model",
                got=f"data of shape {tuple(images.shape[1:])}, at which it fails ({str(error).splitlines()[0]})",
                expected="a network for this shape",
                remedy="set e.g. --model.network.in_channels, or other data",
            ) from error

    def measure(self, snapshot: Snapshot) -> Row:
        columns: dict[str, Any] = {"loss_t": self.times[0]}
        for t in self.times:
            suffix = "" if t == self.times[0] else f"_t{t:g}"
            for name in ("train", "test"):
                draws = self._loss_of_draws(snapshot, name, t)
                columns[f"loss_{name}{suffix}"] = draws.mean().item()
                columns[f"loss_{name}{suffix}_std"] = draws.std().item() if len(draws) > 1 else None
            columns[f"loss_gen{suffix}"] = columns[f"loss_test{suffix}"] - columns[f"loss_train{suffix}"]
        return columns

    def _loss_of_draws(self, snapshot: Snapshot, name: str, t: float) -> Tensor:
        """Mean loss at ``t`` over the images called ``name`` for each draw, (num_draws,) float64."""
        images = snapshot.train_images if name == "train" else snapshot.heldout_images
        labels = snapshot.labels_of(name)
        numbers = ranks.share(len(images))
        index = snapshot.model.schedule.index_of(t)
        total = torch.zeros(self.num_draws, dtype=torch.float64, device=snapshot.device)
        for draw in range(self.num_draws):
            for start in range(0, len(numbers), self.batch_size):
                block = numbers[start : start + self.batch_size]
                x = images[block.start : block.stop]
                noise = rng.normals(self.seed, f"loss/{name}/{draw}", block, tuple(x.shape[1:]))
                steps = torch.full((len(x),), index, device=snapshot.device)
                told = () if labels is None else (labels[block.start : block.stop].to(snapshot.device),)
                total[draw] += snapshot.model.losses(x, noise.to(snapshot.device), steps, *told).double().sum()
        return ranks.sum_over_ranks(total) / len(images)
