import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffmem.diffusion.schedule import LinearSchedule, SingleTime
from diffmem.errors import ConfigError


def test_alpha_bar_is_the_running_product():
    schedule = LinearSchedule()
    beta = [1e-4 + (2e-2 - 1e-4) * k / 999 for k in range(1000)]
    product = 1.0
    for k, value in enumerate(beta):
        product *= 1 - value
        assert schedule.alpha_bar[k].item() == pytest.approx(product, rel=1e-12)
    assert schedule.alpha_bar.dtype == torch.float64


@pytest.mark.parametrize(("t", "index"), [(0.01, 40), (0.1, 136)])
def test_times_of_the_paper(t, index):
    assert LinearSchedule().index_of(t) == index


@given(st.integers(0, 999))
def test_index_of_inverts_time(index):
    schedule = LinearSchedule()
    assert schedule.index_of(schedule.time[index].item()) == index


@pytest.mark.parametrize("arguments", [(1,), (10, 0.0), (10, 0.1, 0.05), (10, 0.1, 1.0)])
def test_impossible_schedules_are_refused(arguments):
    with pytest.raises(ConfigError):
        LinearSchedule(*arguments)


@pytest.mark.parametrize(("arguments", "name"), [((10, 1e-20, 0.1), "beta_start"), ((1000, 1e-4, 0.999), "beta_end")])
def test_betas_that_leave_no_noise_or_no_image_are_refused_by_name(arguments, name):
    with pytest.raises(ConfigError, match=rf"^{name}: got"):
        LinearSchedule(*arguments)


@pytest.mark.parametrize("arguments", [(1,), (1_000_001,)])
def test_too_few_and_too_many_steps_are_refused(arguments):
    with pytest.raises(ConfigError, match=r"^num_steps: got"):
        LinearSchedule(*arguments)


def test_signal_and_noise_are_the_roots_of_alpha_bar_in_the_shape_of_the_images():
    schedule, index = LinearSchedule(), torch.tensor([0, 400, 999])
    for shape in ((3,), (3, 5), (3, 1, 2, 2)):
        found = schedule.signal_and_noise(index, torch.zeros(shape))
        for values, expected in zip(found, (schedule.alpha_bar[index], 1 - schedule.alpha_bar[index]), strict=True):
            assert values.shape == (3, *[1] * (len(shape) - 1))
            assert values.dtype == torch.float32
            torch.testing.assert_close(values.flatten().double().square(), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("t", [0.0, -1.0, 100.0])
def test_times_outside_the_schedule_are_refused(t):
    with pytest.raises(ConfigError):
        LinearSchedule().index_of(t)


def test_a_single_time_is_exact_and_alone():
    schedule = SingleTime(0.1)
    assert schedule.index_of(0.1) == 0
    assert schedule.time[0].item() == pytest.approx(0.1, rel=1e-14)
    with pytest.raises(ConfigError, match=r"t: got 0\.01, expected 0\.1, the diffusion time the model"):
        schedule.index_of(0.01)
    with pytest.raises(ConfigError):
        SingleTime(0.0)
