"""Where a learned score differs from a known one: at which points, and at which diffusion times.

A score that generalizes is near the population score wherever samples pass; one that copies is near the empirical
score, ∇log (1/n) Σ_ν N(x; e^{−t}x^ν, Δ_t I). The two differ most between the training points and at small times.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

#: ``score(x_t, index)`` → ∇log P_t (N, \*) at points (N, \*) of one diffusion step.
ScoreAt = Callable[[Tensor, int], Tensor]


class Region(NamedTuple):
    """How far two scores are apart at one diffusion step, at points of one kind.

    Attributes:
        diffusion_step: Its index in the schedule.
        place: Name of the points.
        reference: Name of the score that the learned one is compared with.
        distances: Of each point, (N,) float64; see :func:`noise_distance`.
    """

    diffusion_step: int
    place: str
    reference: str
    distances: Tensor


def noise_distance(score: Tensor, reference: Tensor, t: float) -> Tensor:
    """Δ_t/d · ‖s − s'‖² of two scores (N, \\*) at diffusion time ``t``, (N,) float64, Δ_t = 1 − e^{−2t}.

    As ε = −√Δ_t s, this is the mean squared difference of the noises that they predict: it is in units of the loss, and
    comparable between times, where a distance of scores grows as 1/Δ_t.
    """
    difference = (score.double() - reference.double()).flatten(1)
    return -torch.expm1(torch.tensor(-2 * t, dtype=torch.float64)).item() * difference.square().mean(1)


def score_regions(
    score: ScoreAt, references: Mapping[str, ScoreAt], places: Mapping[str, Mapping[int, Tensor]], times: Tensor
) -> Iterator[Region]:
    """Distances of ``score`` to every reference, at the points of every place and diffusion step.

    Args:
        score: The learned one.
        references: What it is compared with, by name.
        places: For each kind of points and each diffusion step, the points x_t (N, \\*).
        times: The diffusion time of each step, (num_steps,).
    """
    for place, points in places.items():
        for index, x_t in points.items():
            learned = score(x_t, index)
            for name, reference in references.items():
                yield Region(index, place, name, noise_distance(learned, reference(x_t, index), times[index].item()))


def spread_indices(times: Tensor, visited: list[int], num: int) -> list[int]:
    """Of the ``visited`` diffusion steps, at most ``num`` that are spread evenly in log t, ascending.

    Args:
        times: The diffusion time of each step, (num_steps,), ascending.
        visited: Steps to choose from.
        num: How many.
    """
    ordered = torch.tensor(sorted(visited))
    logs = times[ordered].log()
    wanted = torch.linspace(logs[0].item(), logs[-1].item(), num, dtype=logs.dtype)
    return sorted({int(ordered[(logs - each).abs().argmin()]) for each in wanted})
