"""How the exponents of the paper's mixture depend on the range of n, with the runs to n = 4,096."""

import math
from pathlib import Path

import numpy as np
import pytest
from laws import copies, law_from, mean_ratio, printed, ratios, times

from diffmem.analysis.collapse import takes_part
from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.ladder import criteria
from diffmem.analysis.runs import read_runs
from diffmem.analysis.scaling import fit_exponent

FOLDER = Path(__file__).parent
README = (FOLDER.parents[1] / "README.md").read_text(encoding="utf-8")
STATEMENTS = (FOLDER / "mixture/README.md").read_text(encoding="utf-8").replace("−", "-")
LOSSES = ("L_test +5%", "L_test +20%", "L_test +50%")
LEVELS = tuple(f"f_mem ≥ {level}%" for level in ("0.5", "1", "2", "5"))
TABLE = ("nn_heldout/nn_train +10%", *LOSSES, "L_gen ≥ 0.1", "L_gen ≥ 0.2", "L_gen ≥ 0.5", *LEVELS)
LEAST = (32, 128, 256)


@pytest.fixture(scope="module")
def full():
    """Runs of SGD with batches of n in float32."""
    return read_runs([FOLDER / "mixture/sgd"])


@pytest.fixture(scope="module")
def half():
    """Those in bfloat16."""
    return read_runs([FOLDER / "mixture_bf16"])


@pytest.fixture(scope="module")
def sgd(full, half):
    """Every training of SGD with batches of n once."""
    known = {(run.n, run.identity["index"]) for run in full}
    return [*full, *(run for run in half if (run.n, run.identity["index"]) not in known)]


@pytest.fixture(scope="module")
def adam():
    return read_runs([FOLDER / "mixture/adam"])


@pytest.fixture(scope="module")
def by_name(full, half):
    found = [*criteria([*full, *half], "frechet_pixels", 2.0), *(copies(level) for level in (0.005, 0.02))]
    return {each.name: each for each in found}


@pytest.fixture(scope="module")
def laws(sgd, by_name):
    """Of SGD, by criterion and least n."""
    return {(name, least): law_from(sgd, by_name[name], least) for name in TABLE for least in LEAST}


def signed(law):
    """A law of a ratio, or a difference of two exponents."""
    return f"{law.exponent:+.2f} [{law.low:.2f}, {law.high:.2f}]"


def in_a_row(values):
    *before, last = map(str, values)
    return f"{', '.join(before)} and {last}"


def test_bfloat16_gives_the_times_of_float32(full, half, by_name):
    pair = [next(run for run in runs if (run.n, run.identity["index"]) == (256, 0)) for runs in (full, half)]
    for name, criterion in by_name.items():
        before, after = (criterion.measure(run, run.clock()) for run in pair)
        if criterion.copying and not before.censored:
            within = {"L": 0.005, "n": 0.01, "f": 0.02}[name[0]]  # losses, distances to the nearest images, f_mem
            within = 0.08 if name == "f_mem ≥ 0.5%" else within  # ten samples
            assert after.value == pytest.approx(before.value, rel=within), name


def test_the_times_to_4096_are_those_printed(sgd, by_name):
    runs = {run.n: run for run in sgd if run.identity["index"] == 0 and run.n >= 256}
    assert sorted(runs) == [256, 512, 1024, 2048, 4096]
    for n, run in runs.items():
        cells = [
            by_name[name].measure(run, run.clock()).value_text
            for name in ("L_test +5%", "L_test +20%", "L_gen ≥ 0.1", "L_gen ≥ 0.2", "f_mem ≥ 1%")
        ]
        assert f"| {n} | {' | '.join(cells)} |" in STATEMENTS
    subsets = [len({run.identity["index"] for run in sgd if run.n == n}) for n in sorted({run.n for run in sgd})]
    assert f"Subsets at n = 32 … 4,096: {in_a_row(subsets)}." in STATEMENTS


