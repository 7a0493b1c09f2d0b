"""Both clocks are known once each has been passed and confirmed."""

import math

import numpy as np
import pytest
from synthetic_runs import Truth, evaluations, log_steps

from diffmem.analysis.clocks import clocks_are_known
from diffmem.analysis.timescales import tau_gen, tau_mem
from diffmem.errors import DataError

TRUTH = Truth(quality_error=0.0)


def first_known(rows, level):
    return next((row["step"] for end, row in enumerate(rows) if clocks_are_known(rows[: end + 1], level)), None)


def test_a_run_ends_after_the_later_clock_and_not_much_later():
    rows = evaluations(200, 0, TRUTH, log_steps(1_000_000)).to_dict("records")
    for level in (6.0, 3.001):  # τ_gen before τ_mem, and long after it
        end = first_known(rows, level)
        later = max(TRUTH.tau_mem(200), TRUTH.tau_gen(level))
        assert later < end < 3 * later
        seen = [row for row in rows if row["step"] <= end]
        steps, f_mem, quality = (np.array([row[name] for row in seen]) for name in ("step", "f_mem", "frechet_pixels"))
        assert not tau_mem(steps, f_mem, 500).censored
        assert not tau_gen(steps, quality, level).censored


def test_an_uncertain_quality_is_known_later():
    rows = evaluations(200, 0, TRUTH, log_steps(1_000_000)).to_dict("records")
    blurred = [{**row, "frechet_pixels_std": 0.3 * row["frechet_pixels"]} for row in rows]
    assert first_known(rows, 4.0) < (first_known(blurred, 4.0) or math.inf)


def test_a_clock_that_was_not_passed_is_not_known():
    rows = evaluations(200, 0, TRUTH, log_steps(1_000_000)).to_dict("records")
    assert first_known(rows, 2.9) is None
    assert first_known(evaluations(10**6, 0, TRUTH, log_steps(100_000)).to_dict("records"), 6.0) is None
    assert not clocks_are_known(rows[:2], 6.0)


def test_a_quality_that_no_or_not_every_row_has_is_named():
    rows = evaluations(200, 0, TRUTH, log_steps(1_000_000)).to_dict("records")
    later = [{**row, "fid": "" if row["step"] < 100 else "1.0"} for row in rows]
    assert clocks_are_known(later, 6.0), "the Fréchet distance is read in its place"
    for row in rows:
        row["frechet_pixels"] = "" if row["step"] < 100 else "1.0"
    with pytest.raises(DataError, match="no quality that every row has"):
        clocks_are_known(rows, 6.0)
