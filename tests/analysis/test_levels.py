"""The level q that a set of runs shares, and who sets it."""

import numpy as np
import pytest
from synthetic_runs import evaluations, log_steps

from diffmem.analysis.levels import common_level, has_levelled_off, shared_level
from diffmem.analysis.runs import run_of_table
from diffmem.errors import DataError

STEPS = np.array([0, 100, 200, 400, 800])


def test_the_common_level_is_one_that_every_run_reaches():
    curves = [(STEPS, [100, 50, 9, 8, 7]), (STEPS, [100, 60, 5, 5, 4]), (STEPS, [100, 70, 2, 1, 2])]
    assert common_level(curves) == (14, 0)


def test_a_run_that_still_falls_sets_no_level_beside_one_that_does_not():
    falling, settled = (STEPS, [500, 400, 300, 200, 50]), (STEPS, [100, 60, 5, 5, 4])
    assert not has_levelled_off(*falling)
    assert has_levelled_off(*settled)
    assert has_levelled_off(STEPS, [100, 9, 8, 8, 4]), "half of what it was"
    assert common_level([falling, settled]) == (8, 1)
    assert common_level([falling, falling]) == (100, 0)


def test_a_run_that_has_just_begun_sets_no_level():
    """At step 0 a network is untrained, and its distance thousands of times that of good samples."""
    settled = (STEPS, [1e5, 60, 5, 5, 4])
    for begun in ((STEPS[:1], [1e5]), (STEPS[:2], [1e5, 9e4])):
        assert not has_levelled_off(*begun)
        assert common_level([begun, settled]) == (8, 1)


def runs(lengths):
    return [run_of_table(f"n{n}", evaluations(n, 0, steps=log_steps(last))) for n, last in lengths.items()]


def test_who_sets_the_level_and_who_is_left_out_is_said():
    level = shared_level(runs({64: 20_000, 128: 20_000, 256: 800}), "frechet_pixels", None)
    assert "left out, as they still fell: n256" in level.note
    assert level.warning == ""


def test_where_no_run_has_levelled_off_a_warning_says_so():
    level = shared_level(runs({64: 500, 128: 800}), "frechet_pixels", None)
    assert "no run's frechet_pixels has levelled off" in level.warning
    assert level.warning in level.note
    assert shared_level(runs({64: 500}), "frechet_pixels", 3.0).warning == ""


def test_a_run_without_a_quality_sets_no_level():
    both = runs({64: 500, 128: 800})
    both[1].table["frechet_pixels"] = np.nan
    with pytest.raises(DataError, match="no quality in n128"):
        shared_level(both, "frechet_pixels", None)
