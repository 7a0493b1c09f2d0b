"""KL(P₀‖P_θ): how much the model's law differs from a known law of the data."""

from typing import ClassVar

import lightning.pytorch as pl
import torch
from torch import Tensor

from diffmem import ranks
from diffmem.callbacks.contract import require_of_model
from diffmem.callbacks.observer import EvaluationObserver, Row, Snapshot
from diffmem.data.subset import SubsetData
from diffmem.errors import ConfigError, parameters_of, require_at_least
from diffmem.limits import require_calls
from diffmem.metrics.likelihood import check_num_steps, kl_divergence
from diffmem.roles import Role


class Likelihood(EvaluationObserver):
    """KL divergence of the model's law from the population, by the likelihood integral. Off by default.

    Columns: ``kl`` in nats, the mean of log P₀(x) − log p_θ(x) over fresh points x of P₀; ``kl_std``, its standard
    error, empty for a single point. The points are the same at every step.

    Args:
        num_points: Number of points; None for no KL. A point costs 2·(d + 1) network calls a step of the integral.
        num_steps: Steps of the integral.
        batch_size: Points per network call.

    Raises:
        ConfigError: A count that cannot be used, data whose law is not known, or a model of one diffusion time.
    """

    switch = "num_points"
    roles: ClassVar[dict[str, Role]] = {"num_points": "protocol", "num_steps": "protocol"}

    def __init__(self, num_points: int | None = None, num_steps: int = 100, batch_size: int = 1024) -> None:
        require_at_least(1, "likelihood", num_points=num_points, batch_size=batch_size)
        self.num_points, self.num_steps, self.batch_size = num_points, num_steps, batch_size

    def check(self, data: SubsetData, num_samples: int, model: pl.LightningModule) -> None:
        if self.num_points is None:
            return
        require_of_model(model, "schedule", "score")
        reasons = {
            "data whose law is not known": data.law is None,
            "a model of one diffusion time": model.schedule.num_steps == 1,
        }
        for reason, holds in reasons.items():
            if holds:
                raise ConfigError(
                    "likelihood.num_points",
                    got=f"{self.num_points}, but {reason}",
                    expected="null",
                    remedy="set --likelihood.num_points=null",
                )
        with parameters_of("likelihood"):
            check_num_steps(self.num_steps, model.schedule)
        calls = self.num_points * self.num_steps * 2 * (data.sample_size + 1)
        require_calls("num_points", self.num_points, calls, "likelihood")

    def measure(self, snapshot: Snapshot) -> Row:
        if self.num_points is None:
            return {}
        numbers, data, model = ranks.share(self.num_points), snapshot.data, snapshot.model
        deviations = (1 - model.schedule.alpha_bar).sqrt().to(snapshot.device)

        def predict_noise(x: Tensor, index: Tensor) -> Tensor:
            return -deviations[index, None].to(x) * model.score(x, index)

        found = torch.zeros(self.num_points, dtype=torch.float64, device=snapshot.device)
        for start in range(numbers.start, numbers.stop, self.batch_size):
            block = range(start, min(start + self.batch_size, numbers.stop))
            points = data.draw("likelihood", block).to(snapshot.device)
            found[block.start : block.stop] = kl_divergence(
                data.law.log_density, predict_noise, points, model.schedule, self.num_steps
            )
        found = ranks.sum_over_ranks(found)
        error = found.std().item() / self.num_points**0.5 if self.num_points > 1 else None
        return {"kl": found.mean().item(), "kl_std": error}