def test_alpha_by_the_least_n_is_that_printed(laws, adam, by_name):
    for name in TABLE:
        found = [*(laws[name, least] for least in LEAST), law_from(adam, by_name[name], 128)]
        cells = []
        for law in found:
            bent = " ↑" if law.is_bent and law.bend.value > 0 else " ↓" if law.is_bent else ""
            text = printed(law) + bent
            cells.append(f"**{text}**" if law.low < 1.25 < law.high else text)
        assert f"| {name} | {' | '.join(cells)} |" in STATEMENTS


def test_the_gap_is_large_at_once_at_32_images(sgd, by_name):
    told = [[run.n for run, _ in times(sgd, by_name[f"L_gen ≥ {level}"])].count(32) for level in (0.1, 0.2)]
    assert told == [0, 1] and [run.n for run in sgd].count(32) == 3


def test_copies_come_later_than_n_whatever_the_range_and_the_order_of_the_levels_depends_on_it(sgd, laws, by_name):
    found = [laws[name, least] for name in LEVELS for least in LEAST]
    assert all(law.low > 1 for law in found)
    ends = [f"{end(law.exponent for law in found):.2f}" for end in (min, max)]
    assert f"α is {ends[0]} to {ends[1]}, from any of the three n on" in STATEMENTS
    high, low = (times(sgd, by_name[f"f_mem ≥ {level}%"]) for level in ("5", "0.5"))
    n, ratio = ratios(high, low)
    differences = [fit_exponent(n[n >= least], ratio[n >= least]) for least in LEAST]
    assert differences[0].high < 0 < differences[2].low and differences[1].low < 0 < differences[1].high
    assert "{} from 32 on, {} from 128 on and {} from 256 on".format(*map(signed, differences)) in STATEMENTS


def test_larger_shares_are_seen_at_small_n_alone(sgd, by_name):
    for level in (20, 50):
        found = times(sgd, by_name[f"f_mem ≥ {level}%"])
        reached = [run for run, time in found if not time.censored]
        assert len(reached) == 7 and max(run.n for run in reached) == 128
        assert f"n^{law_from(sgd, by_name[f'f_mem ≥ {level}%']).interval_text}" in STATEMENTS


def test_the_exponent_of_copies_grows_with_n_from_128_on(laws):
    bends = [laws[name, 128].bend for name in LEVELS[1:]]
    assert all(bend.low > 0 for bend in bends)
    assert f"f_mem ≥ 1%, 2% and 5% have b {in_a_row(bends)} from n = 128 on" in STATEMENTS
    assert f"f_mem ≥ 0.5% has {laws[LEVELS[0], 32].bend} from 32 on" in STATEMENTS


def test_the_loss_turns_later_than_n_from_128_on(laws):
    assert all(laws[name, least].low > 1 for name in LOSSES for least in (128, 256))
    assert all(laws[name, 32].bend.low > 0 for name in LOSSES)
    for least in (128, 256):
        found = [laws[name, least].exponent for name in LOSSES]
        assert f"{min(found):.2f} to {max(found):.2f} from n = {least} on" in STATEMENTS


def test_f_mem_over_its_plateau_is_close_to_one_curve_of_tau_over_n(full):
    (group,) = compare(full, Rules(quality_level=2.0, collapse="plateaus")).groups
    found = group.collapse
    assert found.normalized and sorted(found.n) == [32, 32, 32, 64, 64, 64, 128]
    one, best, none = (f"{math.exp(found.spread(alpha)):.2f}" for alpha in (1, found.exponent, 0))
    assert f"is about one curve of τ/n within a factor of {one}" in STATEMENTS
    assert f"(the best α = {found.exponent:.2f}: {best}; without a division by n: {none})" in STATEMENTS
    assert f"within a factor of {one}" in README
    scaled = found.times / found.n[:, None]
    apart = np.nanmax(scaled, axis=0) / np.nanmin(scaled, axis=0)
    assert f"by {apart.min():.2f} to {apart.max():.2f}" in STATEMENTS
    low = []
    for run in full:
        steps, f_mem = run.column("step"), run.column("f_mem")
        if takes_part(steps, f_mem, plateaus=True):
            curve = np.maximum.accumulate(f_mem[1:] / f_mem[-1])
            low.append(np.interp([0.01, 0.02, 0.05], curve, np.log(steps[1:])) - math.log(run.n))
    spreads = np.exp(np.std(low, axis=0))
    assert f"{in_a_row(f'{each:.2f}' for each in spreads)} at 1, 2 and 5% of the plateau" in STATEMENTS


