"""The likelihood integral on laws whose density is known."""

import math

import pytest
import torch

from diffmem import rng
from diffmem.diffusion.schedule import LinearSchedule
from diffmem.diffusion.scores import GaussianMixture, gaussian, symmetric_mixture
from diffmem.errors import ConfigError
from diffmem.metrics.likelihood import kl_divergence, log_likelihood

SCHEDULE = LinearSchedule()


def exact_predictor(law: GaussianMixture):
    """ε = −√Δ ∇log P_t of ``law``."""

    def predict_noise(x, index):
        t = SCHEDULE.time[index[0]].item()
        deviation = math.sqrt(1 - SCHEDULE.alpha_bar[index[0]].item())
        return (-deviation * law.score(x, t)).to(x)

    return predict_noise


def draws(law: GaussianMixture, num: int) -> torch.Tensor:
    generator = rng.stream(0, "draws")
    return torch.stack([law.draw(generator) for _ in range(num)]).double()


@pytest.mark.parametrize("law", [gaussian(torch.tensor([0.5, 1.0, 1.5])), symmetric_mixture(torch.ones(4))])
def test_the_exact_score_gives_the_exact_density(law):
    x = draws(law, 50)
    found = log_likelihood(exact_predictor(law), x, SCHEDULE, 50)
    assert torch.allclose(found, law.log_density(x), atol=2e-3)


def test_kl_of_two_gaussians():
    truth, model = torch.tensor([1.0, 0.5, 2.0]), torch.tensor([1.5, 1.0, 1.0])
    x = draws(gaussian(truth), 1000)
    found = kl_divergence(gaussian(truth).log_density, exact_predictor(gaussian(model)), x, SCHEDULE, 50)
    expected = ((truth / model - 1 - (truth / model).log()) / 2).sum().item()
    pointwise = gaussian(truth).log_density(x) - gaussian(model).log_density(x)
    assert found.mean().item() == pytest.approx(pointwise.mean().item(), abs=1e-3)
    assert abs(found.mean().item() - expected) < 4 * found.std().item() / math.sqrt(len(x))


def test_it_integrates_inside_inference_mode_and_leaves_no_gradient():
    network = torch.nn.Linear(3, 3)
    x = torch.randn(5, 3)

    def predict_noise(x, index):
        return network(x)

    outside = log_likelihood(predict_noise, x, SCHEDULE, 10)
    with torch.inference_mode():
        inside = log_likelihood(predict_noise, x.clone(), SCHEDULE, 10)
    assert torch.equal(inside, outside)
    assert not outside.requires_grad
    assert network.weight.grad is None


@pytest.mark.parametrize("num_steps", [1, 1001])
def test_an_impossible_number_of_steps_is_refused(num_steps):
    with pytest.raises(ConfigError, match=r"^num_steps: got"):
        log_likelihood(lambda x, index: x, torch.zeros(1, 2), SCHEDULE, num_steps)
