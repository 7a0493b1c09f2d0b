"""The objective against its formulas, and one exact predictor of Gaussian data expressed in each target."""

import itertools

import pytest
import torch

from diffmem.diffusion.objective import Objective, add_noise, noise_prediction_loss, score_of
from diffmem.diffusion.sampling import ddim, ddpm
from diffmem.diffusion.schedule import LinearSchedule
from diffmem.errors import ConfigError

TARGETS = ("epsilon", "sample", "velocity")
MEAN, STD = 0.7, 0.3
SCHEDULE = LinearSchedule()


def batch(size=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x, noise = (torch.randn(size, 1, 2, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    return MEAN + STD * x, noise, torch.randint(1, 1000, (size,), generator=generator)


def posterior_mean(x_t, index):
    """E[x | x_t] for x ~ N(MEAN, STD²), the best prediction of the image."""
    a = SCHEDULE.alpha_bar[index].reshape(-1, 1, 1, 1)
    return MEAN + a.sqrt() * STD**2 / (a * STD**2 + 1 - a) * (x_t - a.sqrt() * MEAN)


def exact_network(target):
    """The best prediction of ``target``, by the definitions of the noise and of the velocity."""

    def network(x_t, index):
        a = SCHEDULE.alpha_bar[index].reshape(-1, 1, 1, 1)
        x = posterior_mean(x_t, index)
        noise = (x_t - a.sqrt() * x) / (1 - a).sqrt()
        return {"epsilon": noise, "sample": x, "velocity": a.sqrt() * noise - (1 - a).sqrt() * x}[target]

    return network


def predict_noise(target):
    network, objective = exact_network(target), Objective(SCHEDULE, target)
    return lambda x_t, index: objective.noise(network(x_t, index), x_t, index)


def test_each_image_meets_its_own_diffusion_step():
    x, noise = torch.full((3, 1, 2, 2), 2.0), torch.full((3, 1, 2, 2), -1.0)
    index = torch.tensor([0, 500, 999])
    noisy = add_noise(x, noise, index, SCHEDULE)
    for row, k in enumerate(index.tolist()):
        alpha_bar = SCHEDULE.alpha_bar[k].item()
        assert torch.allclose(noisy[row], torch.full((1, 2, 2), 2 * alpha_bar**0.5 - (1 - alpha_bar) ** 0.5))


def test_loss_is_zero_for_the_truth_and_one_for_silence():
    generator = torch.Generator().manual_seed(0)
    x, noise = (torch.randn(400, 1, 8, 8, generator=generator) for _ in range(2))
    index = torch.full((400,), 40)
    assert noise_prediction_loss(lambda *_: noise, x, noise, index, SCHEDULE).abs().max() == 0
    silent = noise_prediction_loss(lambda x_t, _: torch.zeros_like(x_t), x, noise, index, SCHEDULE)
    assert silent.shape == (400,)
    assert abs(silent.mean().item() - 1) < 0.02


@pytest.mark.parametrize("target", TARGETS)
def test_the_true_target_is_the_noise_and_costs_nothing(target):
    x, noise, index = batch()
    objective = Objective(SCHEDULE, target)
    truth = objective.target(x, noise, index)
    torch.testing.assert_close(objective.noise(truth, add_noise(x, noise, index, SCHEDULE), index), noise)
    assert objective.losses(lambda *_: truth, x, noise, index).abs().max() == 0


@pytest.mark.parametrize("target", TARGETS[1:])
def test_one_predictor_has_one_score_one_loss_and_one_sample_in_every_target(target):
    x, noise, index = batch()
    reference, other = predict_noise("epsilon"), predict_noise(target)
    x_t = add_noise(x, noise, index, SCHEDULE)
    a = SCHEDULE.alpha_bar[index].reshape(-1, 1, 1, 1)
    score = score_of(other, x_t, index, SCHEDULE)
    torch.testing.assert_close(score, -(x_t - a.sqrt() * MEAN) / (a * STD**2 + 1 - a))
    both = [noise_prediction_loss(each, x, noise, index, SCHEDULE) for each in (reference, other)]
    torch.testing.assert_close(*both)
    torch.testing.assert_close(*(ddim(each, noise, SCHEDULE, 20) for each in (reference, other)))

    def fresh(index):
        return torch.randn(4, 1, 2, 2, generator=torch.Generator().manual_seed(index), dtype=torch.float64)

    torch.testing.assert_close(*(ddpm(each, noise[:4], SCHEDULE, fresh) for each in (reference, other)))


def test_velocity_is_the_derivative_along_the_angle():
    """With √ᾱ = cos φ, x_t = cos φ x + sin φ ξ and v = dx_t/dφ (Salimans and Ho 2022, appendix D)."""
    x, noise, index = batch(8)
    phi = SCHEDULE.alpha_bar[index].sqrt().acos().reshape(-1, 1, 1, 1)
    step = 1e-6
    ahead, behind = ((phi + s).cos() * x + (phi + s).sin() * noise for s in (step, -step))
    velocity = Objective(SCHEDULE, "velocity").target(x, noise, index)
    torch.testing.assert_close(velocity, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("target", "gamma"), list(itertools.product(TARGETS, (1.0, 5.0))))
def test_min_snr_weighs_the_error_of_the_image(target, gamma):
    """Whatever is predicted, the loss is min(SNR, γ) ‖x̂ − x‖² / d: the formula of Hang et al. 2023 for the image."""
    x, noise, index = batch()
    network = exact_network(target)
    found = Objective(SCHEDULE, target, gamma).losses(network, x, noise, index)
    a = SCHEDULE.alpha_bar[index]
    error = posterior_mean(add_noise(x, noise, index, SCHEDULE), index) - x
    expected = torch.minimum(a / (1 - a), torch.tensor(gamma)) * error.square().mean((1, 2, 3))
    torch.testing.assert_close(found, expected)


def test_what_makes_no_objective_is_refused():
    with pytest.raises(ConfigError, match="prediction"):
        Objective(SCHEDULE, "image")
    with pytest.raises(ConfigError, match="min_snr_gamma"):
        Objective(SCHEDULE, min_snr_gamma=0)
