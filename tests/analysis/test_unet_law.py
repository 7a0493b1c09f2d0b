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
    assert f"lie {min(between):.2f} to {max(between):.2f} over all n" in STATEMENTS
    assert all(law.high < 0.5 for law in paired.values())
    larger = sgd_over_adam([run for run in of("unet") if run.n >= 64], ("f_mem ≥ 1%", "L_test +5%", "L_gen ≥ 0.5"))
    one, five, gap = (law.interval_text for law in larger.values())
    assert f"there it is {one} at f_mem ≥ 1%, {five} at L_test +5% and {gap} at L_gen ≥ 0.5" in STATEMENTS


def test_the_u_net_copies_linearly_in_n_under_sgd_and_sooner_under_adam():
    larger = [run for run in of("unet") if run.n > 16]
    levels = (0.01, 0.02, 0.05, 0.1)
    found = [law_of_copies(larger, level)["SGD"] for level in levels]
    assert all(law.low < 1 < law.high and abs(law.exponent - 1) < 0.11 for law in found)
    texts = [law.interval_text for law in found]
    assert f"{texts[0]} at f_mem ≥ 1%, {texts[1]} at 2%, {texts[2]} at 5% and {texts[3]} at 10%" in STATEMENTS
    assert f"f_mem ≥ 1% comes at n^{texts[0]}, and 2, 5 and 10% at n^" in README
    others = [law.exponent for law in found[1:]]
    assert f"10% at n^{min(others):.2f} to n^{max(others):.2f}." in README
    every = [law_of_copies(of("unet"), level) for level in levels]
    a, b, c, d = (f"{each['SGD'].exponent:.2f}" for each in every)
    assert f"it is {a}, {b}, {c} and {d}" in STATEMENTS
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


def good_before_copies(runs, level):
    """Of each optimizer and n, how many of its runs have good samples before copies, and how many runs it has."""
    found = {}
    for cell in compare(runs, Rules(quality_level=level)).cells:
        pairs = [(run.times["gen"], run.times["mem"]) for run in cell.runs]
        early = [good is not None and not good.censored and good.value < copied.bound for good, copied in pairs]
        found[cell.group, cell.n] = sum(early), len(early)
    return found


def test_good_samples_of_the_u_net_come_before_copies_from_64_images_on():
    at_10, at_5 = (good_before_copies(of("unet"), level) for level in (10.0, 5.0))
    assert [sum(at_10[name, n][0] for name in ("Adam", "SGD")) for n in (16, 32)] == [0, 1]
    assert all(early == number for (_, n), (early, number) in at_10.items() if n >= 64)
    assert sum(at_5[name, 64][0] for name in ("Adam", "SGD")) == 3


def test_at_a_third_of_the_rate_one_level_excludes_a_linear_law():
    slow = of("unet_rate")
    subsets = {(run.n, run.identity["index"]) for run in slow}
    fast = [run for run in of("unet", optimizer="Adam") if (run.n, run.identity["index"]) in subsets]
    assert len(slow) == len(fast) == len(subsets) == 6
    for runs in (slow, fast):
        one, five = (law_of_copies(runs, level)["Adam"].interval_text for level in (0.01, 0.05))
        assert f"{one} and 5% {five}" in STATEMENTS or f"{one} and {five}" in STATEMENTS
    linear = [law_of_copies(slow, level)["Adam"].high > 1 for level in (0.005, 0.01, 0.02, 0.05)]
    assert linear == [True, True, True, False]


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
    larger = [run for run in runs if run.n > 16]
    from_32 = sgd_over_adam(larger, shown)
    assert all(law.exponent > 0 for law in from_32.values())
    assert [name for name in shown if from_32[name].low > 0] == ["L_gen ≥ 0.2"]
    assert f"alone leaves 0 out: {from_32['L_gen ≥ 0.2'].interval_text}" in page
    assert [name for name in shown if paired[name].low < 0] == ["f_mem ≥ 1%"]
    whole, larger = (law_of_copies(each) for each in (runs, larger))
    assert f"SGD has {larger['SGD'].interval_text}, Adam {larger['Adam'].interval_text}. With" in page
    assert f"SGD has {whole['SGD'].interval_text} and Adam" in page and whole["Adam"].interval_text in page
    assert all(law.low < 1 < law.high for law in larger.values()) and whole["Adam"].high < 1
    assert all(laws[name].high < 1 for laws in (adam, sgd) for name in ("L_test +5%", "L_gen ≥ 0.2"))


def test_on_photographs_good_samples_come_before_copies_at_larger_n():
    runs = read_runs([PATCHES])
    strict, loose = (good_before_copies(runs, level) for level in (3.0, 10.0))
    assert (strict["Adam", 64], strict["SGD", 64]) == ((1, 3), (1, 3))
    assert (strict["Adam", 128], strict["SGD", 128]) == ((0, 2), (2, 2))
    assert good_before_copies(of("unet"), 3.0)["Adam", 128] == (3, 3)
    assert [loose[name, n] for name in ("Adam", "SGD") for n in (64, 128)] == [(2, 3), (2, 2)] * 2
