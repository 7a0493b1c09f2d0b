"""Samplers from starting noise to samples: pure functions, and objects that hold their settings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from diffmem.diffusion.objective import NoisePredictor
from diffmem.diffusion.schedule import Schedule
from diffmem.errors import ParameterError, require_at_least

#: ``noise(index)`` → the standard normal (B, \*) of a stochastic sampler's step that leaves ``index``.
StepNoise = Callable[[int], Tensor]


def ddim(
    predict_noise: NoisePredictor,
    x_init: Tensor,
    schedule: Schedule,
    num_steps: int,
    eta: float = 0.0,
    noise: StepNoise | None = None,
) -> Tensor:
    """DDIM (Song et al. 2021, arXiv 2010.02502, equations 12 and 16).

    A step from index t to s is x_s = √ᾱ_s (x_t − √(1−ᾱ_t) ε)/√ᾱ_t + √(1−ᾱ_s−σ²) ε + σ ξ with ε = ε_θ(x_t, t) and
    σ = η √((1−ᾱ_s)/(1−ᾱ_t)) √(1−ᾱ_t/ᾱ_s). The visited indices are ``num_steps`` evenly spaced ones from the last down
    to 0; the last step goes to ᾱ = 1.

    Args:
        predict_noise: ε_θ(x_t, index).
        x_init: (B, \\*) standard normal.
        schedule: Noise schedule the predictor was trained with.
        num_steps: Number of evaluations of ``predict_noise``, at most ``schedule.num_steps``.
        eta: η in [0, 1]: 0 for the deterministic sampler.
        noise: ξ of each step but the last; not asked for at η = 0.

    Returns:
        Samples (B, \\*).

    Raises:
        ParameterError: ``num_steps`` outside [1, schedule.num_steps], ``eta`` outside [0, 1], or above 0 without noise.
    """
    indices, alpha_bar = _visited(schedule, num_steps)
    _check_eta(eta)
    if eta > 0 and noise is None:
        raise ParameterError("noise", got=None, expected=f"the noise of each step at eta = {eta:g}")
    x = x_init
    for step, index in enumerate(indices):
        now, following = alpha_bar[step], alpha_bar[step + 1]
        scale = (following / now) ** 0.5
        sigma = eta * ((1 - following) / (1 - now) * (1 - now / following)) ** 0.5
        predicted = predict_noise(x, torch.full((len(x),), index, device=x.device))
        x = scale * x + ((1 - following - sigma**2) ** 0.5 - scale * (1 - now) ** 0.5) * predicted
        if sigma > 0 and noise is not None:
            x = x + sigma * noise(index)
    return x


def ddpm(
    predict_noise: NoisePredictor,
    x_init: Tensor,
    schedule: Schedule,
    noise: StepNoise,
    num_steps: int | None = None,
) -> Tensor:
    """Ancestral sampling with variance β (Ho et al. 2020, arXiv 2006.11239, algorithm 2).

    A step from index t to s is x_s = (x_t − β ε_θ(x_t, t)/√(1−ᾱ_t))/√(1−β) + √β ξ with β = 1 − ᾱ_t/ᾱ_s, which is the
    schedule's own β where every index is visited (Nichol and Dhariwal 2021, arXiv 2102.09672, section 4).

    Args:
        predict_noise: ε_θ(x_t, index).
        x_init: (B, \\*) standard normal.
        schedule: Noise schedule the predictor was trained with.
        noise: ξ of each step but the last.
        num_steps: Number of evenly spaced indices visited; None for all.

    Returns:
        Samples (B, \\*).

    Raises:
        ParameterError: ``num_steps`` outside [1, schedule.num_steps].
    """
    indices, alpha_bar = _visited(schedule, schedule.num_steps if num_steps is None else num_steps)
    x = x_init
    for step, index in enumerate(indices):
        now, following = alpha_bar[step], alpha_bar[step + 1]
        beta = 1 - now / following
        predicted = predict_noise(x, torch.full((len(x),), index, device=x.device))
        x = (x - beta / (1 - now) ** 0.5 * predicted) / (1 - beta) ** 0.5
        if step + 1 < len(indices):
            x = x + beta**0.5 * noise(index)
    return x


class Sampler(Protocol):
    """How samples are drawn with a noise predictor."""

    @property
    def num_steps(self) -> int:
        """Number of calls of the predictor."""

    @property
    def name(self) -> str:
        """Name in tables and folders, such as ``ddim-50``."""

    def __call__(self, predict_noise: NoisePredictor, x_init: Tensor, schedule: Schedule, noise: StepNoise) -> Tensor:
        """Samples (B, \\*) from ``x_init`` (B, \\*), standard normal; ``noise`` as in :func:`ddpm`."""


@dataclass(frozen=True)
class DDIMSampler:
    """:func:`ddim` with its number of steps and η.

    Raises:
        ParameterError: ``num_steps`` below 1, or ``eta`` outside [0, 1].
    """

    num_steps: int = 200
    eta: float = 0.0

    def __post_init__(self) -> None:
        require_at_least(1, num_steps=self.num_steps)
        _check_eta(self.eta)

    @property
    def name(self) -> str:
        return f"ddim{f'{self.eta:g}' if self.eta else ''}-{self.num_steps}"

    def __call__(self, predict_noise: NoisePredictor, x_init: Tensor, schedule: Schedule, noise: StepNoise) -> Tensor:
        return ddim(predict_noise, x_init, schedule, self.num_steps, self.eta, noise)


@dataclass(frozen=True)
class DDPMSampler:
    """:func:`ddpm` with its number of steps.

    Raises:
        ParameterError: ``num_steps`` below 1.
    """

    num_steps: int = 1000

    def __post_init__(self) -> None:
        require_at_least(1, num_steps=self.num_steps)

    @property
    def name(self) -> str:
        return f"ddpm-{self.num_steps}"

    def __call__(self, predict_noise: NoisePredictor, x_init: Tensor, schedule: Schedule, noise: StepNoise) -> Tensor:
        return ddpm(predict_noise, x_init, schedule, noise, self.num_steps)


def make_sampler(sampler: str, num_steps: int) -> Sampler:
    """The sampler called ``"ddim"``, ``"ddim:ETA"`` or ``"ddpm"``.

    Raises:
        ParameterError: Another name, an η outside [0, 1], or a number of steps below 1.
    """
    kind, _, eta = sampler.partition(":")
    if kind == "ddpm" and not eta:
        return DDPMSampler(num_steps)
    try:
        if kind == "ddim":
            return DDIMSampler(num_steps, float(eta or 0))
    except ValueError as error:
        if isinstance(error, ParameterError) and error.what == "num_steps":
            raise
    raise ParameterError("sampler", got=repr(sampler), expected="ddim, ddim:ETA with 0 <= ETA <= 1, or ddpm")


def trajectory(
    sampler: Sampler, predict_noise: NoisePredictor, x_init: Tensor, schedule: Schedule, noise: StepNoise
) -> dict[int, Tensor]:
    """The states x_t (B, \\*) that ``sampler`` asks ``predict_noise`` about, by index, in the order of their visits."""
    states: dict[int, Tensor] = {}

    def recorded(x: Tensor, index: Tensor) -> Tensor:
        states[int(index[0])] = x
        return predict_noise(x, index)

    sampler(recorded, x_init, schedule, noise)
    return states


def check_sampling_steps(num_steps: int, schedule: Schedule) -> None:
    """Raise ParameterError for a number of sampling steps outside [1, schedule.num_steps]."""
    if not 1 <= num_steps <= schedule.num_steps:
        raise ParameterError("num_steps", got=num_steps, expected=f"1 to {schedule.num_steps}")


def _visited(schedule: Schedule, num_steps: int) -> tuple[list[int], list[float]]:
    """The indices in the order of their visits, and their ᾱ followed by 1."""
    check_sampling_steps(num_steps, schedule)
    indices = torch.linspace(schedule.num_steps - 1, 0, num_steps).long().tolist()
    return indices, [*schedule.alpha_bar[indices].tolist(), 1.0]


def _check_eta(eta: float) -> None:
    if not 0 <= eta <= 1:
        raise ParameterError("eta", got=eta, expected="0 <= eta <= 1")
