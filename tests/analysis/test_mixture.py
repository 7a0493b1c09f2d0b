"""The study of exponents in the paper's mixture: SGD and Adam, batches of n and of 128, d = 8 and 16, three widths."""

from pathlib import Path

import pytest
from laws import law_from, printed
from laws import laws as laws_of

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.ladder import criteria
from diffmem.analysis.law_figures import exponents_by_criterion
from diffmem.analysis.runs import read_runs
from diffmem.analysis.sizes import size_laws

STATEMENTS = (Path(__file__).parent / "mixture/README.md").read_text(encoding="utf-8").replace("−", "-")
STUDY = Path(__file__).parent / "mixture"
SHOWN = ("mixture-sgd", "mixture-sgd-d16", "mixture-adam", "mixture-adam-b128")
LOSSES = ("L_test +5%", "L_test +20%", "L_test +50%")


@pytest.fixture(scope="module")
def comparison():
    return compare(read_runs([Path(__file__).parent / "mixture"]), Rules(by=("study",), quality_level=2.0))


@pytest.fixture(scope="module")
def laws(comparison):
    return laws_of(comparison)


@pytest.mark.parametrize("criterion", ["nn_heldout/nn_train +10%", *LOSSES, "L_gen ≥ 0.5", "f_mem ≥ 1%", "f_mem ≥ 5%"])
def test_the_exponents_printed_are_those_computed(laws, criterion):
    cells = [printed(laws[name][criterion]) for name in SHOWN]
    assert f"| {criterion} | {' | '.join(cells)} |" in STATEMENTS


def test_the_loss_turns_as_the_page_says_over_all_n_of_a_setting(laws):
    for name in ("mixture-sgd", "mixture-adam-b128", "mixture-adam"):
        found = [laws[name][criterion].exponent for criterion in LOSSES]
        assert f"{min(found):.2f} to {max(found):.2f} over n = 32 … " in STATEMENTS


def test_under_adam_it_turns_more_steeply_without_the_smallest_n():
    for part, least in (("adam_b128", 64), ("adam", 128)):
        runs = read_runs([STUDY / part])
        by_name = {each.name: each for each in criteria(runs, "frechet_pixels", None)}
        found = [law_from(runs, by_name[name], least) for name in LOSSES]
        ends = [f"{end(law.exponent for law in found):.2f}" for end in (min, max)]
        assert f"{ends[0]} to {ends[1]} from n = {least} on" in STATEMENTS
        if part == "adam_b128":
            assert f"(L_test +50%: {found[2].interval_text}" in STATEMENTS and found[2].low > 1
        else:
            assert [law.low > 0.5 for law in found] == [False, True, True]


def test_at_16_dimensions_two_exponents_fall_with_n(laws):
    told = {
        name: law
        for name, law in laws["mixture-sgd-d16"].items()
        if not isinstance(law, str) and law.bend and "frechet" not in name
    }
    down = [name for name, law in told.items() if law.is_bent and law.bend.value < 0]
    assert down == ["nn_heldout/nn_train +5%", "L_gen ≥ 0.5"] == [name for name, law in told.items() if law.is_bent]
    first, second = (f"{name} (b {told[name].bend})" for name in down)
    assert f"at {first} and {second}, two of {len(told)} criteria" in STATEMENTS


def test_wider_networks_copy_sooner_but_by_less_than_one_over_w():
    folder = Path(__file__).parent
    runs = read_runs([folder / "mixture_width", *(folder / "mixture/sgd").glob("*-i0-*")])
    comparison = compare(runs, Rules(by=("num_parameters",), quality_level=2.0))
    laws = {each.n: each.law for each in size_laws(comparison) if each.time == "mem" and each.n <= 128}
    assert [f"{law.exponent:.2f}" for law in laws.values()] == ["-0.25", "-0.28", "-0.31"]
    assert "p^-0.25 to p^-0.31" in STATEMENTS and laws[64].interval_text in STATEMENTS
    assert [n for n, law in laws.items() if law.low > -0.5] == [64]


def test_what_one_plus_two_over_d_is_excluded_by(laws):
    eight, sixteen = laws["mixture-sgd"], laws["mixture-sgd-d16"]
    assert eight["f_mem ≥ 1%"].low < 1.25 < eight["f_mem ≥ 1%"].high
    assert all(sixteen[f"f_mem ≥ {level}"].low < 1.125 < sixteen[f"f_mem ≥ {level}"].high for level in ("1%", "5%"))
    assert all(eight[name].high < 1.25 for name in (*LOSSES, "f_mem ≥ 5%"))


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
    assert "arrow" in ax.get_ylabel()


def test_a_ladder_within_its_axis_speaks_of_no_arrows():
    runs = [
        run for run in read_runs([Path(__file__).parent / "digits_law/unet"]) if run.identity["optimizer"] == "Adam"
    ]
    (ax,) = exponents_by_criterion(compare(runs, Rules(quality_level=10.0, num_draws=100))).axes
    assert "arrow" not in ax.get_ylabel()
