"""Times at which the gap of the losses reaches a level or a share of its end, against the curves themselves."""

import math

import pytest
import torch

from diffmem.theory.criteria import CRITERIA, LEVEL, SHARE, crossings, time_grid
from diffmem.theory.dynamics import TrainingDynamics
from diffmem.theory.simulation import feature_weights, gaussian_images, population_moments, training_moments


@pytest.fixture(scope="module")
def run() -> TrainingDynamics:
    covariance = torch.ones(12, dtype=torch.float64)
    W = feature_weights(96, 12, 0).float()
    U, V = training_moments(W, gaussian_images(240, covariance, 0).float(), 0.1)
    return TrainingDynamics(U, V, 8, 0.1, population_moments(W, covariance, 0.1))


def test_the_gap_has_its_level_at_the_time_found(run):
    table = crossings(run)
    assert list(zip(table["criterion"], table["level"], strict=True)) == list(CRITERIA)
    assert {LEVEL, SHARE} == set(table["criterion"])
    end = run.curves([math.inf]).generalization_loss[0]
    assert table["final_gap"].tolist() == pytest.approx([end] * len(table))
    for row in table.dropna().itertuples():
        wanted = row.level if row.criterion == LEVEL else row.level * end
        assert run.curves([row.tau]).generalization_loss[0] == pytest.approx(wanted, rel=0.01)


def test_the_time_found_is_the_first_and_no_number_stands_for_a_level_not_reached(run):
    times = time_grid(run)
    gap = run.curves(times).generalization_loss
    for row in crossings(run).itertuples():
        wanted = row.level if row.criterion == LEVEL else row.level * row.final_gap
        assert math.isnan(row.tau) == (gap.max() < wanted)
        assert not (gap[times < 0.98 * row.tau] >= wanted).any()
    assert crossings(run)["tau"].isna().any()
    assert not crossings(run)["tau"].isna().all()
