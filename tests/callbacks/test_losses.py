"""L_train and L_test of a known predictor, at one time and at several."""

import numpy as np
import pytest
import torch
from hand_made import Echo, snapshot

from diffmem import rng
from diffmem.callbacks import Losses, ScoreDistance, Snapshot
from diffmem.data import Gaussian
from diffmem.errors import ConfigError
from diffmem.models import DDPM


class Zero(torch.nn.Module):
    def forward(self, x, index):
        return torch.zeros_like(x)


class Optimal(torch.nn.Module):
    """E[ε | x_t] for N(0, I): √Δ_t x_t, whose loss is the signal's share e^{−2t}."""

    def __init__(self):
        super().__init__()
        self.schedule = DDPM(torch.nn.Identity()).schedule

    def forward(self, x, index):
        return (1 - self.schedule.alpha_bar[index]).sqrt().float()[:, None] * x


def snapshot_of(network, folder):
    data = Gaussian(n=200, dimension=20, num_test=300)
    data.setup()
    return Snapshot(0, torch.empty(0, 20), range(0), 0, DDPM(network), data, folder)


def test_a_predictor_of_zero_has_loss_one_and_the_optimal_one_the_share_of_the_signal(tmp_path):
    zero = Losses(num_draws=4).measure(snapshot_of(Zero(), tmp_path))
    assert [zero["loss_train"], zero["loss_test"]] == pytest.approx([1, 1], abs=0.05)
    optimal = Optimal()
    times = [0.1, 1.0]
    columns = Losses(t=times, num_draws=4).measure(snapshot_of(optimal, tmp_path))
    for suffix, t in (("", 0.1), ("_t1", 1.0)):
        share = optimal.schedule.alpha_bar[optimal.schedule.index_of(t)].item()
        assert columns[f"loss_test{suffix}"] == pytest.approx(share, abs=0.03)
        gap = columns[f"loss_test{suffix}"] - columns[f"loss_train{suffix}"]
        assert columns[f"loss_gen{suffix}"] == gap
        assert columns[f"loss_train{suffix}_std"] > 0


def test_the_first_of_several_times_has_the_names_and_numbers_that_it_has_alone(tmp_path):
    snapshot = snapshot_of(Optimal(), tmp_path)
    alone = Losses(t=0.01).measure(snapshot)
    assert set(alone) == {"loss_t", "loss_train", "loss_train_std", "loss_test", "loss_test_std", "loss_gen"}
    both = Losses(t=[0.01, 0.1]).measure(snapshot)
    assert {name: both[name] for name in alone} == alone
    second = Losses(t=0.1).measure(snapshot)
    assert both["loss_test_t0.1"] == second["loss_test"]


@pytest.mark.parametrize("t", [[], [0.1, 0.1]])
def test_times_must_be_there_and_differ(t):
    with pytest.raises(ConfigError, match=r"losses\.t"):
        Losses(t=t)


TRAIN = [[0.0, 0.0], [1.0, 2.0], [3.0, -1.0]]
HELD_OUT = [[10.0, 0.0], [0.0, 20.0]]


def expected(images, name, draw, t=0.01, seed=0):
    """Mean over images and dimensions of the squared error at this draw."""
    index = DDPM(Echo()).schedule.index_of(t)
    alpha_bar = DDPM(Echo()).schedule.alpha_bar[index].item()
    noise = rng.normals(seed, f"loss/{name}/{draw}", range(len(images)), (2,)).numpy()
    return np.mean((alpha_bar**0.5 * np.array(images) + ((1 - alpha_bar) ** 0.5 - 1) * noise) ** 2)


@pytest.mark.parametrize("batch_size", [1, 2, 512])
def test_columns_are_means_over_the_images_and_draws(batch_size):
    columns = Losses(num_draws=3, batch_size=batch_size).measure(
        snapshot([[0.0, 0.0]], TRAIN, HELD_OUT, model=DDPM(Echo()))
    )
    train, test = ([expected(*each, draw) for draw in range(3)] for each in ((TRAIN, "train"), (HELD_OUT, "test")))
    assert columns == {
        "loss_train": pytest.approx(np.mean(train), rel=1e-5),
        "loss_train_std": pytest.approx(np.std(train, ddof=1), rel=1e-4),
        "loss_test": pytest.approx(np.mean(test), rel=1e-5),
        "loss_test_std": pytest.approx(np.std(test, ddof=1), rel=1e-4),
        "loss_gen": pytest.approx(np.mean(test) - np.mean(train), rel=1e-5),
        "loss_t": 0.01,
    }
    assert columns["loss_test"] > 20 * columns["loss_train"], "the held-out images are far out"
    assert len({*train, *test}) == 6, "every draw and both sets have noise of their own"


def test_a_single_draw_has_no_deviation():
    columns = Losses(num_draws=1).measure(snapshot([[0.0, 0.0]], TRAIN, HELD_OUT, model=DDPM(Echo())))
    assert columns["loss_train_std"] is columns["loss_test_std"] is None


@pytest.mark.parametrize("make", [Losses, ScoreDistance])
def test_times_that_would_share_a_column_are_refused(make):
    with pytest.raises(ConfigError, match=r"\.t: got \[0\.01, 0\.1, 0\.1000001\]"):
        make(t=[0.01, 0.1, 0.1000001])
    make(t=[0.01, 0.1, 0.11])
