"""Samplers against Gaussian data x ~ N(μ, σ²), whose exact predictor and whose trajectories are known."""

import itertools

import pytest
import torch

from diffmem.diffusion.sampling import ddim, ddpm
from diffmem.diffusion.schedule import LinearSchedule
from diffmem.errors import ConfigError

MEAN, STD = 0.7, 0.3


def exact_predictor(schedule):
    def predict(x, index):
        alpha_bar = schedule.alpha_bar[index].to(x)[:, None]
        variance = alpha_bar * STD**2 + 1 - alpha_bar
        return (1 - alpha_bar).sqrt() * (x - alpha_bar.sqrt() * MEAN) / variance

    return predict


def test_ddim_follows_the_probability_flow():
    """The flow maps x_T to μ + σ (x_T − √ᾱ_T μ) / √(ᾱ_T σ² + 1 − ᾱ_T); DDIM is a scheme of first order for it."""
    schedule = LinearSchedule()
    x_init = torch.linspace(-3, 3, 13, dtype=torch.float64)[:, None]
    alpha_bar = schedule.alpha_bar[-1]
    exact = MEAN + STD * (x_init - alpha_bar.sqrt() * MEAN) / (alpha_bar * STD**2 + 1 - alpha_bar).sqrt()
    errors = [
        (ddim(exact_predictor(schedule), x_init, schedule, steps) - exact).abs().max().item()
        for steps in (50, 200, 1000)
    ]
    assert errors[2] < 0.01
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


@pytest.mark.parametrize("steps", [1, 2, 7, 1000])
def test_ddim_calls_the_network_once_a_step_from_the_last_index_to_the_first(steps):
    schedule, seen = LinearSchedule(), []

    def predict(x, index):
        seen.append(index[0].item())
        return torch.zeros_like(x)

    samples = ddim(predict, torch.ones(2, 1), schedule, steps)
    assert len(seen) == steps
    assert seen[0] == 999
    assert steps == 1 or seen[-1] == 0
    assert all(a > b for a, b in itertools.pairwise(seen))
    assert torch.allclose(samples, torch.full((2, 1), schedule.alpha_bar[-1].item() ** -0.5))


def test_ddpm_reaches_the_law_of_the_data():
    schedule = LinearSchedule()
    generator = torch.Generator().manual_seed(0)
    x_init = torch.randn(20_000, 1, generator=generator)
    samples = ddpm(exact_predictor(schedule), x_init, schedule, lambda _: torch.randn(20_000, 1, generator=generator))
    assert samples.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert samples.std().item() == pytest.approx(STD, rel=0.03)


@pytest.mark.parametrize("steps", [0, 1001])
def test_impossible_step_counts_are_refused(steps):
    with pytest.raises(ConfigError, match="sampling_steps"):
        ddim(lambda x, _: x, torch.zeros(1, 1), LinearSchedule(), steps)
