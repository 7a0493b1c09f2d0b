"""Training objective: mean squared error of the predicted noise (Ho et al. 2020, equation 14)."""

from collections.abc import Callable

from torch import Tensor

from diffmem.diffusion.schedule import Schedule

#: ``predict_noise(x_t, index)``: x_t (B, \*), index (B,) int64 → the predicted ξ (B, \*).
NoisePredictor = Callable[[Tensor, Tensor], Tensor]


def add_noise(x: Tensor, noise: Tensor, index: Tensor, schedule: Schedule) -> Tensor:
    """x_t = √ᾱ x + √(1−ᾱ) ξ for ``x``, ``noise`` (B, \\*) at diffusion steps ``index`` (B,)."""
    signal, deviation = schedule.signal_and_noise(index, x)
    return signal * x + deviation * noise


def noise_prediction_loss(
    predict_noise: NoisePredictor, x: Tensor, noise: Tensor, index: Tensor, schedule: Schedule
) -> Tensor:
    """‖ε_θ(x_t, index) − ξ‖² / d for each of the B images, (B,)."""
    error = predict_noise(add_noise(x, noise, index, schedule), index) - noise
    return error.square().flatten(1).mean(1)


def score_of(predict_noise: NoisePredictor, x_t: Tensor, index: Tensor, schedule: Schedule) -> Tensor:
    """Score −ε_θ(x_t, index)/√(1−ᾱ) of ``x_t`` (B, \\*) at diffusion steps ``index`` (B,)."""
    _, deviation = schedule.signal_and_noise(index, x_t)
    return -predict_noise(x_t, index) / deviation
