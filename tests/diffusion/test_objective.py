import torch

from diffmem.diffusion.objective import add_noise, noise_prediction_loss
from diffmem.diffusion.schedule import LinearSchedule


def test_each_image_meets_its_own_diffusion_step():
    schedule = LinearSchedule()
    x, noise = torch.full((3, 1, 2, 2), 2.0), torch.full((3, 1, 2, 2), -1.0)
    index = torch.tensor([0, 500, 999])
    noisy = add_noise(x, noise, index, schedule)
    for row, k in enumerate(index.tolist()):
        alpha_bar = schedule.alpha_bar[k].item()
        assert torch.allclose(noisy[row], torch.full((1, 2, 2), 2 * alpha_bar**0.5 - (1 - alpha_bar) ** 0.5))


def test_loss_is_zero_for_the_truth_and_one_for_silence():
    generator = torch.Generator().manual_seed(0)
    x, noise = (torch.randn(400, 1, 8, 8, generator=generator) for _ in range(2))
    index = torch.full((400,), 40)
    schedule = LinearSchedule()
    assert noise_prediction_loss(lambda *_: noise, x, noise, index, schedule).abs().max() == 0
    silent = noise_prediction_loss(lambda x_t, _: torch.zeros_like(x_t), x, noise, index, schedule)
    assert silent.shape == (400,)
    assert abs(silent.mean().item() - 1) < 0.02
