"""The law of the diffusion times at which a model is trained."""

from typing import Literal, get_args

import torch
from torch import Tensor

from diffmem.diffusion.schedule import Schedule
from diffmem.errors import ParameterError, require_one_of

Law = Literal["uniform", "logit_normal"]


class TrainingTimes:
    """Random diffusion steps for training, by index.

    The steps are those from the one nearest in time to the beginning of ``time_range`` to the one nearest to its end,
    index 0 never among them, as in the paper's code; samplers visit the others too, at which the network is then asked
    for what it was not trained on. Over the steps

    - ``"uniform"``: each as often (Ho et al. 2020, arXiv 2006.11239, algorithm 1);
    - ``"logit_normal"``: the share u of the way from the first to the last is 1/(1 + e^{−z}), z standard normal: most
      at medium noise (Esser et al. 2024, arXiv 2403.03206, equation 19 with m = 0, s = 1).

    Args:
        schedule: The noise schedule.
        time_law: See above.
        time_range: Smallest and largest diffusion time; None for all steps but index 0.

    Attributes:
        first: Smallest index.
        last: Largest index.

    Raises:
        ParameterError: An unknown law, or times that are not ascending times of the schedule.
    """

    def __init__(
        self, schedule: Schedule, time_law: Law = "uniform", time_range: tuple[float, float] | None = None
    ) -> None:
        require_one_of(get_args(Law), "time_law", time_law)
        self.time_law = time_law
        self.first, self.last = 1, schedule.num_steps - 1
        if time_range is not None:
            low, high = (schedule.index_of(t) for t in time_range)
            self.first, self.last = max(low, 1), high
        if self.first > self.last:
            raise ParameterError(
                "time_range",
                got=list(time_range or ()),
                expected="two ascending diffusion times, the second nearer to that of index 1 than to that of index 0",
            )

    def draw(self, size: int, generator: torch.Generator) -> Tensor:
        """Indices (size,) int64 on the CPU."""
        if self.time_law == "uniform":
            return torch.randint(self.first, self.last + 1, (size,), generator=generator)
        share = torch.randn(size, generator=generator, dtype=torch.float64).sigmoid()
        return (self.first + share * (self.last + 1 - self.first)).long().clamp(max=self.last)
