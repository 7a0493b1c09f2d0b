"""How estimates are written."""

import math

from hypothesis import given
from hypothesis import strategies as st

from diffmem.analysis.estimate import summarize


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
