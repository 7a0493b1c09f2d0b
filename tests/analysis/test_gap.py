"""Means over runs, gaps and ratios."""

import math

import numpy as np
import pytest
from synthetic_runs import WIDTH, f_mem_curve, log_steps

from diffmem.analysis.estimate import summarize
from diffmem.analysis.gap import between_run_weights, gap, pool, ratio
from diffmem.analysis.timescales import tau_gen, tau_mem

STEPS = log_steps(10_000, 20)
NUM_DRAWS = 200


def memorization(seed, tau_0=3000.0, steps=STEPS):
    return tau_mem(
        steps, f_mem_curve(np.random.default_rng(seed), steps, tau_0, 500), 500, num_draws=NUM_DRAWS, seed=seed
    )


def generalization(level=6.0, steps=STEPS[1:]):
    return tau_gen(steps, 3 * (1 + (2000 / steps) ** 2), level, num_draws=NUM_DRAWS)


@pytest.mark.parametrize("num_runs", [2, 3, 8])
def test_weights_make_a_student_t(num_runs):
    """w·x over the standard error of x has the quantiles of Student's t."""
    from scipy import stats

    x = np.random.default_rng(0).standard_normal(num_runs)
    scaled = between_run_weights(num_runs, 200_000) @ x / (x.std(ddof=1) / math.sqrt(num_runs))
    quantiles = [0.05, 0.25, 0.5, 0.9]
    assert np.quantile(scaled, quantiles) == pytest.approx(stats.t.ppf(quantiles, num_runs - 1), rel=0.05, abs=0.02)


def test_one_run_has_its_own_interval():
    tau = memorization(0)
    assert pool([tau], between_run_weights(1, NUM_DRAWS)) is tau


def test_several_runs_give_their_geometric_mean():
    taus = [memorization(seed) for seed in range(3)]
    pooled = pool(taus, between_run_weights(3, NUM_DRAWS))
    assert pooled.value == pytest.approx(np.exp(np.mean([math.log(tau.value) for tau in taus])))
    assert pooled.low < pooled.value < pooled.high


@pytest.mark.parametrize("num_runs", [2, 4])
def test_intervals_over_runs_cover_the_mean_of_all_runs(num_runs):
    """Runs differ by more than their sampling error; the interval is for seeds that were not trained too."""
    truth = 3000 * math.exp(WIDTH * -2.3263)
    covered = 0
    for trial in range(60):
        shifts = np.exp(0.3 * np.random.default_rng(trial).standard_normal(num_runs))
        taus = [memorization(1000 * trial + run, 3000 * shift) for run, shift in enumerate(shifts)]
        pooled = pool(taus, between_run_weights(num_runs, NUM_DRAWS, trial))
        covered += pooled.low <= truth <= pooled.high
    assert covered >= 53


def test_a_censored_run_makes_the_mean_a_bound():
    short = STEPS[STEPS <= 2000]
    runs = [memorization(0), memorization(1, 30_000, short)]
    pooled = pool(runs, between_run_weights(2, NUM_DRAWS))
    assert pooled.censored
    assert pooled.last == pytest.approx(math.sqrt(runs[0].value * runs[1].last))
    assert math.isinf(pooled.high)


def test_gap_and_ratio_of_one_run():
    mem, gen = memorization(0, 30_000), generalization()
    assert gap(mem, gen).value == pytest.approx(mem.value - gen.value)
    assert ratio(mem, gen).value == pytest.approx(mem.value / gen.value)
    assert mem.low / gen.high <= ratio(mem, gen).low <= ratio(mem, gen).value <= ratio(mem, gen).high


def test_runs_that_are_late_as_a_whole_do_not_blur_their_ratio():
    """The draws are joint over runs: a factor common to both times of a run cancels in the ratio."""
    shifts, weights = (1.0, 1.5, 2.25), between_run_weights(3, 1000)
    mems, gens = [], []
    for shift in shifts:
        mems.append(tau_mem(shift * STEPS, np.clip((STEPS / 10_000) ** 2, 0, 1), num_draws=1000))
        gens.append(tau_gen(shift * STEPS[1:], 3 * (1 + (2000 / STEPS[1:]) ** 2), 6.0, num_draws=1000))
    mem, gen = pool(mems, weights), pool(gens, weights)
    assert mem.high / mem.low > 3
    assert ratio(mem, gen).high / ratio(mem, gen).low < 1.2


def test_the_gap_of_a_censored_time_is_a_bound():
    mem, gen = memorization(1, 1e6, STEPS), generalization()
    assert gap(mem, gen).censored
    assert gap(mem, gen).last == pytest.approx(mem.last - gen.value)
    assert ratio(mem, gen).value_text.startswith("> ")


def test_a_draw_that_is_open_leaves_gap_and_ratio_open():
    """τ_mem is 100; τ_gen is 10 but for a tenth of the draws below the first evaluation and a tenth never reached."""
    tens = np.full(100, 10.0)
    earlier, later = np.where(np.arange(100) < 10, 0.0, tens), np.where(np.arange(100) >= 90, np.inf, tens)
    mem, gen = summarize(100.0, 1e3, 10 * tens, 10 * tens, 0.95), summarize(10.0, 1e3, earlier, later, 0.95)
    assert (gap(mem, gen).low, gap(mem, gen).value, gap(mem, gen).high) == (-math.inf, 90, 100)
    assert (ratio(mem, gen).low, ratio(mem, gen).value, ratio(mem, gen).high) == (0, 10, math.inf)


def test_copies_before_quality_make_a_negative_gap():
    assert gap(memorization(0, 500), generalization()).value < 0


def test_without_good_samples_there_is_no_gap():
    never = generalization(level=3.0001, steps=STEPS[(STEPS > 0) & (STEPS < 5000)])
    assert never.censored
    assert gap(memorization(0), never) is None
    assert ratio(memorization(0), never) is None
