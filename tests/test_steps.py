import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffmem.errors import ConfigError
from diffmem.steps import PAPER_STEPS, scheduled_steps

SPECS = st.one_of(
    st.builds("log:{}".format, st.integers(1, 20)),
    st.builds("log:{}:{}".format, st.integers(1, 20), st.integers(1, 1000)),
    st.builds("every:{}".format, st.integers(1, 5000)),
    st.just("paper"),
    st.lists(st.integers(0, 10**6), max_size=5),
)


@given(SPECS, st.integers(1, 10**5))
def test_steps_ascend_from_zero_to_the_last(spec, max_steps):
    steps = scheduled_steps(spec, max_steps)
    assert steps[0] == 0
    assert steps[-1] == max_steps
    assert all(a < b for a, b in itertools.pairwise(steps))


@given(SPECS, st.integers(1, 10**4), st.integers(1, 10**4))
def test_a_longer_run_shares_the_steps_of_a_shorter_one(spec, short, extra):
    assert set(scheduled_steps(spec, short)) - {short} <= set(scheduled_steps(spec, short + extra))


def test_log_steps_are_evenly_spaced_in_the_logarithm():
    assert scheduled_steps("log:2:100", 10_000) == (0, 100, 316, 1000, 3162, 10_000)


def test_log_steps_are_rounded_and_begin_at_ten():
    assert scheduled_steps("log:8:100", 1000) == (0, 100, 133, 178, 237, 316, 422, 562, 750, 1000)
    assert scheduled_steps("log:1", 1000) == (0, 10, 100, 1000)


def test_steps_of_a_fixed_distance_and_those_of_a_list():
    assert scheduled_steps("every:40", 100) == (0, 40, 80, 100)
    assert scheduled_steps([5, 3, 200, 5], 100) == (0, 3, 5, 100)


def test_paper_steps_are_those_of_its_code():
    assert (len(PAPER_STEPS), sum(PAPER_STEPS)) == (81, 58_598_000)
    assert scheduled_steps("paper", 2_000_000)[-2:] == (1_665_000, 2_000_000)


@pytest.mark.parametrize("spec", ["every:1", "log:10000000", "log:500000:100"])
def test_more_steps_than_a_table_can_hold_are_refused_at_once(spec):
    with pytest.raises(ConfigError, match=r"expected at most 1,000,000"):
        scheduled_steps(spec, 10**12)


@pytest.mark.parametrize("spec", ["often", "log", "log:0", "log:3:0", "every:-1", "every:2:3", [-1], [1.5]])
def test_unknown_forms_are_refused(spec):
    with pytest.raises(ConfigError, match=r"evaluation\.steps"):
        scheduled_steps(spec, 100)
