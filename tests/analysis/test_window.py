import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffmem.analysis.window import generalization_window
from diffmem.errors import ConfigError, DataError


def curve(steps, tau_gen, tau_mem):
    """Rows whose quality settles at 1 after ``tau_gen``, with copies after ``tau_mem`` and L_test rising from there."""
    return [
        {
            "step": step,
            "frechet_pixels": 1 + 100 * math.exp(-6 * step / tau_gen),
            "frechet_pixels_std": 0.01,
            "f_mem_low": max(0.0, 1 - tau_mem / step),
            "loss_train": 1 / step,
            "loss_test": max(1.0, (step / tau_mem) ** 2),
        }
        for step in steps
    ]


STEPS = [round(100 * 10 ** (k / 10)) for k in range(30)]


@given(st.floats(300, 3000), st.floats(3, 20), st.sampled_from(["f_mem", "loss_split"]))
def test_the_window_lies_between_good_samples_and_the_first_copies(tau_gen, gap, rule):
    tau_mem = gap * tau_gen
    window = generalization_window(curve(STEPS, tau_gen, tau_mem), rule)
    assert window.best in window.steps
    assert all(0.8 * tau_gen <= step <= 1.26 * tau_mem for step in window.steps)
    assert window.onset is None or tau_mem <= window.onset <= 1.6 * tau_mem
    assert window.onset is not None or tau_mem > STEPS[-1] / 1.26


@given(st.floats(2000, 20_000), st.floats(0.05, 0.3), st.sampled_from(["f_mem", "loss_split"]))
def test_copies_before_good_samples_leave_no_window(tau_gen, share, rule):
    window = generalization_window(curve(STEPS, tau_gen, share * tau_gen), rule, quality_level=2.0)
    assert window.steps == ()
    assert window.best is None
    assert "no window" in window.reason


@given(st.integers(2, len(STEPS)))
def test_rows_after_the_onset_change_nothing(length):
    rows = curve(STEPS, 300, 3000)
    whole = generalization_window(rows)
    shorter = generalization_window(rows[:length])
    if shorter.onset is not None:
        assert shorter == whole


def test_an_early_low_before_the_samples_are_formed_is_not_the_window():
    rows = curve(STEPS[:20], 1000, 10_000)
    rows[0]["frechet_pixels"] = 1.2
    assert 100 not in generalization_window(rows).steps


@given(st.lists(st.tuples(st.floats(1, 20), st.floats(0, 2)), min_size=2, max_size=12), st.integers(1, 12))
def test_the_best_row_is_known_when_it_is_measured(qualities, onset):
    """So its checkpoint can be saved then."""
    rows = [
        {"step": k, "frechet_pixels": value, "frechet_pixels_std": error, "f_mem_low": float(k >= onset)}
        for k, (value, error) in enumerate(qualities)
    ]
    saved = None
    for length in range(1, len(rows) + 1):
        window = generalization_window(rows[:length])
        if window.best == length - 1:
            saved = length - 1
        assert window.best in (None, saved)


def test_samples_that_were_still_becoming_better_leave_no_window():
    rows = [{"step": k, "frechet_pixels": 2.0**-k, "f_mem_low": float(k == 3)} for k in range(4)]
    assert generalization_window(rows).best is None
    assert generalization_window(rows[:3]).best == 2
    assert generalization_window(rows, plateau_factor=2.0).best == 2


def test_without_samples_the_last_row_before_the_split_is_kept():
    rows = [{key: row[key] for key in ("step", "loss_train", "loss_test")} for row in curve(STEPS, 300, 3000)]
    window = generalization_window(rows, "loss_split")
    assert window.best == max(step for step in STEPS if step < window.onset)


@pytest.mark.parametrize(
    "arguments", [{"rule": "feeling"}, {"level": 0.0}, {"plateau_factor": 0.5}, {"quality_level": 0.0}]
)
def test_rules_that_make_no_sense_are_refused(arguments):
    with pytest.raises(ConfigError, match=r"got .*; change "):
        generalization_window(curve(STEPS, 300, 3000), **arguments)


@pytest.mark.parametrize(
    ("test", "train", "onset"),
    [(1.25, 0.4, 1), (1.24, 0.4, None), (1.25, 0.5, None), (9.0, 0.6, None)],
)
def test_the_losses_part_where_one_rises_while_the_other_falls(test, train, onset):
    """From 1 and 0.5; a quarter is the default, and losses that rise together do not part."""
    rows = [{"step": 0, "loss_test": 1.0, "loss_train": 0.5}, {"step": 1, "loss_test": test, "loss_train": train}]
    assert generalization_window(rows, "loss_split").onset == onset


@pytest.mark.parametrize(("level", "onset"), [(0.125, 1), (0.126, None)])
def test_copying_has_begun_where_the_lower_bound_reaches_the_level(level, onset):
    assert (
        generalization_window([{"step": 0, "f_mem_low": 0.0}, {"step": 1, "f_mem_low": 0.125}], level=level).onset
        == onset
    )


@pytest.mark.parametrize(("error", "steps"), [(0.3, (0, 1)), (0.2, ())])
def test_a_quality_counts_as_equally_good_within_two_standard_errors(error, steps):
    """2 less two errors is below 1.5 times the best, 1, or above it."""
    rows = [{"step": k, "fid": 1.0 + k, "fid_std": error, "f_mem_low": 0.0} for k in range(2)]
    assert generalization_window(rows).steps == steps


def test_a_quality_that_is_no_number_is_the_worst():
    qualities = [math.nan, math.inf, 3.0, 2.0, math.nan]
    rows = [{"step": k, "fid": value, "f_mem_low": 0.0} for k, value in enumerate(qualities)]
    assert [generalization_window(rows[: k + 1]).best for k in range(4)] == [0, 0, 2, 3]
    assert generalization_window(rows).best is None


def test_a_quality_that_only_later_rows_have_is_not_read():
    """As of a run that was resumed with FID: the table has empty fields in the rows before."""
    rows = [
        {"step": str(k), "fid": "" if k < 2 else "9", "frechet_pixels": str(9 - k), "f_mem_low": "0"} for k in range(4)
    ]
    window = generalization_window(rows)
    assert window.best == 3 and "frechet_pixels 6" in window.reason
    for row in rows:
        del row["frechet_pixels"]
    assert generalization_window(rows).best == 3


def test_missing_columns_and_rows_are_named():
    with pytest.raises(DataError, match="no rows"):
        generalization_window([])
    with pytest.raises(DataError, match="f_mem_low"):
        generalization_window([{"step": 0, "frechet_pixels": 1.0}])
    for value in (math.nan, "", None):
        rows = [{"step": 0, "f_mem_low": 0.0}, {"step": 7, "f_mem_low": value}]
        with pytest.raises(DataError, match=r"evaluations at step 7: got .*f_mem_low"):
            generalization_window(rows)
