"""Curves of τ/n^α collapse at that α."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_runs import log_steps

from diffmem.analysis.collapse import collapse
from diffmem.errors import DataError

SIZES = (64, 128, 256, 512)


def curves(exponent, max_steps=1_000_000, plateau=lambda n: 1.0, per_decade=40):
    steps = log_steps(max_steps, per_decade)
    return [(steps, plateau(n) / (1 + (500 * (n / 64) ** exponent / np.maximum(steps, 1e-9)) ** 3)) for n in SIZES]


@settings(max_examples=25)
@given(st.floats(0, 1.5))
def test_the_exponent_of_the_curves_is_the_best_one(exponent):
    found = collapse(SIZES, curves(exponent))
    assert found.normalized
    assert found.exponent == pytest.approx(exponent, abs=0.01)
    assert found.spread(found.exponent) < 0.01


@settings(max_examples=25)
@given(st.floats(-1, 3))
def test_no_other_exponent_collapses_better(other):
    found = collapse(SIZES, curves(0.8))
    assert found.spread(other) >= found.spread(found.exponent)


def test_plateaus_of_different_height_are_divided_out():
    found = collapse(SIZES, curves(1.0, plateau=lambda n: 0.9 * (64 / n) ** 0.3))
    assert found.exponent == pytest.approx(1, abs=0.01)


def test_runs_that_stopped_on_the_rise_are_compared_at_the_same_f_mem():
    """Divided by their last values, curves cut at one time would seem to collapse at a smaller α."""
    found = collapse(SIZES, curves(1.0, max_steps=2000))
    assert not found.normalized
    assert found.exponent == pytest.approx(1, abs=0.02)


def test_curves_that_hardly_rise_take_no_part():
    steps = log_steps(1_000_000)
    found = collapse((*SIZES, 4096), [*curves(1.0), (steps, np.where(steps > 1e5, 0.01, 0))])
    assert len(found.n) == len(SIZES)


def test_curves_of_one_n_are_refused():
    with pytest.raises(DataError, match="2 values of n"):
        collapse((64, 64), curves(1.0)[:2])
