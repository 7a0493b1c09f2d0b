"""The study of exponents in the paper's mixture: SGD and Adam, batches of n and of 128, d = 8 and 16, three widths."""

import math
from pathlib import Path

import pytest

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.ladder import criteria, ladder
from diffmem.analysis.law_figures import exponents_by_criterion
from diffmem.analysis.runs import read_runs
from diffmem.analysis.sizes import size_laws

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
STATEMENTS = (Path(__file__).parent / "mixture/README.md").read_text(encoding="utf-8").replace("−", "-")
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


def test_the_loss_turns_about_linearly_in_n_under_sgd_and_under_adam_at_a_fixed_batch(laws):
    ranges = {"mixture-sgd": (1.01, 1.10), "mixture-adam-b128": (0.92, 1.07), "mixture-adam": (0.53, 0.59)}
    for name, ends in ranges.items():
        found = [round(laws[name][criterion].exponent, 2) for criterion in LOSSES]
        assert (min(found), max(found)) == ends
        assert f"{ends[0]:.2f} to {ends[1]:.2f}" in STATEMENTS
    fixed = [laws["mixture-sgd-b128"][criterion] for criterion in LOSSES]
    assert all(law.low < 1 < law.high for law in fixed)
    texts = [law.interval_text for law in fixed]
    assert f"{texts[0]}, {texts[1]} and {texts[2]}." in STATEMENTS
    assert f"(f_mem ≥ 1%: {laws['mixture-sgd-b128']['f_mem ≥ 1%'].interval_text})" in STATEMENTS
    assert f"n^{laws['mixture-sgd']['L_test +20%'].interval_text}" in README
    assert f"n^{laws['mixture-sgd']['f_mem ≥ 5%'].interval_text}" in README


def test_a_batch_of_n_takes_about_one_half_off_the_exponents_of_adam(laws):
    fixed, whole = laws["mixture-adam-b128"], laws["mixture-adam"]
    for criterion in (*LOSSES, "nn_heldout/nn_train +10%", "L_gen ≥ 0.5", "f_mem ≥ 1%", "f_mem ≥ 5%"):
        assert 0.35 < fixed[criterion].exponent - whole[criterion].exponent < 0.65
    for level in ("1%", "5%"):
        before, after = (each[f"f_mem ≥ {level}"].exponent for each in (fixed, whole))
        assert f"f_mem ≥ {level} {'falls ' * (level == '1%')}from {before:.2f} to {after:.2f}" in STATEMENTS


def test_copies_come_later_than_n_and_the_more_so_the_fewer_are_asked_for(laws):
    (lowest,) = compare(
        read_runs([Path(__file__).parent / "mixture/sgd"]), Rules(mem_level=0.005, quality_level=2.0)
    ).groups
    found = [laws["mixture-sgd"][f"f_mem ≥ {level}%"] for level in (50, 20, 5, 1)] + [lowest.laws["mem"]]
    assert [law.exponent for law in found] == sorted(law.exponent for law in found) and found[1].low > 1
    assert all(f"n^{law.interval_text}" in STATEMENTS for law in found)
    assert laws["mixture-sgd-d16"]["f_mem ≥ 1%"].exponent > laws["mixture-sgd-d16"]["f_mem ≥ 5%"].low > 1


def test_f_mem_over_its_plateau_is_one_curve_of_tau_over_n():
    rules = Rules(quality_level=2.0, collapse="plateaus")
    (group,) = compare(read_runs([Path(__file__).parent / "mixture/sgd"]), rules).groups
    found = group.collapse
    assert found.normalized and sorted(found.n) == [32, 32, 32, 64, 64, 64, 128]
    one, best, none = (f"{math.exp(found.spread(alpha)):.2f}" for alpha in (1, found.exponent, 0))
    assert f"within a factor of {one}; the best α = {found.exponent:.2f} does it within {best}" in STATEMENTS
    assert f"they lie within {none}" in STATEMENTS
    assert f"within a factor of {one}" in README


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
    assert sixteen["f_mem ≥ 1%"].low < 1.125 < sixteen["f_mem ≥ 1%"].high
    assert all(eight[name].high < 1.25 for name in (*LOSSES, "f_mem ≥ 5%"))


def test_good_samples_do_not_wait_for_n(comparison):
    of = {group.name: group for group in comparison.groups}
    assert all(of[name].laws["gen"].high < 0 for name in ("mixture-sgd", "mixture-adam"))


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


LARGE = ("L_test +5%", "L_test +20%", "L_gen ≥ 0.1", "L_gen ≥ 0.2", "f_mem ≥ 1%")


@pytest.fixture(scope="module")
def large():
    """Runs of SGD with batches of n to n = 4,096: those in float32, those in bfloat16, and the criteria by name."""
    full, half = (read_runs([Path(__file__).parent / part]) for part in ("mixture/sgd", "mixture_bf16"))
    return full, half, {each.name: each for each in criteria([*full, *half], "frechet_pixels", None)}


def time_of(run, criterion):
    return criterion.measure(run, run.clock())


def test_bfloat16_gives_the_times_of_float32(large):
    full, half, by_name = large
    pair = [next(run for run in runs if (run.n, run.identity["index"]) == (256, 0)) for runs in (full, half)]
    for name, criterion in by_name.items():
        before, after = (time_of(run, criterion) for run in pair)
        if not before.censored:
            within = {"L": 0.005, "n": 0.01, "f": 0.02}[name[0]]  # losses, distances to the nearest images, f_mem
            assert after.value == pytest.approx(before.value, rel=within), name


def test_the_times_to_4096_are_those_printed(large):
    full, half, by_name = large
    runs = {run.n: run for run in [*half, *full] if run.identity["index"] == 0 and run.n >= 256}
    assert sorted(runs) == [256, 512, 1024, 2048, 4096]
    for n, run in runs.items():
        assert f"| {n} | {' | '.join(time_of(run, by_name[name]).value_text for name in LARGE)} |" in STATEMENTS


def test_the_loss_turns_more_steeply_in_n_at_larger_n_and_copies_keep_their_law(large):
    full, half, by_name = large
    times = {run.n: time_of(run, by_name["L_test +5%"]).value for run in [*half, *full] if run.identity["index"] == 0}
    steps = [f"{times[2 * n] / times[n]:.2f}" for n in (256, 512, 1024, 2048)]
    assert f"takes {', '.join(steps[:-1])} and {steps[-1]} times as long" in STATEMENTS
    pooled = [*full, *(run for run in half if run.n > 256)]
    names = ("L_test +5%", "L_test +20%", "f_mem ≥ 1%")
    early, late, copies = (rung.law for rung in ladder("SGD", pooled, [by_name[name] for name in names]))
    assert early.is_bent and early.bend.value > 0 and late.is_bent and late.bend.value > 0 and not copies.is_bent
    assert f"α is {printed(early)} and b {early.bend}; at +20% {printed(late)} and {late.bend}" in STATEMENTS
    assert f"n^{copies.exponent:.2f}** {printed(copies).partition(' ')[2]}" in STATEMENTS
    assert f"(b {copies.bend})" in STATEMENTS
    assert f"with n = 2,048 and 4,096 n^{late.interval_text}" in README
