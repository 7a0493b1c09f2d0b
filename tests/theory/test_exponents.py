"""Times at which the gap of the losses reaches a level, against the curves themselves."""

import math

import pandas as pd
import pytest
import torch

from diffmem.theory.dynamics import TrainingDynamics
from diffmem.theory.exponents import exponents, gap_times, power_law
from diffmem.theory.simulation import feature_weights, gaussian_images, population_moments, training_moments
from diffmem.theory.studies import Setting

SMALL = Setting(psi_p=8, t=0.01, dim=12)


def test_a_power_law_has_mean_one_and_decays():
    values = power_law(10, 1.5)
    assert values.mean().item() == pytest.approx(1)
    assert (values[0] / values[3]).item() == pytest.approx(8)
    assert torch.equal(power_law(4, 0.0), torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_the_gap_has_its_level_at_the_time_found(decay):
    table = gap_times(SMALL, [2.0], decay)
    covariance = power_law(12, decay)
    W = feature_weights(96, 12, 0).float()
    U, V = training_moments(W, gaussian_images(24, covariance, 0).float(), 0.01)
    run = TrainingDynamics(U, V, 8, 0.01, population_moments(W, covariance, 0.01))
    for row in table.itertuples():
        wanted = row.level if row.criterion == "L_gen" else row.level * row.final_gap
        assert run.curves([row.tau]).generalization_loss[0] == pytest.approx(wanted, rel=0.02)
    assert run.curves([math.inf]).generalization_loss[0] == pytest.approx(table["final_gap"][0], rel=1e-5)


def test_a_fixed_level_of_the_gap_comes_later_than_n_where_half_of_the_gap_does_not():
    times, summary = exponents(SMALL, [1.0, 2.0, 4.0], [0.0], seeds=2)
    assert len(times) == 2 * 3 * 7
    found = summary.set_index(["criterion", "level"])["exponent"]
    assert found["L_gen", 0.5] > 1.4
    assert 0.7 < found["share of the final L_gen", 0.5] < 1.2
    assert summary.set_index("criterion").loc["final L_gen", "exponent"] < -0.5
    one = pd.DataFrame(summary[summary["criterion"] == "L_gen"])
    assert (one["low"] < one["exponent"]).all()
    assert (one["points"] == 6).all()
