"""Curves of τ/n^α collapse at that α."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_runs import Truth, evaluations, log_steps, write_run

from diffmem import compare as command
from diffmem.analysis.collapse import collapse, levelled_off
from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.law_figures import collapsed_curves
from diffmem.analysis.runs import read_runs
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


def test_where_plateaus_are_asked_for_runs_on_the_rise_are_left_out():
    """Plateaus of different height, and one run that was cut where it had half of its own."""
    whole = curves(1.0, plateau=lambda n: 0.9 * (64 / n) ** 0.3)
    steps, f_mem = whole[-1]
    cut = (steps[f_mem < f_mem[-1] / 2], f_mem[f_mem < f_mem[-1] / 2])
    with_cut = [*whole, cut], (*SIZES, SIZES[-1])
    asked_for = collapse(with_cut[1], with_cut[0], plateaus=True)
    assert (asked_for.normalized, len(asked_for.n), asked_for.num_left_out) == (True, 4, 1)
    assert asked_for.exponent == pytest.approx(1, abs=0.01)
    assert "f_mem/f_mem(τ_max) of those that levelled off (1 did not)" in str(asked_for)
    mixed = collapse(with_cut[1], with_cut[0])
    assert (mixed.normalized, mixed.num_left_out) == (False, 0)
    assert mixed.exponent > 1.05, "lower plateaus come later to one height"
    with pytest.raises(DataError, match=r"0 runs at 0 values of n .* and have levelled off"):
        collapse(SIZES, curves(1.0, max_steps=700), plateaus=True)


def test_the_command_says_which_curves_the_figure_has(tmp_path, capsys):
    """Two sizes that level off and one that stopped on the rise."""
    for n, max_steps in ((64, 100_000), (128, 100_000), (256, 3_000)):
        write_run(tmp_path / "runs", evaluations(n, 0, Truth(prefactor=10), log_steps(max_steps, 20), num_samples=4000))
    curve_of = []
    for which in ("all", "plateaus"):
        arguments = ["--draws=200", f"--collapse={which}", f"--out={tmp_path}/{which}"]
        assert command.main([str(tmp_path / "runs"), *arguments]) == 0
        assert (tmp_path / which / "collapse.png").stat().st_size > 10_000
        curve_of.append(capsys.readouterr().out)
    assert "f_mem (some runs stopped on the rise)" in curve_of[0] and "--collapse" not in curve_of[0]
    assert "over 2 runs, f_mem/f_mem(τ_max) of those that levelled off (1 did not)" in curve_of[1]
    assert "--collapse plateaus" in curve_of[1], "the page has the same rule"
    rules = Rules(collapse="plateaus", num_draws=200)
    axes = collapsed_curves(compare(read_runs([tmp_path / "runs"]), rules)).axes
    assert axes[0].get_ylabel() == "$f_{\\mathrm{mem}} / f_{\\mathrm{mem}}(τ_{\\max})$"
    assert len(axes[0].lines) == 2


def test_a_curve_has_levelled_off_where_half_its_time_ago_it_was_four_fifths_of_its_end():
    steps = np.array([0.0, 50, 100])
    assert levelled_off(steps, np.array([0, 0.4, 0.5]))
    assert not levelled_off(steps, np.array([0, 0.39, 0.5]))


def test_curves_that_hardly_rise_take_no_part():
    steps = log_steps(1_000_000)
    found = collapse((*SIZES, 4096), [*curves(1.0), (steps, np.where(steps > 1e5, 0.01, 0))])
    assert len(found.n) == len(SIZES)


def test_curves_of_one_n_are_refused():
    with pytest.raises(DataError, match="2 values of n"):
        collapse((64, 64), curves(1.0)[:2])
