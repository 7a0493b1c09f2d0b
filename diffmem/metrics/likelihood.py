"""log p_θ by the likelihood integral of the probability flow (Song et al. 2021, arXiv 2011.13456, section 4.3).

In u = arcosh e^t, where √Δ = tanh u, the flow dx/dt = −x − s of a noise predictor is dx/du = ε_θ − √Δ x, smooth at both
ends, and log p(x(0)) = log p(x(u)) + ∫ (∇·ε_θ − d√Δ) du with the exact divergence. At the last time x is normal.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from diffmem.diffusion.objective import NoisePredictor
from diffmem.diffusion.schedule import Schedule
from diffmem.errors import ParameterError


def log_likelihood(predict_noise: NoisePredictor, x: Tensor, schedule: Schedule, num_steps: int = 100) -> Tensor:
    """log p_θ(x) in nats, (N,) float64, of the law that DDIM samples in the limit of many steps.

    Heun's rule between ``num_steps`` evenly spaced diffusion steps, from t = 0 to the last. The divergence takes a
    backward pass for each dimension, so the integral is meant for few dimensions.

    Args:
        predict_noise: ε_θ(x_t, index), differentiable in x_t.
        x: (N, d).
        schedule: Noise schedule the predictor was trained with.
        num_steps: Number of diffusion steps visited, 2 to ``schedule.num_steps``.

    Raises:
        ParameterError: ``num_steps`` outside that range.
    """
    check_num_steps(num_steps, schedule)
    indices = torch.linspace(0, schedule.num_steps - 1, num_steps).long().tolist()
    deviation = (1 - schedule.alpha_bar[indices]).sqrt()
    widths = torch.diff(torch.atanh(deviation), prepend=torch.zeros(1)).tolist()

    def flow(place: int, x: Tensor) -> tuple[Tensor, Tensor]:
        noise, divergence = _with_divergence(predict_noise, x, indices[place])
        scale = deviation[place].item()
        return noise - scale * x, divergence - x.shape[1] * scale

    x = x.detach().clone()
    integral = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for place, width in enumerate(widths):  # from u = 0 to the first step the predictor is that of the first step
        slope, divergence = flow(max(place - 1, 0), x)
        end_slope, end_divergence = flow(place, x + width * slope)
        x = x + width / 2 * (slope + end_slope)
        integral += width / 2 * (divergence + end_divergence)
    return _standard_normal(x.double()) + integral


def kl_divergence(
    log_density: Callable[[Tensor], Tensor],
    predict_noise: NoisePredictor,
    points: Tensor,
    schedule: Schedule,
    num_steps: int = 100,
) -> Tensor:
    """log P₀(x) − log p_θ(x) in nats at each of ``points`` (N, d) from P₀, (N,): its mean estimates KL(P₀‖P_θ)."""
    return log_density(points) - log_likelihood(predict_noise, points, schedule, num_steps)


def check_num_steps(num_steps: int, schedule: Schedule) -> None:
    """Raise ParameterError for a number of steps of the integral outside [2, schedule.num_steps]."""
    if not 2 <= num_steps <= schedule.num_steps:
        raise ParameterError("num_steps", got=num_steps, expected=f"2 to {schedule.num_steps}")


def _with_divergence(predict_noise: NoisePredictor, x: Tensor, index: int) -> tuple[Tensor, Tensor]:
    """ε_θ (N, d) and its divergence (N,) float64, also inside ``torch.inference_mode``."""
    with torch.inference_mode(False), torch.enable_grad():
        x = x.clone().requires_grad_()
        noise = predict_noise(x, torch.full((len(x),), index, device=x.device))
        divergence = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        for column in range(x.shape[1]):
            (row,) = torch.autograd.grad(noise[:, column].sum(), x, retain_graph=column + 1 < x.shape[1])
            divergence += row[:, column].double()
    return noise.detach(), divergence


def _standard_normal(x: Tensor) -> Tensor:
    return -x.square().sum(1) / 2 - x.shape[1] / 2 * math.log(2 * math.pi)
