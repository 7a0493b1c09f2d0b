"""How estimates are written."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from diffmem.analysis.estimate import stratified, summarize


@given(st.floats(1e-3, 1e9) | st.floats(-1e6, -1e-3) | st.integers(1, 10**9).map(lambda n: math.exp(math.log(n))))
def test_a_bound_is_rounded_down(last):
    """To a whole number or three digits, and whole numbers that a logarithm has missed are what they were."""
    text = summarize(math.nan, last, [last], [math.inf], 0.95).last_text
    assert float(text) <= last + 1e-11 * abs(last)
    assert float(text) >= last - max(0.01 * abs(last), 1e-12) if abs(last) < 100 else float(text) > last - 1
    assert "e" not in text


def test_a_bound_that_its_interval_does_not_leave_is_said_once():
    assert str(summarize(math.nan, 12_000.0, [12_000.0], [math.inf], 0.95)) == "> 12000"
    assert str(summarize(math.nan, 7743.2, [3519.0], [math.inf], 0.95)) == "> 7743 [3520, > 7743]"


def test_an_end_that_is_not_bounded_is_said_to_be_infinite():
    """A difference from a time that a draw did not reach."""
    draws = [-math.inf, 1.0, 2.0]
    assert str(summarize(1.0, 2.0, draws, draws, confidence=0.95)) == "1 [-∞, 2]"


def test_the_interval_is_that_of_the_draws_and_holds_the_value():
    draws = np.arange(1.0, 101)
    of = lambda value, last=200.0: summarize(value, last, draws, draws, confidence=0.5)  # noqa: E731
    assert (of(50.0).low, of(50.0).high) == (25, 75)
    assert (of(10.0).low, of(90.0).high) == (10, 90)
    censored = of(math.nan, 60.0)
    assert (censored.low, censored.high, censored.bound) == (25, math.inf, 60)
    assert of(math.nan, 20.0).low == 20


def test_stratified_numbers_have_one_in_each_cell_and_an_order_of_their_own():
    found = stratified(1000, 1, 2)
    assert sorted(np.floor(1000 * found)) == list(range(1000))
    assert not np.array_equal(found, stratified(1000, 1, 3)) and np.array_equal(found, stratified(1000, 1, 2))
    assert len(np.unique(1000 * found % 1)) > 990
