"""The measured study of SGD and Adam on digits, as data."""

import contextlib
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.report import ladder_table
from diffmem.analysis.runs import read_runs
from diffmem.analysis.scaling import fit_of_runs
from diffmem.analysis.timescales import tau_rise
from diffmem.analysis.window import generalization_window
from diffmem.errors import DataError

STUDY = Path(__file__).parent / "digits_sgd_adam"
STATEMENTS = (Path(__file__).parent / "digits_sgd_adam/README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def runs():
    return read_runs([STUDY])


@pytest.fixture(scope="module")
def comparison(runs):
    return compare(runs, Rules())


@pytest.fixture(scope="module")
def laws(comparison):
    """The law of each group by each criterion."""
    return {group.name: {rung.criterion.name: rung.law for rung in group.ladder} for group in comparison.groups}


ONSET = ("nn_heldout/nn_train +5%", "nn_heldout/nn_train +10%")
COPYING = ("L_test +5%", "L_test +20%", "L_test +50%", "L_gen ≥ 0.1", "L_gen ≥ 0.2", "L_gen ≥ 0.5", "f_mem ≥ 1%")
QUALITY = tuple(f"frechet_pixels ≤ {q}" for q in (9.38, 4.69, 2.34, 1.17))


def test_the_ladder_printed_is_the_one_computed(comparison):
    for row in ladder_table(comparison)[1]:
        assert f"| {' | '.join(row)} |".replace("-", "−") in STATEMENTS.replace("-", "−")


def test_the_onset_of_copying_is_linear_in_n_and_copying_slower(laws):
    for group in ("Adam", "SGD"):
        assert all(laws[group][name].low <= 1 <= laws[group][name].high for name in ONSET)
        assert all(laws[group][name].high - laws[group][name].low < 0.35 for name in ONSET)
    assert all(laws["Adam"][name].low > 1 for name in (*COPYING, "f_mem ≥ 5%"))
    with_one = {name for name in COPYING if laws["SGD"][name].low <= 1}
    assert with_one == {"L_test +20%", "L_test +50%", "L_gen ≥ 0.1"}
    assert isinstance(laws["Adam"]["f_mem ≥ 20%"], str)


def test_the_readme_has_the_onset_and_the_copies_of_this_study(laws):
    readme = (STUDY.parents[2] / "README.md").read_text(encoding="utf-8")
    onset = [laws[group][name].exponent for group in ("Adam", "SGD") for name in ONSET]
    assert f"as n^{min(onset):.2f} to n^{max(onset):.2f}." in readme
    adam, sgd = (laws[group]["f_mem ≥ 1%"].interval_text for group in ("Adam", "SGD"))
    assert f"as n^{adam} with Adam and n^{sgd} with SGD" in readme


def test_the_onset_of_adam_passes_n_with_its_level(runs):
    """nn_heldout/nn_train at levels below and above those of the ladder."""

    def law(optimizer, level):
        times = []
        for run in (run for run in runs if run.identity["optimizer"] == optimizer):
            with contextlib.suppress(DataError):
                ratio = run.column("nn_heldout") / run.column("nn_train")
                times.append((run, tau_rise(run.clock(), ratio / np.fmin.accumulate(ratio), 1 + level)))
        return fit_of_runs(times)

    adam, sgd = ([law(name, level) for level in (0.02, 0.03, 0.2)] for name in ("Adam", "SGD"))
    two, three, twenty = (each.interval_text for each in adam)
    assert f"{two} at +2%, {three} at +3%, {twenty} at +20%" in STATEMENTS
    assert adam[1].high < 1 < adam[2].low and all(each.low < 1 < each.high for each in sgd)


def test_the_laws_without_any_one_n(runs):
    """By n left out and optimizer."""
    found = {
        (n, group.name): {rung.criterion.name: rung.law for rung in group.ladder}
        for n in (32, 64, 128, 256, 512)
        for group in compare([run for run in runs if run.n != n], Rules(num_draws=100, quality_level=9.38)).groups
    }
    onset = [each[name].exponent for each in found.values() for name in ONSET]
    assert f"between {min(onset):.2f} and {max(onset):.2f}" in STATEMENTS
    adam = [found[n, "Adam"]["f_mem ≥ 1%"] for n in (32, 64, 128, 256, 512)]
    exponents = sorted(law.exponent for law in adam)
    assert all(law.low > 1 for law in adam)
    assert f"at 1% is {exponents[0]:.2f} to {exponents[-1]:.2f} and leaves 1 out" in STATEMENTS
    assert {n for n, name in found if name == "SGD" and found[n, name]["f_mem ≥ 1%"].low > 1} == {512}


def test_copying_comes_later_than_n_at_every_level_of_f_mem(runs):
    laws = {}
    for level in (0.002, 0.005, 0.02):
        for group in compare(runs, Rules(num_draws=100, mem_level=level, quality_level=9.38)).groups:
            laws.setdefault(group.name, []).append(group.laws["mem"])
    assert all(law.low > 1 for each in laws.values() for law in each)
    texts = [f"{min(e):.2f} to {max(e):.2f} for {name}" for name, each in laws.items() for e in [exponents(each)]]
    assert all(text in STATEMENTS for text in texts), texts


def exponents(laws):
    return [law.exponent for law in laws]


def laws_of_tau_gen(runs, level):
    groups = compare(runs, Rules(num_draws=100, quality_level=level)).groups
    return {group.name: group.laws["gen"] for group in groups}


def test_tau_gen_does_not_grow_with_n(runs, laws):
    assert all(laws[group][name].low <= 0 for group in ("Adam", "SGD") for name in QUALITY)
    assert all(laws["SGD"][name].high < 0 for name in QUALITY[2:])
    assert all(laws["Adam"][name].high > 0 for name in QUALITY)
    assert laws["SGD"][QUALITY[2]].num_censored == 1
    loose = [laws_of_tau_gen(runs, q)["Adam"] for q in (20, 100)]
    assert all(law.low > 0 for law in loose)
    assert f"{loose[0].interval_text} at q = 20, {loose[1].interval_text} at 100" in STATEMENTS
    strict = [laws_of_tau_gen(runs, q)["SGD"] for q in (2.5, 2)]
    assert all(law.high > 0 for law in strict)
    assert f"at 2.5, {strict[0].interval_text}" in STATEMENTS.replace("−", "-")


def test_sgd_takes_longer_for_both_times(runs, comparison):
    def ratios(name, of=comparison):
        times = {(cell.group, cell.n): cell.times[name] for cell in of.cells}
        pairs = [(times["SGD", n], times["Adam", n]) for n in (32, 64, 128, 256, 512)]
        return [sgd.value / adam.value for sgd, adam in pairs if sgd is not None and not sgd.censored]

    def range_of(values):
        return f"{min(values):.1f} to {max(values):.1f}"

    assert f"{range_of(ratios('gen'))} times as long as Adam for τ_gen" in STATEMENTS
    levels = [
        compare(runs, Rules(num_draws=100, quality_level=100, mem_level=level)) for level in (0.002, 0.005, 0.01, 0.02)
    ]
    every = [each for of in levels for each in ratios("mem", of)]
    assert f"{range_of(ratios('mem'))} times for τ_mem ({range_of(every)} from f_mem" in STATEMENTS
    sooner = ratios("gen", levels[0])
    assert f"gets there sooner ({min(sooner):.2f} to {max(sooner):.2f})" in STATEMENTS


def test_copies_of_sgd_at_512_images_do_not_last(comparison):
    (cell,) = [cell for cell in comparison.cells if (cell.group, cell.n) == ("SGD", 512)]
    assert cell.runs[0].run.table["f_mem"].tail(3).tolist() == [0.012, 0.014, 0.006]
    assert cell.times["mem"].value_text == "> 80000"


def test_the_level_is_set_by_a_run_that_has_levelled_off(comparison):
    assert f"{comparison.quality_level:.2f}" == "9.38"
    assert comparison.level_warning == ""
    assert "and 7 more" in comparison.level_note


def test_the_collapse_is_as_good_as_printed(comparison):
    printed = {"Adam": [1.53, 1.09, 1.42, 2.67], "SGD": [1.41, 1.16, 1.32, 2.29]}
    for group in comparison.groups:
        found = group.collapse
        assert not found.normalized
        spreads = [math.exp(found.spread(exponent)) for exponent in (found.exponent, 1, 0)]
        assert [round(each, 2) for each in (found.exponent, *spreads)] == printed[group.name]


@pytest.mark.parametrize("rule", ["f_mem", "loss_split"])
def test_the_stopping_rule_finds_no_window_at_32_images_and_one_at_256(runs, rule):
    windows = {
        (run.identity["optimizer"], run.n, run.identity["seed"]): generalization_window(
            run.table.to_dict("records"), rule, quality_level=2.0
        )
        for run in runs
    }
    for (_, n, _), window in windows.items():
        if n == 32:
            assert window.steps == ()
        if n >= 256:
            assert window.best is not None


def test_stopping_by_the_split_of_the_losses_comes_before_copies(runs):
    for run in runs:
        window = generalization_window(run.table.to_dict("records"), "loss_split", quality_level=2.0)
        if run.n >= 128 and window.onset is not None:
            assert run.table.set_index("step").loc[window.onset, "f_mem"] < 0.05


def test_the_stopping_rule_on_runs_that_it_was_not_fitted_to():
    study = STUDY.parent / "digits_stopping"
    page = (study / "README.md").read_text(encoding="utf-8")
    for run in read_runs([study]):
        window = generalization_window(run.table.to_dict("records"), "loss_split", quality_level=2.0)
        assert window.onset == run.table["step"].iloc[-1]
        assert run.table["f_mem"].max() < 0.05
        assert (window.best is not None) == (run.n >= 256)
        rows = run.table.set_index("step")
        span, kept, distance = "none", "–", "–"
        if window.best is not None:
            span = f"{window.steps[0]} to {window.steps[-1]}"
            kept, distance = str(window.best), f"{rows.frechet_pixels[window.best]:.3f}"
        start = f"| {run.n} | {run.identity['seed']} | {window.onset} | {rows.f_mem[window.onset]:.1%}"
        assert f"{start} | {span} | {kept} | {distance} |" in page
        if window.best is not None:
            quality = run.table.set_index("step")["frechet_pixels"]
            assert quality[window.best] < 2 * quality.min()


def test_a_number_does_not_depend_on_the_folder_a_table_lies_in(tmp_path):
    for place, folder in enumerate(sorted(STUDY.glob("*-n32-*-adam-*"))):
        shutil.copytree(folder, tmp_path / "elsewhere" / f"copy{place}")
    here = list(compare(read_runs(sorted(STUDY.glob("*-n32-*-adam-*"))), Rules()).cells)
    there = list(compare(read_runs([tmp_path]), Rules()).cells)
    assert [cell.times for cell in there] == [cell.times for cell in here]
    assert [(cell.gap, cell.ratio) for cell in there] == [(cell.gap, cell.ratio) for cell in here]
