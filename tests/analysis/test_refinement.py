"""Where to measure again: on curves whose true time is known, the interval narrows around it."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from synthetic_runs import Truth, f_mem_curve, log_steps

from diffmem.analysis import timescales
from diffmem.analysis.refinement import bracket, candidates, is_precise, next_measurement, pool
from diffmem.errors import DataError

STEPS = [int(step) for step in log_steps(10_000, per_decade=5)]


def refined(rng, precision, num_samples=500):
    """Estimates of τ_mem before and after, and the sets of samples drawn, of a run with n = 20."""
    truth = Truth()

    def measure(step):
        return round(f_mem_curve(rng, np.array([step]), truth.prefactor * 20, num_samples)[0] * num_samples)

    def estimate():
        steps = sorted(copies)
        f_mem = [copies[step] / totals[step] for step in steps]
        return timescales.tau_mem(steps, f_mem, [totals[step] for step in steps])

    copies, totals = {step: measure(step) for step in STEPS}, dict.fromkeys(STEPS, num_samples)
    before, drawn = estimate(), 0
    low, high = bracket(before, STEPS)
    available = {*candidates(low, high, precision), *(step for step in STEPS if low <= step <= high)}

    def unsettled():
        found = {step: binomtest(copies[step], totals[step]).proportion_ci(method="wilson") for step in totals}
        return [step for step, interval in found.items() if interval.low < 0.01 < interval.high]

    while following := next_measurement(estimate(), totals, unsettled(), available, precision, 64 * num_samples):
        for step in following.steps:
            for _ in range(totals[step] // num_samples if following.more else 1):
                copies[step] = copies.get(step, 0) + measure(step)
                totals[step] = totals.get(step, 0) + num_samples
                drawn += 1
    return before, estimate(), drawn


def test_the_interval_narrows_to_the_precision_around_the_true_time():
    before, after, drawn = refined(np.random.default_rng(1), 0.05)
    assert is_precise(after, 0.05)
    assert not is_precise(before, 0.05)
    assert math.log(after.high / after.low) < math.log(before.high / before.low) / 3
    assert after.low * 0.95 <= Truth().tau_mem(20) <= after.high * 1.05
    assert drawn < 300


@given(st.integers(1, 10**6), st.integers(2, 1000), st.floats(0.001, 0.5))
def test_candidates_lie_inside_in_ratios_of_the_precision(low, more, precision):
    found = [low, *candidates(low, low + more, precision), low + more]
    assert found == sorted(set(found))
    for a, b in itertools.pairwise(found):
        assert b - a == 1 or b / a < 1 + 2 * precision


def test_a_time_that_was_not_reached_is_refused():
    censored = timescales.tau_mem([0, 1, 2, 4], [0, 0, 0, 0], 500)
    with pytest.raises(DataError, match=r"trainer\.max_steps"):
        bracket(censored, [0, 1, 2, 4])


def test_pooled_rows_are_those_of_all_samples_together():
    rows = [
        {"step": 7, "num_samples": 100, "f_mem": 0.02, "f_mem_low": 0, "frechet_pixels": 3.0, "frechet_pixels_std": 0.4,
         "loss_train": 0.5, "loss_train_std": 0.1, "kid": None, "model": "UNet"},
        {"step": 7, "num_samples": 100, "f_mem": 0.04, "f_mem_low": 0, "frechet_pixels": 5.0, "frechet_pixels_std": 0.3,
         "loss_train": 0.5, "loss_train_std": 0.1, "kid": None, "model": "UNet"},
    ]  # fmt: skip
    found = pool(rows)
    interval = binomtest(6, 200).proportion_ci(method="wilson")
    assert (found["num_samples"], found["f_mem"]) == (200, pytest.approx(0.03))
    assert (found["f_mem_low"], found["f_mem_high"]) == pytest.approx((interval.low, interval.high))
    assert found["frechet_pixels"] == pytest.approx(4)
    assert found["frechet_pixels_std"] == pytest.approx(0.25)
    assert (found["loss_train"], found["loss_train_std"], found["kid"], found["model"]) == (0.5, 0.1, None, "UNet")
    text = [{key: "" if value is None else str(value) for key, value in row.items()} for row in rows]
    assert pool(text)["f_mem"] == pytest.approx(0.03)
