"""A curve with a known lowest value and a known rise."""

import numpy as np
import pytest

from diffmem.analysis.departure import departure
from diffmem.errors import DataError

STEPS = np.array([0, 10, 20, 40, 80, 160, 320])


def test_the_time_is_where_the_curve_has_left_its_lowest_value_for_good():
    found = departure(STEPS, [9, 5, 2, 1, 1, 1.2, 2], 0.1)
    assert found.value == pytest.approx(80 * 2**0.5), "half-way from 1 to 1.2, in log steps"
    again = departure([*STEPS, 640], [9, 5, 1, 1.5, 1.0, 1.0, 2, 2], 0.1)
    assert again.value == pytest.approx(160 * 2**0.1), "an early rise that does not last is none"


def test_step_0_and_missing_values_do_not_count():
    found = departure(STEPS, [0.1, np.nan, 2, 1, 1, 1.2, 2], 0.1)
    assert found.value == pytest.approx(80 * 2**0.5)


def test_a_curve_that_does_not_rise_is_censored_and_one_that_still_falls_says_nothing():
    assert departure(STEPS, [9, 5, 2, 1, 1, 1, 1.05], 0.1).censored
    for values in ([9, 5, 4, 3, 2, 1, 0.5], [9, 5, 4, 3, 2, 1, 1.5], [np.nan] * 7):
        with pytest.raises(DataError, match=r"loss: got .*, expected two evaluations after it"):
            departure(STEPS, values, 0.1, "loss")
