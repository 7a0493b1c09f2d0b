"""Samplers against Gaussian data x ~ N(μ, σ²), whose exact predictor and whose trajectories are known."""

import itertools

import pytest
import torch

from diffmem.diffusion.sampling import DDIMSampler, DDPMSampler, ddim, ddpm, make_sampler
from diffmem.diffusion.schedule import LinearSchedule
from diffmem.errors import ParameterError

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


def gaussian_noise(seed, shape):
    generator = torch.Generator().manual_seed(seed)
    return lambda _=None: torch.randn(shape, generator=generator)


@pytest.mark.parametrize("sampler", [DDPMSampler(1000), DDPMSampler(250), DDIMSampler(250, eta=1.0), DDIMSampler(250)])
def test_samplers_reach_the_law_of_the_data(sampler):
    schedule, noise = LinearSchedule(), gaussian_noise(0, (20_000, 1))
    samples = sampler(exact_predictor(schedule), noise(), schedule, noise)
    assert samples.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert samples.std().item() == pytest.approx(STD, rel=0.03 if sampler.num_steps == 1000 else 0.08)


def test_at_all_steps_ddpm_is_algorithm_2_of_ho():
    schedule, noise = LinearSchedule(20), gaussian_noise(1, (3, 2))
    predict, x = exact_predictor(schedule), noise()
    steps = {index: noise() for index in range(1, 20)}
    found = ddpm(predict, x, schedule, steps.__getitem__)
    for t in reversed(range(20)):
        beta, alpha_bar = schedule.beta[t], torch.prod(1 - schedule.beta[: t + 1])
        x = (x - beta / (1 - alpha_bar).sqrt() * predict(x, torch.full((3,), t))) / (1 - beta).sqrt()
        x = x + beta.sqrt() * steps[t] if t else x
    torch.testing.assert_close(found, x.float(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("steps", "eta"), [(1000, 1.0), (50, 1.0), (50, 0.5), (7, 0.0)])
def test_a_ddim_step_has_the_mean_and_the_deviation_of_the_paper(steps, eta):
    """At every step, the last ones among them, where ᾱ is far from 0.

    Song et al. 2021, equation 7: N(√ᾱ_s x_0 + √(1−ᾱ_s−σ²) ε, σ²), x_0 as predicted; σ is η times the deviation of
    q(x_s | x_t, x_0), √(β (1−ᾱ_s)/(1−ᾱ_t)) of Ho et al. 2020, equation 7, whose mean that is at η = 1.
    """
    schedule, seen = LinearSchedule(), []

    def predict(x, index):
        seen.append((x, index[0].item()))
        return torch.full_like(x, 0.3)

    drawn = gaussian_noise(3, (2, 1))
    draws = {}
    final = ddim(predict, drawn().double(), schedule, steps, eta, lambda index: draws.setdefault(index, drawn()))
    for (x_t, t), (x_s, s) in itertools.pairwise([*seen, (final, None)]):
        now, following = schedule.alpha_bar[t].item(), 1.0 if s is None else schedule.alpha_bar[s].item()
        beta, x_0 = 1 - now / following, (x_t - (1 - now) ** 0.5 * 0.3) / now**0.5
        deviation = eta * (beta * (1 - following) / (1 - now)) ** 0.5
        mean = following**0.5 * x_0 + (1 - following - deviation**2) ** 0.5 * 0.3
        if eta == 1:
            of_x_t = (1 - beta) ** 0.5 * (1 - following) / (1 - now)
            torch.testing.assert_close(mean, following**0.5 * beta / (1 - now) * x_0 + of_x_t * x_t)
        noise = draws.get(t, 0)
        torch.testing.assert_close(x_s, mean + deviation * noise)
    assert sorted(draws) == (sorted(t for _, t in seen[:-1]) if eta else [])


def test_samplers_have_names_and_are_made_from_them():
    assert make_sampler("ddim", 50) == DDIMSampler(50)
    assert make_sampler("ddim:0.5", 50).name == "ddim0.5-50"
    assert make_sampler("ddpm", 1000).name == "ddpm-1000"


@pytest.mark.parametrize("sampler", ["ddim:2", "ddim:a", "ddpm:1", "euler"])
def test_other_names_are_refused(sampler):
    with pytest.raises(ParameterError, match="sampler: got"):
        make_sampler(sampler, 10)


@pytest.mark.parametrize("steps", [0, 1001])
def test_impossible_step_counts_are_refused_by_the_name_of_the_argument(steps):
    with pytest.raises(ParameterError, match=r"^num_steps: got .*; change num_steps$"):
        ddim(lambda x, _: x, torch.zeros(1, 1), LinearSchedule(), steps)


def test_noise_that_is_missing_is_named():
    with pytest.raises(ParameterError, match=r"^noise: got None"):
        ddim(lambda x, _: x, torch.zeros(1, 1), LinearSchedule(), 5, eta=0.5)
