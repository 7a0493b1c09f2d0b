"""The samples that an evaluation looks at."""

from collections.abc import Callable
from functools import partial

import lightning.pytorch as pl
import torch
from torch import Tensor

from diffmem import ranks, rng
from diffmem.callbacks.calls import before_each_call
from diffmem.callbacks.views import PreparedView, labels_of_samples
from diffmem.errors import require_at_least


class GeneratedSamples:
    """Draws samples of a model, each from its own noise.

    Sample i starts from noise i, at every step, in every view and whatever the batch or rank. The noise of each step of
    a stochastic sampler is its own as well. Sample i of a conditional model has label i mod K.

    Args:
        num: Number of samples, over all ranks.
        batch_size: Samples per network call.
        seed: Seed of the noise.

    Attributes:
        first: Number of the noise that the first sample starts from; later sets of samples have others.
        share_drawn: Part of the samples in progress that is drawn, in [0, 1].

    Raises:
        ConfigError: A count below 1.
    """

    def __init__(self, num: int, batch_size: int, seed: int) -> None:
        require_at_least(1, "evaluation", num_samples=num, batch_size=batch_size)
        self.num, self.batch_size, self.seed = num, batch_size, seed
        self.first, self.share_drawn = 0, 0.0

    def num_of(self, model: pl.LightningModule) -> int:
        """Number of samples of ``model``: 0 for one that cannot sample."""
        return self.num if hasattr(model, "sample") else 0

    def draw(
        self,
        model: pl.LightningModule,
        numbers: range,
        shape: tuple[int, ...],
        view: PreparedView,
        announce: Callable[[], None] = lambda: None,
    ) -> Tensor:
        """Samples number ``numbers``, (len(numbers), \\*shape); ``announce`` is called equally often on every rank.

        It is called before each batch, and before each call of the network for a batch that every rank has.
        """
        found = [torch.empty(0, *shape, device=model.device)]
        world_size = ranks.rank_and_world()[1]
        smallest_share, rest = divmod(self.num_of(model), world_size)
        of_all = range(0, max(smallest_share + min(rest, 1), len(numbers)), self.batch_size)
        for start in of_all:
            self.share_drawn = start / of_all.stop
            announce()
            if batch := numbers[start : start + self.batch_size]:
                a_call = len(batch) / of_all.stop / view.sampler.num_steps
                noise = partial(self._noise, batch, tuple(shape), model.device)
                labels = labels_of_samples(model, batch)
                told = {} if labels is None else {"labels": labels, "guidance": view.guidance}
                announced = world_size == 1 or start < smallest_share
                with before_each_call(model, partial(self._step, a_call, announce) if announced else None):
                    found.append(model.sample(noise(), view.sampler, noise, **told).float())
        return torch.cat(found)

    def _step(self, share: float, announce: Callable[[], None]) -> None:
        """One more step of the sampler is begun, ``share`` of all that are drawn."""
        self.share_drawn = min(self.share_drawn + share, 1.0)
        announce()

    def _noise(self, numbers: range, shape: tuple[int, ...], device: torch.device, index: int | None = None) -> Tensor:
        """What samples number ``numbers`` start from, or what a stochastic step that leaves ``index`` adds to them."""
        numbers = range(self.first + numbers.start, self.first + numbers.stop)
        return rng.normals(self.seed, "sample" if index is None else f"sample/{index}", numbers, shape).to(device)
