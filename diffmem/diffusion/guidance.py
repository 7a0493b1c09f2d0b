"""Classifier-free guidance: how much more than the label asks for (Ho and Salimans 2022, arXiv 2207.12598)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffmem.diffusion.objective import NoisePredictor
from diffmem.diffusion.schedule import Schedule
from diffmem.errors import ParameterError

#: ``predict_noise(x_t, index, labels)``: as :data:`NoisePredictor`, labels (B,) int64.
ConditionalPredictor = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Guidance:
    """ε̂ = ε_∅ + (1 + w)(ε_c − ε_∅) with ε_c the noise predicted for the label and ε_∅ for none.

    w = 0 is the conditional model itself, and w = −1 the unconditional one.

    Args:
        weight: w, at least −1, finite.
        interval: Smallest and largest diffusion time t at which it acts, elsewhere w = 0 (Kynkäänniemi et al. 2024,
            arXiv 2404.07724); None for all times.

    Raises:
        ParameterError: A weight below −1 or infinite, or times that do not ascend from 0 or above.
    """

    weight: float = 0.0
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not -1 <= self.weight < math.inf:
            raise ParameterError("weight", got=self.weight, expected="a number of at least -1")
        if self.interval is not None and not 0 <= self.interval[0] < self.interval[1]:
            raise ParameterError("interval", got=list(self.interval), expected="two ascending diffusion times")

    def predictor(
        self, predict_noise: ConditionalPredictor, labels: Tensor, no_label: int, schedule: Schedule
    ) -> NoisePredictor:
        """ε̂ as a function of x_t and index alone; its two calls of ``predict_noise`` are one, of twice the batch.

        Args:
            predict_noise: ε_θ(x_t, index, labels).
            labels: (B,) int64.
            no_label: The label that stands for none.
            schedule: Noise schedule, which knows the time of each index.
        """

        def guided(x_t: Tensor, index: Tensor) -> Tensor:
            if not self._acts(schedule.time, index):
                return predict_noise(x_t, index, labels)
            both = torch.cat([labels, torch.full_like(labels, no_label)])
            conditional, free = predict_noise(x_t.repeat(2, *[1] * (x_t.dim() - 1)), index.repeat(2), both).chunk(2)
            return free + (1 + self.weight) * (conditional - free)

        return guided

    def _acts(self, time: Tensor, index: Tensor) -> bool:
        """Whether guidance changes anything at ``index`` (B,), where all samples are at the same step."""
        if self.weight == 0 or len(index) == 0:
            return False
        return self.interval is None or self.interval[0] <= time[int(index[0])].item() <= self.interval[1]


#: The conditional model itself.
UNGUIDED = Guidance()


def drop_labels(labels: Tensor, uniform: Tensor, probability: float, no_label: int) -> Tensor:
    """``labels`` (B,) with those replaced by ``no_label`` whose ``uniform`` (B,) in [0, 1) is below ``probability``."""
    return torch.where(uniform < probability, no_label, labels)