def test_f_mem_itself_falls_with_n_at_equal_tau_over_n(sgd, by_name):
    at_150, first = {}, {}
    for run in sorted(sgd, key=lambda run: (run.n, run.identity["index"])):
        steps, f_mem = run.column("step")[1:], run.column("f_mem")[1:]
        if steps[-1] >= 150 * run.n:
            at_150.setdefault(run.n, []).append(100 * np.interp(math.log(150 * run.n), np.log(steps), f_mem))
        time = by_name["f_mem ≥ 1%"].measure(run, run.clock())
        if not time.censored:
            first.setdefault(run.n, []).append(time.value / run.n)
    sizes = [128, 256, 512, 1024, 2048]
    assert all(max(at_150[2 * n]) < min(at_150[n]) and min(first[2 * n]) > max(first[n]) for n in sizes[:-1])
    shares = [f"{value:.0f}" if (value := at_150[n][0]) > 9.5 else f"{value:.1f}" for n in (32, 64, *sizes)]
    assert f"At τ = 150 n it is {in_a_row(shares)}% at n = 32, 64, … 2,048" in STATEMENTS
    onsets = [f"{first[n][0]:.0f}" for n in (32, 64, *sizes)]
    assert f"f_mem ≥ 1% comes at {in_a_row(onsets)} n" in STATEMENTS


def test_a_larger_batch_brings_copies_sooner_under_sgd(full, by_name):
    large = read_runs([FOLDER / "mixture/sgd_b128"])
    assert {run.identity["lr"] for run in [*large, *full]} == {0.006}
    found = {}
    for name in (*LEVELS, *LOSSES, "nn_heldout/nn_train +5%"):
        _, values = ratios(times(large, by_name[name]), times(full, by_name[name]))
        assert len(values) == 4
        found[name] = mean_ratio(values)
    texts = {name: "{:.2f} [{:.2f}, {:.2f}]".format(*each) for name, each in found.items()}
    assert all(found[name][2] < 1 for name in (*LEVELS, "L_test +50%")) and found["L_test +5%"][2] > 1
    assert f"{in_a_row(texts[name] for name in LEVELS)} at f_mem ≥ 0.5, 1, 2 and 5%" in STATEMENTS
    assert f"{in_a_row(texts[name] for name in LOSSES)} at L_test +5, +20 and +50%" in STATEMENTS
    parting = "nn_heldout/nn_train +5%"
    assert found[parting][1] > 1 and f"At {parting} the larger batch is later: {texts[parting]}" in STATEMENTS


def test_a_batch_of_n_takes_about_one_half_off_the_exponents_of_adam(adam, by_name):
    fixed = read_runs([FOLDER / "mixture/adam_b128"])
    found = {}
    for name in (*LOSSES, *LEVELS, "nn_heldout/nn_train +10%", "L_gen ≥ 0.5"):
        n, values = ratios(times(fixed, by_name[name]), times(adam, by_name[name]))
        assert set(values[n == 128]) == {1.0}  # the same training
        found[name] = fit_exponent(n[n != 128], values[n != 128])
    low, high = (end(found, key=lambda name: found[name].exponent) for end in (min, max))
    text = f"as n^{found[low].interval_text} ({low}) to n^{found[high].interval_text} ({high}) by the criteria"
    assert text in STATEMENTS


def test_good_samples_do_not_wait_for_n_but_stop_coming_earlier(sgd, adam, by_name):
    quality = by_name["frechet_pixels ≤ 2"]
    assert all(law_from(runs, quality).high < 0 for runs in (sgd, adam))
    late = law_from(sgd, quality, 256)
    assert late.low < 0 < late.high and f"n^{late.interval_text}" in STATEMENTS
