"""The law with the U-Net, at batches of min(n, 512)."""

import functools
from pathlib import Path

import pytest
from laws import law_of_copies, laws, printed, sgd_over_adam

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.runs import read_runs

STUDY = Path(__file__).parent / "digits_law"
STATEMENTS = (STUDY / "README.md").read_text(encoding="utf-8")
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@functools.cache
def tables(part):
    return read_runs([STUDY / part])


def of(part, **identity):
    return [run for run in tables(part) if all(run.identity[key] == value for key, value in identity.items())]


U_NET = ("nn_heldout/nn_train +5%", "L_test +5%", "L_test +20%", "L_gen ≥ 0.5", "f_mem ≥ 1%", "f_mem ≥ 5%")
U_NET_LEVEL = 10.0


@pytest.fixture(scope="module")
def fixed():
    """The U-Net at batches of 32, of the study of SGD and Adam."""
    return read_runs([STUDY.parent / "digits_sgd_adam"])


def test_the_exponents_of_the_u_net_are_those_printed(fixed):
    whole = laws(compare(of("unet"), Rules(quality_level=U_NET_LEVEL)))
    beside = laws(compare(fixed, Rules()))
    paired = sgd_over_adam(of("unet"), U_NET)
    for name in U_NET:
        five = (whole["Adam"][name], whole["SGD"][name], paired[name], beside["Adam"][name], beside["SGD"][name])
        cells = ["–" if isinstance(law, str) or "got" in str(law) else printed(law) for law in five]
        assert f"| {name} | {' | '.join(cells)} |" in STATEMENTS
    between = [law.exponent for law in paired.values()]
    assert f"lie {min(between):.2f} to {max(between):.2f}, not" in STATEMENTS
    assert all(law.high < 0.5 for law in paired.values())
    assert whole["Adam"]["f_mem ≥ 1%"].interval_text in README


def test_the_u_net_copies_linearly_in_n_under_sgd_and_sooner_under_adam():
    larger = [run for run in of("unet") if run.n > 16]
    levels = (0.01, 0.02, 0.05, 0.1)
    found = [law_of_copies(larger, level)["SGD"] for level in levels]
    assert all(law.low < 1 < law.high and abs(law.exponent - 1) < 0.11 for law in found)
    texts = [law.interval_text for law in found]
    assert f"{texts[0]} at f_mem ≥ 1%, {texts[1]} at 2%, {texts[2]} at 5% and {texts[3]} at 10%" in STATEMENTS
    assert f"f_mem ≥ 1% comes at n^{texts[0]}" in README
    every = [law_of_copies(of("unet"), level) for level in levels]
    a, b, c, d = (f"{each['SGD'].exponent:.2f}" for each in every)
    assert f"it is {a}, {b}, {c} and {d}" in STATEMENTS
    assert f"before they are copies, {a} to {d}" in README
    for runs in (of("unet"), larger):
        assert all(law_of_copies(runs, level)["Adam"].exponent < 0.8 for level in (0.005, *levels))
    from_64 = [law_of_copies([run for run in larger if run.n > 32], level)["SGD"] for level in levels]
    exponents = [law.exponent for law in from_64]
    assert f"from n = 64 on it is {min(exponents):.2f} to {max(exponents):.2f}" in STATEMENTS
    assert [law.low > 1 for law in from_64] == [False, False, False, True]
    parted = laws(compare(larger, Rules(quality_level=U_NET_LEVEL)))["SGD"]
    assert all(0.6 <= parted[name].exponent < 0.9 for name in U_NET[1:4])
    collapses = {g.name: g.collapse for g in compare(of("unet"), Rules(quality_level=U_NET_LEVEL)).groups}
    assert f"best α at {collapses['SGD'].exponent:.2f}" in STATEMENTS
    cells = compare([run for run in of("unet", optimizer="SGD") if run.n == 16], Rules(quality_level=U_NET_LEVEL)).cells
    assert all(cell.times["gen"] is None or cell.times["gen"].censored for cell in cells)


def test_a_third_of_the_rate_does_not_make_adam_linear():
    slow = of("unet_rate")
    subsets = {(run.n, run.identity["index"]) for run in slow}
    fast = [run for run in of("unet", optimizer="Adam") if (run.n, run.identity["index"]) in subsets]
    assert len(slow) == len(fast) == len(subsets) == 6
    for runs in (slow, fast):
        one, five = (law_of_copies(runs, level)["Adam"].interval_text for level in (0.01, 0.05))
        assert f"{one} and 5% {five}" in STATEMENTS or f"{one} and {five}" in STATEMENTS


def test_the_batch_rule_moves_the_u_net_under_either_optimizer(fixed):
    """Over the same n = 32, 64 and 128."""
    small = compare([run for run in fixed if run.n <= 128], Rules(quality_level=U_NET_LEVEL))
    whole = [run for run in of("unet") if 16 < run.n <= 128]
    before, after = laws(small), laws(compare(whole, Rules(quality_level=U_NET_LEVEL)))
    copies = {name: before[name]["f_mem ≥ 1%"] for name in ("Adam", "SGD")}
    assert f"{copies['Adam'].interval_text} under Adam and {copies['SGD'].exponent:.2f} under SGD" in STATEMENTS
    for name in ("L_test +5%", "L_test +20%", "L_gen ≥ 0.5", "f_mem ≥ 1%", "f_mem ≥ 5%"):
        assert 0.65 < before["Adam"][name].exponent - after["Adam"][name].exponent < 0.95
    for name in ("L_test +5%", "L_test +20%", "L_gen ≥ 0.5", "f_mem ≥ 1%"):
        assert before["SGD"][name].exponent - after["SGD"][name].exponent > 0.3


PATCHES = STUDY.parent / "patches_law"


def test_on_photographs_the_order_is_that_of_the_digits():
    page = (PATCHES / "README.md").read_text(encoding="utf-8")
    runs = read_runs([PATCHES])
    shown = ("L_test +5%", "L_gen ≥ 0.1", "L_gen ≥ 0.2", "f_mem ≥ 1%")
    whole, paired = laws(compare(runs, Rules(quality_level=3.0))), sgd_over_adam(runs, shown)
    adam, sgd = whole["Adam"], whole["SGD"]
    for name in shown:
        cells = [printed(law) for law in (adam[name], sgd[name], paired[name])]
        assert f"| {name} | {' | '.join(cells)} |" in page
        assert paired[name].exponent > 0 and adam[name].exponent < sgd[name].exponent
    copies, of_larger = (law_of_copies(each) for each in (runs, [run for run in runs if run.n > 16]))
    assert copies["Adam"].high < 1 and f"than n: {copies['Adam'].interval_text}" in page
    assert f"{of_larger['SGD'].interval_text}, and L_gen ≥ 0.1 at {sgd['L_gen ≥ 0.1'].interval_text}" in page
    assert f"with n = 16 it is {copies['SGD'].interval_text}" in page
    assert [name for name in shown if paired[name].low < 0] == ["f_mem ≥ 1%"]
    assert of_larger["SGD"].low < 1 < of_larger["SGD"].high


def test_on_photographs_good_samples_come_before_copies_under_sgd_at_the_largest_n_alone():
    cells = compare(read_runs([PATCHES]), Rules(quality_level=3.0)).cells
    gen, mem = ([cell.times[name] for cell in cells] for name in ("gen", "mem"))
    early = [not good.censored and good.value < copied.value for good, copied in zip(gen, mem, strict=True)]
    assert [(cell.group, cell.n) for cell, is_early in zip(cells, early, strict=True) if is_early] == [("SGD", 128)]
