"""Exponents and predictions of data drawn from a power law."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from diffmem.analysis.estimate import Estimate
from diffmem.analysis.scaling import fit_exponent, predict
from diffmem.analysis.timescales import tau_mem
from diffmem.errors import DataError

SIZES = 64 * 2.0 ** np.arange(5)


def draw(seed, sizes, exponent=1.0, spread=0.15):
    return 300 * sizes**exponent * np.exp(spread * np.random.default_rng(seed).standard_normal(len(sizes)))


@settings(max_examples=30)
@given(exponent=st.floats(-2, 3), prefactor=st.floats(1e-3, 1e3))
def test_an_exact_power_law_is_recovered(exponent, prefactor):
    law = fit_exponent(SIZES, prefactor * SIZES**exponent)
    assert law.exponent == pytest.approx(exponent, abs=1e-6)
    assert law.prefactor == pytest.approx(prefactor, rel=1e-4)
    assert law.high - law.low < 1e-3


def test_without_censoring_it_is_least_squares_with_its_t_interval():
    tau = draw(0, SIZES)
    reference = stats.linregress(np.log(SIZES), np.log(tau))
    half = reference.stderr * stats.t.ppf(0.975, len(SIZES) - 2)
    law = fit_exponent(SIZES, tau)
    assert law.exponent == pytest.approx(reference.slope, abs=1e-6)
    assert (law.low, law.high) == pytest.approx((reference.slope - half, reference.slope + half), abs=1e-5)


@pytest.mark.parametrize(("repeats", "bound"), [(1, math.inf), (3, 1e5)])
def test_intervals_cover_exponent_and_next_run_at_their_rate(repeats, bound):
    sizes = np.repeat(SIZES, repeats)
    covered = predicted = inside = 0
    for seed in range(200):
        tau = draw(seed, sizes)
        law = fit_exponent(sizes, np.minimum(tau, bound), tau > bound)
        covered += law.low <= 1 <= law.high
        further = law.predict(4096)
        predicted += further.low <= draw(10_000 + seed, np.array([4096.0]))[0] <= further.high
        between = law.predict(256)  # where the spread of runs is most of the interval
        inside += between.low <= draw(20_000 + seed, np.array([256.0]))[0] <= between.high
    assert 0.90 <= covered / 200 <= 0.99
    assert 0.90 <= predicted / 200 <= 0.99
    assert 0.90 <= inside / 200 <= 0.99


def test_dropping_or_trusting_censored_runs_would_bias_the_exponent():
    """The likelihood with bounds is nearer to α = 1 than the fit that takes bounds for times."""
    sizes = np.repeat(SIZES, 3)
    as_bounds, as_times = [], []
    for seed in range(30):
        tau = draw(seed, sizes)
        cut = np.minimum(tau, 1e5)
        as_bounds.append(fit_exponent(sizes, cut, tau > 1e5).exponent)
        as_times.append(fit_exponent(sizes, cut).exponent)
    assert abs(np.mean(as_bounds) - 1) < 0.03 < abs(np.mean(as_times) - 1)


def test_a_bound_above_an_exact_law_bends_it():
    law = fit_exponent([*SIZES[:4], 1024], [*300 * SIZES[:4], 4e5], [False] * 4 + [True])
    assert law.exponent > 1.02
    assert law.high > 1.2


def test_estimates_bring_their_own_censoring():
    steps = np.r_[0, 10 * 2.0 ** np.arange(16)]
    taus = [tau_mem(steps, np.clip((steps / (n * 8) - 1) / 10, 0, 1)) for n in (64, 128, 256, 1e6)]
    law = fit_exponent([64, 128, 256, 1e6], taus)
    assert (law.num_points, law.num_censored) == (3, 1)
    assert law.low > 0.5


@pytest.mark.parametrize("n_new", [16, 96, 1024])
def test_a_prediction_from_two_runs_is_the_same_in_either_order_and_open_where_a_time_is(n_new):
    def estimate(value, high):
        draws = value * np.linspace(0.9, 1.1, 1001)
        return Estimate(value, 0.9 * value, high, False, 1e4, draws, np.where(draws > 1.05 * value, high, draws))

    first, second = estimate(237.0, math.inf), estimate(1540.0, 1.1 * 1540)
    there, back = predict([64, 128], [first, second], n_new), predict([128, 64], [second, first], n_new)
    assert (there.value, there.low, there.high) == pytest.approx((back.value, back.low, back.high), rel=0.1)
    assert there.low <= there.value <= there.high
    falls_with_the_first = n_new > 128
    assert (there.low == 0, there.high == math.inf) == (falls_with_the_first, not falls_with_the_first)


def test_predict_is_the_prediction_of_the_fit():
    tau = draw(1, SIZES)
    assert predict(SIZES, tau, 4096) == fit_exponent(SIZES, tau).predict(4096)


@settings(max_examples=30)
@given(exponent=st.floats(-2, 3), bend=st.floats(-0.5, 0.5), unit=st.floats(1e-3, 1e3))
def test_the_bend_is_the_change_of_the_slope_with_each_doubling(exponent, bend, unit):
    slopes = exponent + bend * np.arange(4)
    tau = 300 * np.exp(np.r_[0, np.cumsum(slopes)] * math.log(2))
    law = fit_exponent(unit * SIZES, tau)
    assert law.bend.value == pytest.approx(bend, abs=1e-5)
    assert law.bend.high - law.bend.low < 1e-3
    assert law.is_bent or abs(bend) < 1e-3


def test_without_censoring_the_bend_is_least_squares_with_its_t_interval():
    tau = draw(0, np.repeat(SIZES, 2))
    x = np.log(np.repeat(SIZES, 2))
    (square, *_), covariance = np.polyfit(x, np.log(tau), 2, cov=True)
    found = fit_exponent(np.exp(x), tau).bend
    half = stats.t.ppf(0.975, len(x) - 3) * math.sqrt(covariance[0, 0])
    expected = 2 * math.log(2) * np.array([square, square - half, square + half])
    assert (found.value, found.low, found.high) == pytest.approx(tuple(expected), abs=1e-5)


@pytest.mark.parametrize("bound", [math.inf, 1e5])
def test_of_power_laws_one_in_twenty_seems_bent(bound):
    sizes = np.repeat(SIZES, 3)
    draws = (draw(seed, sizes) for seed in range(200))
    bent = sum(fit_exponent(sizes, np.minimum(tau, bound), tau > bound).is_bent for tau in draws)
    assert 0.01 <= bent / 200 <= 0.1


@pytest.mark.parametrize("sizes", [SIZES[:3], np.repeat(SIZES[:2], 3)])
def test_too_few_points_tell_no_bend(sizes):
    law = fit_exponent(sizes, draw(0, sizes))
    assert law.bend is None and not law.is_bent


@pytest.mark.parametrize(
    ("n", "tau", "censored", "reason"),
    [
        ([64, 128], [1, 2], None, "2 uncensored"),
        ([64, 64, 64], [1, 2, 3], None, "1 values of n"),
        ([64, 128, 256], [1, 2, 3], [False, True, True], "1 uncensored"),
        ([64, 128, 256], [1, 2, math.nan], None, "positive number"),
        ([64, 128, 256], [1, 2], None, "shapes"),
    ],
)
def test_what_cannot_be_fitted_is_refused(n, tau, censored, reason):
    with pytest.raises(DataError, match=reason):
        fit_exponent(n, tau, censored)
