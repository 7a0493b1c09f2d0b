"""When a curve passes a level, where the answer is known by hand."""

import math

import numpy as np
import pytest

from diffmem.analysis.crossing import lasting_crossing, shapes
from diffmem.errors import DataError

STEPS = np.array([0.0, 10, 100, 1000, 10_000])


def crossing(values, draws=None, to_the_end=True, level=0.5):
    """Of a curve at :data:`STEPS`; draws are the curve itself unless given."""
    values = np.array(values)
    draws = np.tile(values, (200, 1)) if draws is None else np.array(draws)
    return lasting_crossing(
        "tau", "it is 0", STEPS, values, draws, level, np.ones(len(draws)), 0.95, to_the_end
    )  # fmt: skip


def test_the_time_is_linear_in_log_step_between_the_evaluations_around_it():
    found = crossing([0, 0.1, 0.4, 0.8, 0.9])
    assert found.value == found.low == found.high == pytest.approx(100 * 10**0.25)


def test_a_fall_below_the_level_is_forgiven_only_where_the_next_evaluation_confirms():
    fallen = [0, 0.4, 0.6, 0.7, 0.4]
    assert crossing(fallen, to_the_end=False).value == pytest.approx(10 * 10**0.5)
    censored = crossing(fallen)
    assert math.isnan(censored.value) and censored.last == 10_000, "contradicted at the end"
    unconfirmed = crossing([0, 0.1, 0.2, 0.3, 0.9])
    assert math.isnan(unconfirmed.value) and unconfirmed.last == 1000, "seen once, at the end"
    assert np.allclose(unconfirmed.draws_low, 1000) and np.isinf(unconfirmed.draws_high).all()


def test_a_curve_that_is_past_the_level_from_the_start_has_no_time():
    with pytest.raises(DataError, match=r"it is 0 at the first evaluation \(step 0\) and past the level by step 10"):
        crossing([0, 0.6, 0.7, 0.8, 0.9])
    with pytest.raises(DataError, match="past the level by step 0"):
        crossing([0.5, 0.6, 0.7, 0.8, 0.9])
    for early in ([0.5, 0.6, 0.7, 0.8, 0.9], [0, 0.6, 0.7, 0.8, 0.9]):
        drawn = crossing([0, 0.1, 0.4, 0.8, 0.9], [early] * 100)
        assert (drawn.draws_low == 0).all() and np.allclose(drawn.draws_high, 10), "all that is known: by step 10"


def test_the_interval_holds_the_draws_and_the_shapes_of_the_rise():
    early, late = [0, 0.4, 0.6, 0.8, 0.9], [0, 0.1, 0.2, 0.4, 0.6]
    found = crossing([0, 0.1, 0.4, 0.8, 0.9], [early] * 100 + [late] * 100)
    assert found.low == pytest.approx(10 * 10**0.5)
    assert math.isinf(found.high), "the late draws are not confirmed"
    curve, gamma = np.array([0, 0.1, 0.4, 0.8, 0.9]), np.array([0.2, 1.0, 5.0])
    bent = lasting_crossing("tau", "it is 0", STEPS, curve, np.tile(curve, (3, 1)), 0.5, gamma, 0.95, True)
    assert bent.draws_low == pytest.approx(100 * 10 ** (0.25**gamma)), "w^γ of the way from 100 to 1000"
    gammas = shapes(1000, 1)
    assert 1 / 5 < gammas.min() < 1 / 4.9 and 4.9 < gammas.max() < 5
    assert np.log(gammas).mean() == pytest.approx(0, abs=0.02)
