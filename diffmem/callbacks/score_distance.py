"""How far the learned score is from the score of the population, and from that of the training images."""

import math
from typing import ClassVar

import lightning.pytorch as pl
import torch
from torch import Tensor

from diffmem import ranks, rng
from diffmem.callbacks.contract import require_of_model
from diffmem.callbacks.observer import EvaluationObserver, Row, Snapshot
from diffmem.data.subset import SubsetData
from diffmem.diffusion.scores import GaussianMixture, empirical_law
from diffmem.errors import ConfigError, parameters_of, require_at_least
from diffmem.limits import require_calls
from diffmem.roles import Role


class ScoreDistance(EvaluationObserver):
    """(1/d) E‖s_θ(x_t) − s(x_t)‖² at some times t, each under the noised law that s is the score of. Off by default.

    Columns: ``score_error``, s the population score at noised fresh points: the paper's E_score; only where the law of
    the data is known. ``score_error_empirical``, s the empirical score at noised training points: it goes to 0 with
    memorization, and differs from L_train/Δ_t by a constant. Where several times are asked for, a column for each,
    named ``…_t0.01``. The points are the same at every step.

    Args:
        t: Diffusion times; None for no distances.
        empirical: Whether to measure the distance to the empirical score, at a cost that grows with n.
        num_points: Noised points for each time.
        batch_size: Points per network call.
        seed: Seed of the points and their noise.

    Raises:
        ConfigError: A count below 1, no time, a time the model does not know, or nothing to measure at it.
    """

    switch = "t"
    roles: ClassVar[dict[str, Role]] = {"t": "protocol", "num_points": "protocol"}

    def __init__(
        self,
        t: list[float] | None = None,
        empirical: bool = False,
        num_points: int = 10_000,
        batch_size: int = 1024,
        seed: int = 0,
    ) -> None:
        require_at_least(1, "scores", num_points=num_points, batch_size=batch_size)
        if t is not None and (not t or len({f"{each:g}" for each in t}) < len(t)):  # as columns name them
            raise ConfigError(
                "scores.t", got=t, expected="different times, or null for none", remedy="set --scores.t=[0.01]"
            )
        self.t, self.empirical, self.num_points = t or [], empirical, num_points
        self.batch_size, self.seed = batch_size, seed
        self._targets: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}

    def check(self, data: SubsetData, num_samples: int, model: pl.LightningModule) -> None:
        if self.t:
            require_of_model(model, "schedule", "score")
        with parameters_of("scores"):
            for t in self.t:
                model.schedule.index_of(t)
        require_calls("num_points", self.num_points, self.num_points * len(self.t), "scores")
        if self.t and data.law is None and not self.empirical:
            raise ConfigError(
                "scores.t",
                got="data whose law is not known",
                expected="a score to compare with",
                remedy="set --scores.empirical=true, or leave --scores.t out",
            )

    def measure(self, snapshot: Snapshot) -> Row:
        columns = {}
        for t in self.t:
            suffix = f"_t{t:g}" if len(self.t) > 1 else ""
            index = snapshot.model.schedule.index_of(t)
            if snapshot.data.law is not None:
                columns[f"score_error{suffix}"] = self._distance(snapshot, "population", index)
            if self.empirical:
                columns[f"score_error_empirical{suffix}"] = self._distance(snapshot, "empirical", index)
        return columns

    def _distance(self, snapshot: Snapshot, name: str, index: int) -> float:
        if (name, index) not in self._targets:
            self._targets[name, index] = self._noised_points(snapshot, name, index)
        total = torch.zeros((), dtype=torch.float64, device=snapshot.device)
        for x_t, target in zip(*(each.split(self.batch_size) for each in self._targets[name, index]), strict=True):
            steps = torch.full((len(x_t),), index, device=snapshot.device)
            total += (snapshot.model.score(x_t, steps) - target).double().square().flatten(1).mean(1).sum()
        return ranks.sum_over_ranks(total).item() / self.num_points

    def _noised_points(self, snapshot: Snapshot, name: str, index: int) -> tuple[Tensor, Tensor]:
        """This rank's noised points (·, \\*) at a diffusion step and the score of their law there."""
        numbers, data = ranks.share(self.num_points), snapshot.data
        t = -0.5 * math.log(snapshot.model.schedule.alpha_bar[index].item())
        law: GaussianMixture
        if name == "population":
            law, x = data.law, data.draw(f"scores/{self.seed}", numbers)
        else:
            law, images = empirical_law(data.train_images), data.train_images
            x = images[[number % len(images) for number in numbers]]
        noise = rng.normals(self.seed, f"scores/{name}", numbers, tuple(data.train_images.shape[1:]))
        x, noise = x.to(snapshot.device), noise.to(snapshot.device)
        x_t = math.exp(-t) * x + math.sqrt(-math.expm1(-2 * t)) * noise
        return x_t, law.score(x_t, t).to(x_t)
