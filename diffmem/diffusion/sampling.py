"""Samplers: pure functions from starting noise to samples."""

from collections.abc import Callable

import torch
from torch import Tensor

from diffmem.diffusion.objective import NoisePredictor
from diffmem.diffusion.schedule import LinearSchedule, Schedule
from diffmem.errors import ConfigError


def ddim(predict_noise: NoisePredictor, x_init: Tensor, schedule: Schedule, num_steps: int) -> Tensor:
    """Deterministic DDIM (Song et al. 2021, arXiv 2010.02502, equation 12 with η = 0).

    The visited indices are ``num_steps`` evenly spaced ones from the last down to 0; the last update goes to ᾱ = 1.

    Args:
        predict_noise: ε_θ(x_t, index).
        x_init: (B, \\*) standard normal.
        schedule: Noise schedule the predictor was trained with.
        num_steps: Number of evaluations of ``predict_noise``, at most ``schedule.num_steps``.

    Returns:
        Samples (B, \\*).

    Raises:
        ConfigError: ``num_steps`` outside [1, schedule.num_steps].
    """
    check_sampling_steps(num_steps, schedule)
    indices = torch.linspace(schedule.num_steps - 1, 0, num_steps).long().tolist()
    alpha_bar = [*schedule.alpha_bar[indices].tolist(), 1.0]
    x = x_init
    for step, index in enumerate(indices):
        now, following = alpha_bar[step], alpha_bar[step + 1]
        scale = (following / now) ** 0.5
        noise = predict_noise(x, torch.full((len(x),), index, device=x.device))
        x = scale * x + ((1 - following) ** 0.5 - scale * (1 - now) ** 0.5) * noise
    return x


def check_sampling_steps(num_steps: int, schedule: Schedule) -> None:
    """Raise ConfigError for a number of DDIM steps outside [1, schedule.num_steps]."""
    if not 1 <= num_steps <= schedule.num_steps:
        raise ConfigError(
            "evaluation.sampling_steps",
            got=num_steps,
            expected=f"1 to {schedule.num_steps}",
            remedy="set --evaluation.sampling_steps",
        )


def ddpm(
    predict_noise: NoisePredictor, x_init: Tensor, schedule: LinearSchedule, noise: Callable[[int], Tensor]
) -> Tensor:
    """Ancestral sampling over all steps with variance β (Ho et al. 2020, algorithm 2).

    Args:
        predict_noise: ε_θ(x_t, index).
        x_init: (B, \\*) standard normal.
        schedule: Noise schedule the predictor was trained with.
        noise: ``noise(index)`` → the standard normal (B, \\*) added on leaving ``index``; not asked for at index 0.

    Returns:
        Samples (B, \\*).
    """
    x = x_init
    for index in reversed(range(schedule.num_steps)):
        beta, alpha_bar = schedule.beta[index].item(), schedule.alpha_bar[index].item()
        predicted = predict_noise(x, torch.full((len(x),), index, device=x.device))
        x = (x - beta / (1 - alpha_bar) ** 0.5 * predicted) / (1 - beta) ** 0.5
        if index > 0:
            x = x + beta**0.5 * noise(index)
    return x
