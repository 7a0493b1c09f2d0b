"""The times of curves whose times are known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import beta
from synthetic_runs import WIDTH, f_mem_curve, log_steps

from diffmem.analysis.timescales import _fractions, is_below_one_sample, tau_gen, tau_mem, tau_overfit, tau_rise
from diffmem.errors import ConfigError, DataError

STEPS = [0, 100, 1000, 10_000, 100_000]


def test_tau_mem_is_interpolated_linearly_in_log_step():
    assert tau_mem(STEPS, [0, 0, 0.02, 0.5, 0.9]).value == pytest.approx(100 * 10**0.5)


def test_tau_gen_is_interpolated_linearly_in_log_quality():
    assert tau_gen(STEPS, [1e4, 1000, 10, 5, 4], level=100).value == pytest.approx(100 * 10**0.5)


def test_a_crossing_must_last_until_the_next_evaluation():
    assert tau_mem(STEPS, [0, 0.5, 0, 0.02, 0.5]).value == pytest.approx(1000 * 10**0.5)


@pytest.mark.parametrize(("f_mem", "last"), [([0, 0, 0, 0, 0], 100_000), ([0, 0, 0, 0, 0.5], 10_000)])
def test_not_reached_is_a_bound_and_never_a_number(f_mem, last):
    tau = tau_mem(STEPS, f_mem, num_samples=500)
    assert tau.censored
    assert math.isnan(tau.value)
    assert tau.last == last
    assert math.isinf(tau.high)
    assert tau.low <= last
    assert str(tau) == f"> {last}"


def test_quality_not_reached_is_censored():
    assert tau_gen(STEPS, [1e4, 1000, 100, 50, 40], level=10).value_text == "> 100000"


@pytest.mark.parametrize(
    ("steps", "f_mem", "reason"),
    [
        ([100], [0.5], "1 evaluation"),
        ([0, 100], [0, 0.5], "2 evaluations"),
        (STEPS, [0.5, 0.5, 0.6, 0.7, 0.8], "first evaluation"),
        (STEPS, [0, 0.5, 0.6, 0.7, 0.8], "evaluate earlier"),
        (STEPS, [0, 0, math.nan, 0.7, 0.8], "no finite value at step 1000"),
        (STEPS, [0, 0, 3, 70, 80], "give fractions, not percent"),
        ([0, 100, 100, 200, 300], [0, 0, 0, 0.5, 0.6], "ascend"),
        (STEPS, [0, 0, 0.5], "shapes"),
    ],
)
def test_a_curve_that_cannot_support_a_time_is_refused(steps, f_mem, reason):
    with pytest.raises(DataError, match=reason):
        tau_mem(steps, f_mem)


def test_a_level_below_one_sample_is_refused():
    with pytest.raises(DataError, match="one sample"):
        tau_mem(STEPS, [0, 0, 0.1, 0.5, 0.6], num_samples=50)
    with pytest.raises(DataError, match="with num_samples 50"):
        tau_mem(STEPS, [0, 0, 0.1, 0.5, 0.6], num_samples=[500, 500, 50, 500, 500])


@pytest.mark.parametrize("level", [0, 1, -0.5, math.nan])
def test_a_level_that_is_no_fraction_is_refused(level):
    with pytest.raises(ConfigError):
        tau_mem(STEPS, [0, 0, 0.1, 0.5, 0.6], level=level)


def test_a_fraction_stored_in_single_precision_reaches_its_level():
    """5 of 500 is 1%, also as the float32 0.00999999978."""
    f_mem = np.array([0, 0, 0.01, 0.5, 0.6], dtype=np.float32)
    assert tau_mem(STEPS, f_mem, num_samples=500).value == pytest.approx(1000)
    assert not tau_mem(STEPS, np.float32([0, 0, 0, 0.01, 0.01]), num_samples=500).censored


def test_draws_are_quantiles_of_the_jeffreys_posterior_the_same_ones_at_every_step():
    places = [
        beta.cdf(_fractions(count, total, num_draws=100, seed=0), count + 0.5, total - count + 0.5)
        for count, total in ((0, 500), (3, 500), (3, 100), (50, 50))
    ]
    assert np.array_equal(np.sort(np.floor(100 * places[0])), np.arange(100))
    for other in places[1:]:
        np.testing.assert_allclose(other, places[0], rtol=1e-9)


def test_no_hits_of_few_samples_do_not_exclude_memorization():
    """0 of 200 still allows 1%, so the interval is open below."""
    assert tau_mem(STEPS, [0, 0, 0, 0.5, 0.9], num_samples=200).low == 0
    assert tau_mem(STEPS, [0, 0, 0, 0.5, 0.9], num_samples=2000).low > 1000


def test_more_samples_narrow_the_interval():
    steps = log_steps(100_000, per_decade=40)
    widths = []
    for num_samples in (200, 2000, 20_000):
        f_mem = f_mem_curve(np.random.default_rng(0), steps, 3000, num_samples)
        tau = tau_mem(steps, f_mem, num_samples, level=0.05)
        widths.append(math.log(tau.high / tau.low))
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


@given(factor=st.floats(0.01, 100), hits=st.lists(st.integers(0, 500), min_size=4, max_size=12))
def test_times_scale_with_the_clock(factor, hits):
    """Nothing but the unit of time changes when the clock does."""
    f_mem = np.r_[0, 0, hits] / 500
    steps = np.r_[0, 10 * 2.0 ** np.arange(len(f_mem) - 1)]
    tau, scaled = (tau_mem(scale * steps, f_mem, 500, num_draws=100) for scale in (1.0, factor))
    assert scaled.censored == tau.censored
    assert scaled.bound == pytest.approx(factor * tau.bound)
    assert scaled.low == pytest.approx(factor * tau.low)
    assert scaled.low <= scaled.bound <= scaled.high


@given(st.lists(st.integers(0, 500), min_size=4, max_size=12), st.floats(0.01, 0.4), st.floats(1.01, 2))
def test_a_higher_level_of_a_monotone_curve_is_reached_later(hits, level, factor):
    f_mem = np.r_[0, 0, np.sort(hits)] / 500
    steps = np.r_[0, 10 * 2.0 ** np.arange(len(f_mem) - 1)]
    assert tau_mem(steps, f_mem, level=level).bound <= tau_mem(steps, f_mem, level=level * factor).bound


@pytest.mark.parametrize(("per_decade", "expected"), [(40, (0.92, 0.99)), (10, (0.94, 1.0)), (5, (0.94, 1.0))])
def test_intervals_of_tau_mem_cover_the_truth_at_their_rate(per_decade, expected):
    """200 runs; with few evaluations the interpolation is uncertain and the intervals are on the safe side."""
    steps, truth = log_steps(3000, per_decade), 3000 * math.exp(WIDTH * ndtri(0.01))
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        tau = tau_mem(steps, f_mem_curve(rng, steps, 3000, 1000), 1000, num_draws=200, seed=seed)
        covered += tau.low <= truth <= tau.high
    assert expected[0] <= covered / 200 <= expected[1]


def test_intervals_of_tau_gen_cover_the_truth_at_their_rate():
    steps, error, level = log_steps(100_000, 40)[1:], 0.1, 6.0
    truth = 2000 / math.sqrt(level / 3 - 1)
    covered = 0
    for seed in range(200):
        quality = 3 * (1 + (2000 / steps) ** 2) * math.exp(error * np.random.default_rng(seed).standard_normal())
        tau = tau_gen(steps, quality, level, std=error * quality, num_draws=300, seed=seed)
        covered += tau.low <= truth <= tau.high
    assert 0.92 <= covered / 200 <= 0.99


def test_tau_overfit_is_the_minimum_between_its_neighbours():
    tau = tau_overfit(STEPS, [1, 0.5, 0.3, 0.4, 0.6], std=[1e-9] * 5)
    assert tau.value == 1000
    assert 100 < tau.low < 1000 < tau.high < 10_000


def test_tau_overfit_is_censored_while_the_loss_falls():
    assert tau_overfit(STEPS, [1, 0.5, 0.3, 0.2, 0.1]).value_text == "> 10000"
    unsure = tau_overfit(STEPS, [1, 0.5, 0.4, 0.2, 0.21], std=[0.05] * 5)
    falling = np.isinf(unsure.draws_high)
    assert 0.2 < falling.mean() < 0.8 and np.allclose(unsure.draws_low[falling], 10_000)


def test_tau_overfit_widens_with_the_errors():
    loss = [1, 0.5, 0.30, 0.31, 0.6]
    assert tau_overfit(STEPS, loss, std=[0.1] * 5).high > tau_overfit(STEPS, loss, std=[1e-9] * 5).high


def test_copies_must_last_to_the_end_and_good_samples_to_the_next_evaluation():
    """As with SGD at n = 512: 1.2%, 1.4%, then 0.6%."""
    assert tau_mem(STEPS, [0, 0.002, 0.012, 0.014, 0.006], level=0.01).censored
    assert not tau_mem(STEPS, [0, 0.002, 0.012, 0.014, 0.016], level=0.01).censored
    again = tau_mem(STEPS, [0, 0.02, 0.002, 0.014, 0.02], level=0.01)
    assert STEPS[2] < again.value < STEPS[3]
    assert tau_gen(STEPS, [100, 50, 1, 1, 20], level=10).value < STEPS[2]


def test_any_curve_has_a_time_by_the_same_rule():
    values = [0, 0.2, 0.3, 0.6, 0.8]
    assert tau_rise(STEPS, values, 0.5).value == tau_mem(STEPS, values, level=0.5).value


def test_the_level_that_a_message_names_is_one_that_can_be_used():
    assert all(not is_below_one_sample(float(f"{1 / count:g}"), count) for count in range(2, 2001))
    assert is_below_one_sample(0.0033, 300) and not is_below_one_sample(0.00334, 300)
