"""The tables of the theory, against the curves and formulas that they are read from."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from diffmem.theory.simulation import feature_weights, gaussian_images, training_moments
from diffmem.theory.spectrum import bulks
from diffmem.theory.studies import (
    Setting,
    dynamics,
    measured_times,
    phase,
    predicted_times,
    score_exponent,
    summarize_times,
    training_runs,
)

SMALL = Setting(psi_p=8, t=0.1, dim=12)


def test_runs_of_several_sizes_are_those_of_the_first_images():
    W = feature_weights(96, 12, 0).float()
    X = gaussian_images(48, torch.ones(12, dtype=torch.float64), 0)
    for (ratio, run), num in zip(training_runs(SMALL, [4, 1, 4]), (12, 48), strict=True):
        U, _ = training_moments(W, X[:num], 0.1)
        assert ratio == num / 12
        assert run.eigenvalues.max().item() == pytest.approx(torch.linalg.eigvalsh(U.double()).max().item(), rel=1e-4)


def test_the_least_score_error_is_that_of_a_fine_grid_and_has_no_time_where_it_falls_to_the_end():
    times = np.geomspace(1e-1, 1e6, 60)
    ((_, run),) = training_runs(SMALL, [2])
    curves, summary = dynamics(SMALL, [2], times)
    fine = np.geomspace(1e-1, 1e6, 20_000)
    error = run.curves(fine).score_error
    assert summary["tau_best"][0] == pytest.approx(fine[error.argmin()], rel=0.01)
    assert summary["score_error_best"][0] == pytest.approx(error.min(), rel=1e-6)
    assert curves["loss_test"].iloc[-1] == pytest.approx(summary["loss_test_final"][0], rel=1e-3)
    early = dynamics(SMALL, [2], times[times < summary["tau_best"][0] / 3])[1]
    assert math.isnan(early["tau_best"][0])
    assert early["score_error_best"][0] > summary["score_error_best"][0]


def test_measured_times_have_their_share_of_the_final_gap():
    table = measured_times(SMALL, [1, 2])
    for (_, run), row in zip(training_runs(SMALL, [1, 2]), table.itertuples(), strict=True):
        gap = run.curves([row.tau_onset, row.tau_half, math.inf]).generalization_loss
        assert (gap[:2] / gap[2]).tolist() == pytest.approx([0.1, 0.5], rel=0.02)


def test_the_corner_of_a_phase_diagram_is_its_own_problem():
    table = phase(SMALL, [8, 2], [1, 4], [100.0]).set_index(["psi_p", "psi_n"])["generalization_loss"]
    ((_, run),) = training_runs(Setting(psi_p=2, t=0.1, dim=12), [4])
    assert table[2, 4] == pytest.approx(run.curves([100.0]).generalization_loss[0], rel=1e-3)


def test_predicted_times_are_those_of_the_bulks():
    (row,) = predicted_times(Setting(psi_p=64, t=0.01, dim=1), [8]).to_dict("records")
    assert row["bulks"] == "δ ρ₃ ρ₁ ρ₂"
    for bulk, key in zip(bulks(64, 8, 0.01)[1:], ("rho3", "rho1", "rho2"), strict=True):
        assert (row[f"tau_{key}_first"], row[f"tau_{key}_last"]) == pytest.approx(bulk.times(64, 0.01))
    assert row["tau_rho3_first"] < row["tau_third"] < row["tau_rho3_last"]


def test_a_mean_over_seeds_is_geometric_with_students_interval():
    values = np.random.default_rng(0).lognormal(3, 0.3, (3, 4))
    names = ["tau_best", "tau_onset", "tau_half"]
    measured = pd.DataFrame({"dim": 10, "psi_n": 2.0, **dict(zip(names, values, strict=True))})
    predicted = pd.DataFrame({"psi_n": [2.0], "tau_mem_paper": [5.0], "tau_third": [7.0]})
    row = summarize_times(measured, predicted).iloc[0]
    for name, each in zip(names, np.log(values), strict=True):
        low, high = stats.t.interval(0.95, 3, each.mean(), stats.sem(each))
        assert np.log([row[name], row[f"{name}_low"], row[f"{name}_high"]]) == pytest.approx([each.mean(), low, high])
    assert row["half_over_paper"] == pytest.approx(row["tau_half"] / 5)
    assert row["half_over_third"] == pytest.approx(row["tau_half"] / 7)
    assert math.isnan(summarize_times(measured[:1], predicted)["tau_half_low"][0])


def test_the_exponent_of_a_power_law_is_its_own():
    assert score_exponent(pd.DataFrame({"psi_n": [4, 8, 32], "score_error_best": [4**-0.6, 8**-0.6, 32**-0.6]})) == (
        pytest.approx(-0.6)
    )
