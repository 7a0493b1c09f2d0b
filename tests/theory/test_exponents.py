"""Exponents in n of the times at which the gap of the losses reaches a level."""

import re

import pandas as pd
import pytest
import torch
from small_run import ROOT

from diffmem.theory.criteria import CRITERIA, LEVEL, SHARE, crossings
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


def test_every_size_has_images_of_its_own_and_the_covariance_asked_for():
    table = gap_times(SMALL, [1.0, 2.0], 1.0)
    covariance = power_law(12, 1.0)
    W = feature_weights(96, 12, 0).float()
    population = population_moments(W, covariance, 0.01)
    for place, (ratio, group) in enumerate(table.groupby("psi_n")):
        U, V = training_moments(W, gaussian_images(12 * int(ratio), covariance, 1000 * place).float(), 0.01)
        found = crossings(TrainingDynamics(U, V, 8, 0.01, population))
        assert group["tau"].tolist() == pytest.approx(found["tau"].tolist(), nan_ok=True)


def test_a_fixed_level_of_the_gap_comes_later_than_n_where_half_of_the_gap_does_not():
    times, summary = exponents(SMALL, [1.0, 2.0, 4.0], [0.0], seeds=2)
    assert len(times) == 2 * 3 * len(CRITERIA)
    found = summary.set_index(["criterion", "level"])["exponent"]
    assert found["L_gen", 0.5] > 1.4
    assert 0.7 < found["share of the final L_gen", 0.5] < 1.2
    assert summary.set_index("criterion").loc["final L_gen", "exponent"] < -0.5
    one = pd.DataFrame(summary[summary["criterion"] == "L_gen"])
    assert (one["low"] < one["exponent"]).all()
    assert (one["points"] == 6).all()


def test_a_fixed_level_and_a_share_go_opposite_ways_as_the_criterion_becomes_stricter():
    """At psi_p = 16, psi_n = 1 … 8 and t = 0.01, for isotropic images; see the page for where this does not hold."""
    _, summary = exponents(Setting(psi_p=16, t=0.01, dim=16), [1.0, 2.0, 4.0, 8.0], [0.0], seeds=2)
    found = summary.set_index(["criterion", "level"])["exponent"]
    assert found[LEVEL].is_monotonic_increasing
    assert found[SHARE, 0.9] < found[SHARE, 0.75] < found[SHARE, 0.5] < found[SHARE, 0.25]


def test_the_isotropic_exponents_are_those_on_the_page():
    _, summary = exponents(Setting(psi_p=16, t=0.01, dim=50), [1.0, 2.0, 4.0, 8.0], [0.0], seeds=2)
    page = (ROOT / "diffmem/theory/README.md").read_text().replace("−", "-")
    printed = dict(
        re.findall(r"^\| (L_gen ≥ [\d.]+|\d+% of the final L_gen|the final L_gen itself) \| (-?[\d.]+) \[", page, re.M)
    )
    names = {LEVEL: "L_gen ≥ {:g}", SHARE: "{:.0%} of the final L_gen", "final L_gen": "the final L_gen itself"}
    found = {names[row.criterion].format(row.level): row.exponent for row in summary.itertuples()}
    assert {name: float(value) for name, value in printed.items()} == pytest.approx(found, abs=0.015)
