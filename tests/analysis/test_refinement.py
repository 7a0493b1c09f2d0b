"""Where to measure again: on curves whose true time is known, the interval narrows around it."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest
from synthetic_runs import log_steps

from diffmem.analysis import timescales
from diffmem.analysis.refinement import Point, is_precise, next_step, pool

STEPS = [0, *(int(step) for step in log_steps(10_000, per_decade=8))]
TIME, SIZE, LEVEL = 1000, 500, 0.05
NONE = Point(0.0, 0)


def rising(step):
    """Passes the level at :data:`TIME`."""
    return min(0.6, LEVEL * (step / TIME) ** 4)


def rising_twice(step):
    """Passes the level at 500 already, and no longer from 700 on until :data:`TIME`."""
    return min(0.6, LEVEL * (step / (500 if step < 700 else TIME)) ** 4)


def tau(points, num_draws=1000):
    steps = sorted(points)
    values, counts, _ = zip(*(points[step] for step in steps), strict=True)
    return timescales.tau_mem(steps, values, counts, level=LEVEL, num_draws=num_draws)


def refined(seed, curve, precision=0.02, budget=14.0):
    """τ_mem before and after, and the steps that were measured, each at the price of one; a new one costs two."""
    rng = np.random.default_rng(seed)

    def more(step, old=NONE):
        total = old.num_samples + SIZE
        return Point((old.value * old.num_samples + rng.binomial(SIZE, curve(step))) / total, total)

    points = {step: more(step) for step in STEPS}
    before, spent = tau(points), []
    price = lambda step: 1.0 if step in points else 2.0  # noqa: E731
    while not is_precise(tau(points), precision):
        step = next_step(lambda each: tau(each, 200), points, price, SIZE, STEPS[-1], precision, 64)
        if step is None or sum(map(price, spent)) + price(step) > budget:
            break
        points[step] = more(step, points.get(step, NONE))
        spent.append(step)
    return before, tau(points), spent


@pytest.mark.parametrize("curve", [rising, rising_twice])
def test_the_interval_narrows_and_covers_the_true_time(curve):
    found = [refined(seed, curve) for seed in range(6)]
    narrower = [math.log(a.high / a.low) / math.log(b.high / b.low) for a, b, _ in found]
    assert np.median(narrower) > 1.8
    assert sum(after.low <= TIME <= after.high for _, after, _ in found) >= 5


def test_what_is_measured_lies_in_and_beside_the_interval():
    before, _, spent = refined(0, rising)
    last = max(step for step in STEPS if step <= before.low)
    end = min(step for step in STEPS if step >= before.high)
    assert spent
    assert all(last <= step <= end for step in spent)
    assert len(set(spent)) < len(spent), "some steps got more samples"
    assert set(spent) - set(STEPS), "some are new"


def test_nothing_is_measured_that_would_not_help():
    points = {step: Point(rising(step), 10**9) for step in range(980, 1021)}
    arguments = (lambda _: 1.0, SIZE, 1020, 0.02)
    assert next_step(tau, {10: Point(0, SIZE), **points}, *arguments, 64) is None, "neither closer nor surer"
    few = {step: Point(rising(step), SIZE) for step in (10, 980, 1020)}
    assert next_step(tau, few, *arguments, 1) not in few, "no more samples than allowed"
    assert next_step(tau, few, arguments[0], SIZE, 500, 0.02, 64) in (10, *range(11, 501)), "nor beyond the end"


def test_the_price_decides_between_measurements():
    points = {step: Point(rising(step), SIZE) for step in STEPS}
    dear = next_step(tau, points, lambda step: 1.0 if step in points else 1e6, SIZE, STEPS[-1], 0.02, 64)
    cheap = next_step(tau, points, lambda step: 1e6 if step in points else 1.0, SIZE, STEPS[-1], 0.02, 64)
    assert dear in points
    assert cheap not in points


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
