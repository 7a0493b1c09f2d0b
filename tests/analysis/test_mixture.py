"""The study of exponents in the paper's mixture: SGD and Adam, batches of n and of 128, d = 8 and 16."""

from pathlib import Path

import pytest

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.law_figures import exponents_by_criterion
from diffmem.analysis.runs import read_runs

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
STATEMENTS = (Path(__file__).parent / "README.md").read_text(encoding="utf-8").replace("−", "-")
SHOWN = ("mixture-sgd", "mixture-sgd-d16", "mixture-adam", "mixture-adam-b128")
LOSSES = ("L_test +5%", "L_test +20%", "L_test +50%")


@pytest.fixture(scope="module")
def comparison():
    return compare(read_runs([Path(__file__).parent / "mixture"]), Rules(by=("study",), quality_level=2.0))


@pytest.fixture(scope="module")
def laws(comparison):
    return {group.name: {rung.criterion.name: rung.law for rung in group.ladder} for group in comparison.groups}


def printed(law):
    return str(law).replace(" points", "")


@pytest.mark.parametrize("criterion", ["nn_heldout/nn_train +10%", *LOSSES, "L_gen ≥ 0.5", "f_mem ≥ 1%", "f_mem ≥ 5%"])
def test_the_exponents_printed_are_those_computed(laws, criterion):
    cells = [printed(laws[name][criterion]) for name in SHOWN]
    assert f"| {criterion} | {' | '.join(cells)} |" in STATEMENTS


def test_the_loss_turns_linearly_in_n_under_sgd_and_under_adam_at_a_fixed_batch(laws):
    for criterion in LOSSES:
        assert abs(laws["mixture-sgd"][criterion].exponent - 1) < 0.1
        assert 0.85 <= round(laws["mixture-adam-b128"][criterion].exponent, 2) <= 0.97
        assert 0.47 <= round(laws["mixture-adam"][criterion].exponent, 2) <= 0.54
        assert laws["mixture-sgd-b128"][criterion].low < 1 < laws["mixture-sgd-b128"][criterion].high
    assert f"n^{laws['mixture-sgd']['L_test +20%'].interval_text} (20% above" in README
    assert f"5% at n^{laws['mixture-sgd']['f_mem ≥ 5%'].interval_text}" in README
    texts = [laws["mixture-sgd-b128"][criterion].interval_text for criterion in LOSSES]
    assert f"({texts[0]}, {texts[1]} and {texts[2]} there)" in STATEMENTS


def test_a_batch_of_n_takes_one_half_off_the_exponents_of_adam(laws):
    for criterion in (*LOSSES, "nn_heldout/nn_train +10%", "L_gen ≥ 0.5", "f_mem ≥ 1%", "f_mem ≥ 5%"):
        off = laws["mixture-adam-b128"][criterion].exponent - laws["mixture-adam"][criterion].exponent
        assert 0.3 < off < 0.7


def test_copies_come_later_than_n_and_the_more_so_the_lower_the_level(laws):
    for name in ("mixture-sgd", "mixture-sgd-d16"):
        assert laws[name]["f_mem ≥ 1%"].exponent > laws[name]["f_mem ≥ 5%"].low > 1
    low = compare(read_runs([Path(__file__).parent / "mixture/sgd"]), Rules(mem_level=0.005, quality_level=2.0))
    (group,) = low.groups
    assert group.laws["mem"].interval_text in STATEMENTS
    assert group.laws["mem"].exponent > laws["mixture-sgd"]["f_mem ≥ 1%"].exponent


def test_what_one_plus_two_over_d_is_excluded_by(laws):
    eight, sixteen = laws["mixture-sgd"], laws["mixture-sgd-d16"]
    assert eight["f_mem ≥ 1%"].low < 1.25 < eight["f_mem ≥ 1%"].high
    assert sixteen["f_mem ≥ 1%"].low < 1.125 < sixteen["f_mem ≥ 1%"].high
    assert all(eight[name].high < 1.25 for name in (*LOSSES, "f_mem ≥ 5%"))


def test_good_samples_do_not_wait_for_n(comparison):
    of = {group.name: group for group in comparison.groups}
    assert all(of[name].laws["gen"].high < 0 for name in ("mixture-sgd", "mixture-adam"))
    text = f"{of['mixture-sgd'].collapse.exponent:.2f}"
    assert f"the best α = {text}" in STATEMENTS


def test_an_exponent_beyond_the_axis_of_the_ladder_is_an_arrow_at_its_edge(comparison, laws):
    (ax,) = exponents_by_criterion(comparison).axes
    low, high = ax.get_ylim()
    found = [law.exponent for of in laws.values() for law in of.values() if not isinstance(law, str)]
    for marker, edge, count in (
        ("v", low, sum(each < low for each in found)),
        ("^", high, sum(each > high for each in found)),
    ):
        drawn = [y for line in ax.lines if line.get_marker() == marker for y in line.get_ydata()]
        assert count > 0 and drawn == [edge] * count
