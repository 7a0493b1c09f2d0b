"""The tables of the theory, against the curves and formulas that they are read from."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from small_run import ROOT

from diffmem.theory.criteria import LEVEL, SHARE, crossings
from diffmem.theory.simulation import feature_weights, gaussian_images, training_moments
from diffmem.theory.spectrum import bulks
from diffmem.theory.studies import (
    BEST,
    Setting,
    changes_of_ratios,
    dynamics,
    log_slope,
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


def test_measured_times_are_those_of_the_criteria_and_of_the_least_score_error():
    table = measured_times(SMALL, [1, 2])
    for (ratio, run), (psi_n, group) in zip(training_runs(SMALL, [1, 2]), table.groupby("psi_n"), strict=True):
        assert ratio == psi_n
        found = crossings(run)
        assert group["tau"][:-1].tolist() == pytest.approx(found["tau"].tolist(), nan_ok=True)
        best = group.iloc[-1]
        around = run.curves(best["tau"] * np.array([0.97, 1, 1.03])).score_error
        assert best["criterion"] == BEST and around.argmin() == 1


@pytest.mark.parametrize("t", [0.01, 0.1])
def test_the_predictions_grow_with_n_as_the_page_says(t):
    predicted = predicted_times(Setting(psi_p=64, t=t, dim=1), [4, 8, 16, 32])
    paper, third = (log_slope(predicted["psi_n"], predicted[name]) for name in ("tau_mem_paper", "tau_third"))
    page = (ROOT / "diffmem/theory/README.md").read_text()
    assert f"n^{paper:.3f} and " in page and f"n^{third:.3f} at t = {t:g}" in page


@pytest.mark.parametrize("t", [0.01, 0.1])
def test_the_third_bulks_time_is_the_steadier_one_at_a_share_and_the_papers_at_a_fixed_level(t):
    """At psi_p = 64 and psi_n = 4 … 32, for tanh; see the page for where this does not hold."""
    setting, psi_n = Setting(psi_p=64, t=t, dim=8), [4, 8, 16, 32]
    summary = summarize_times(measured_times(setting, psi_n), predicted_times(setting, psi_n))
    changes = changes_of_ratios(summary).set_index("criterion")
    share, level = changes.loc[SHARE], changes.loc[LEVEL].dropna()
    assert len(share) == 5 and len(level) >= 4
    assert (1.5 * share["change_third"] < share["change_paper"]).all()
    assert (1.2 * level["change_paper"] < level["change_third"]).all()


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
    values = np.random.default_rng(0).lognormal(3, 0.3, (2, 4))
    keys = {"dim": 10, "psi_n": 2.0}
    criteria = [(LEVEL, 0.1), (BEST, math.nan)]
    measured = pd.concat(
        pd.DataFrame({**keys, "criterion": criterion, "level": level, "tau": each})
        for (criterion, level), each in zip(criteria, values, strict=True)
    )
    predicted = pd.DataFrame({"psi_n": [2.0], "tau_mem_paper": [5.0], "tau_third": [7.0]})
    summary = summarize_times(measured, predicted)
    assert summary["criterion"].tolist() == [LEVEL, BEST]
    for (_, row), each in zip(summary.iterrows(), np.log(values), strict=True):
        low, high = stats.t.interval(0.95, 3, each.mean(), stats.sem(each))
        assert np.log([row["tau"], row["tau_low"], row["tau_high"]]) == pytest.approx([each.mean(), low, high])
        assert row["over_paper"] == pytest.approx(row["tau"] / 5)
        assert row["over_third"] == pytest.approx(row["tau"] / 7)
    assert math.isnan(summarize_times(measured[:1], predicted)["tau_low"][0])


def test_the_change_of_a_ratio_is_its_largest_over_its_smallest_and_needs_every_time():
    summary = pd.DataFrame({
        "dim": 10, "criterion": [LEVEL] * 3 + [SHARE] * 3, "level": 0.5, "psi_n": [1.0, 2.0, 4.0] * 2,
        "tau": [1.0, 4.0, 16.0, 1.0, 2.0, math.nan],
        "over_paper": [3.0, 1.0, 2.0, 1.0, 1.0, math.nan], "over_third": [1.0, 5.0, 2.0, 1.0, 1.0, math.nan],
    })  # fmt: skip
    level, share = changes_of_ratios(summary).to_dict("records")
    assert (level["exponent"], level["change_paper"], level["change_third"]) == pytest.approx((2, 3, 5))
    assert all(math.isnan(share[name]) for name in ("exponent", "change_paper", "change_third"))


def test_the_exponent_of_a_power_law_is_its_own():
    assert score_exponent(pd.DataFrame({"psi_n": [4, 8, 32], "score_error_best": [4**-0.6, 8**-0.6, 32**-0.6]})) == (
        pytest.approx(-0.6)
    )
