"""The study of exponents on digits, at the paper's batches of min(n, 512) and at batches of 32."""

import functools
import math
from pathlib import Path

import numpy as np
import pytest
from laws import law_of_copies, laws, printed, sgd_over_adam

from diffmem.analysis.boundary import boundaries, lengths
from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.estimate import plain
from diffmem.analysis.ladder import criteria
from diffmem.analysis.report import ladder_table
from diffmem.analysis.runs import read_runs
from diffmem.analysis.sizes import size_laws, size_table
from diffmem.errors import DataError

STUDY = Path(__file__).parent / "digits_law"
STATEMENTS = (Path(__file__).parent / "digits_law/README.md").read_text(encoding="utf-8").replace("−", "-")
SHOWN = (
    "nn_heldout/nn_train +10%", "nn_heldout/nn_train +20%", "L_test +5%", "f_mem ≥ 1%", "f_mem ≥ 5%",
)  # fmt: skip
LEVEL = 2.0  # of the Fréchet distance


@functools.cache
def tables(part):
    return read_runs([STUDY / part])


def of(part, **identity):
    return [run for run in tables(part) if all(run.identity[key] == value for key, value in identity.items())]


@pytest.fixture(scope="module")
def image():
    return compare(of("image"), Rules(quality_level=LEVEL))


def ladder_rows(comparison):
    return [row for row in ladder_table(comparison)[1] if row[0] in SHOWN]


def batch_exponents(part, optimizer):
    """β of τ ∝ B^-β by each criterion and n, of runs that differ in the batch alone: 32, and n."""
    fixed = {(run.n, run.identity["index"]): run for run in of(f"{part}_b32", optimizer=optimizer)}
    found = {}
    for whole in of(part, optimizer=optimizer):
        if whole.n <= 32 or (other := fixed.get((whole.n, whole.identity["index"]))) is None:
            continue
        for criterion in criteria([whole, other], "frechet_pixels", None):
            try:
                small, large = (criterion.measure(run, run.clock()) for run in (other, whole))
            except DataError:
                continue
            if not large.censored:
                beta = math.log(small.bound / large.value) / math.log(whole.n / 32)
                found[criterion.name, whole.n, whole.identity["index"]] = (small, large, beta)
    return found


def batch_rows(part="image"):
    """Times at batches of 32 and of n, on the same subset, with β."""
    found = {name: batch_exponents(part, name) for name in ("Adam", "SGD")}
    rows = []
    for name in SHOWN:
        for n in (64, 128):
            cells = []
            for optimizer in found:
                if (each := found[optimizer].get((name, n, 0))) is None:
                    cells.append("–")
                    continue
                small, large, beta = each
                bound = "> " if small.censored else ""
                cells.append(f"{small.value_text} → {plain(large.value)}, {bound}{beta:.2f}")
            rows.append([name, str(n), *cells])
    return rows


def test_the_ladder_printed_is_the_one_computed(image):
    found = sgd_over_adam(of("image"), SHOWN)
    for row in ladder_rows(image):
        assert f"| {' | '.join([*row, printed(found[row[0]])])} |" in STATEMENTS


def test_copies_come_about_linearly_in_n_under_adam_and_later_than_n_under_sgd(image):
    adam, sgd = (laws(image)[name] for name in ("Adam", "SGD"))
    assert adam["f_mem ≥ 1%"].low < 1 < adam["f_mem ≥ 1%"].high and adam["f_mem ≥ 5%"].low > 1
    assert all(sgd[name].low > 1 for name in ("f_mem ≥ 1%", "f_mem ≥ 5%", "L_test +5%"))
    assert adam["L_test +5%"].high < 1 < adam["nn_heldout/nn_train +20%"].high


def test_one_half_lies_between_the_optimizers_by_every_criterion():
    found = sgd_over_adam(of("image"), SHOWN)
    assert all(found[name].low < 0.5 < found[name].high for name in SHOWN)
    assert {name for name in SHOWN if found[name].low > 0} == set(SHOWN) - {"nn_heldout/nn_train +10%"}
    values = sorted(law.exponent for law in found.values())
    assert f"n^{values[0]:.2f} to n^{values[-1]:.2f} by every criterion" in STATEMENTS


def test_other_choices_of_n_and_level_move_the_exponents_as_printed():
    """At n = 16 copies come at the first evaluations."""
    without_16 = law_of_copies([run for run in of("image") if run.n > 16])
    without_256 = law_of_copies([run for run in of("image") if run.n < 256])
    assert f"without n = 256 α is {printed(without_256['Adam'])}" in STATEMENTS
    assert f"at the first evaluations, {printed(without_16['Adam'])}" in STATEMENTS
    two, three, five = (law_of_copies(of("image"), level)["Adam"].interval_text for level in (0.02, 0.03, 0.05))
    assert f"it is {two}, {three} and {five}" in STATEMENTS
    assert f"without n = 256 {printed(without_256['SGD'])}, without n = 16 {printed(without_16['SGD'])}" in STATEMENTS
    for law in law_of_copies([run for run in of("image") if run.n >= 64]).values():
        assert f"from n = 64 on {printed(law)}" in STATEMENTS


def test_on_the_way_to_the_plateau_sgd_is_no_more_linear():
    (group,) = compare(of("long"), Rules(quality_level=LEVEL, collapse="plateaus")).groups
    found = group.collapse
    factors = [f"{math.exp(found.spread(alpha)):.2f}" for alpha in (found.exponent, 1, 0)]
    text = (
        f"factor of {factors[0]} at the best α = {found.exponent:.2f}, {factors[1]} at α = 1, {factors[2]} uncollapsed"
    )
    assert found.normalized and len(found.n) == 9 and len(of("long")) == 11 and text in STATEMENTS
    last = [run.table["f_mem"].iloc[-1] for run in of("long")]
    assert f"where f_mem is {min(last):.2f} to {max(last):.2f}" in STATEMENTS
    larger = [run for run in of("long") if run.n > 16]
    exponents = [law_of_copies(larger, level)["SGD"].exponent for level in (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)]
    assert f"α is {min(exponents):.2f} to {max(exponents):.2f} at every level from 1% to 70%" in STATEMENTS


def test_a_narrow_network_copies_64_images_at_the_lower_rate_alone():
    cells = {
        (rate, cell.n): cell.times["mem"]
        for rate in (0.1, 0.03)
        for cell in compare([run for run in of("narrow") if float(run.identity["lr"]) == rate], Rules()).cells
    }
    assert all(not cells[0.1, n].censored for n in (16, 24, 32))
    assert all(cells[0.1, n].censored for n in (64, 128))
    assert "within 150,000 and 60,000 updates" in STATEMENTS
    assert (cells[0.1, 64].last, cells[0.1, 128].last) == pytest.approx((150_000, 60_000))
    low, high = (f"{each:,.0f}" for each in (round(cells[0.03, 64].low, -3), cells[0.03, 64].last))
    assert f"after {round(cells[0.03, 64].value, -3):,.0f} updates [{low}, > {high}]" in STATEMENTS
    at_32 = [run.table["f_mem"].iloc[-1] for run in of("narrow", n=32)]
    assert f"{sum(at_32) / len(at_32):.0%} at n = 32" in STATEMENTS


WIDTHS = {8: 1_576, 16: 3_856, 32: 10_720}


@pytest.fixture(scope="module")
def annealed():
    """The last row of each run by width, n and length."""
    width_of = {parameters: width for width, parameters in WIDTHS.items()}
    rows = ((run, run.table.iloc[-1]) for run in of("annealed"))
    return {(width_of[int(run.identity["num_parameters"])], run.n, int(row.step)): row for run, row in rows}


def share_text(row):
    return f"{row.f_mem:.1%} [{row.f_mem_low:.1%}, {row.f_mem_high:.1%}]"


def copied_at(level, rows):
    """The n at which f_mem is ``level``, in log f_mem against log n; k copies of N count as (k + ½)/(N + 1)."""
    shares = {n: (1000 * row.f_mem + 0.5) / 1001 for n, row in rows.items()}
    below, above = max(n for n in shares if shares[n] >= level), min(n for n in shares if shares[n] < level)
    assert above == 2 * below
    part = math.log(shares[below] / level) / math.log(shares[below] / shares[above])
    return below * 2**part


def test_at_a_rate_that_goes_to_zero_the_n_that_is_copied_grows_with_the_parameters_and_the_length(annealed):
    stars, at_60_000 = {}, {0.02: [], 0.05: []}
    for length in (20_000, 60_000):
        for width, parameters in WIDTHS.items():
            rows = {n: annealed[width, n, length] for n in (16, 32, 64, 128) if (width, n, length) in annealed}
            star = copied_at(0.01, rows)
            cells = [share_text(rows[n]) if n in rows else "–" for n in (16, 32, 64, 128)]
            assert f"| {length:,} | {width} | {parameters} | {' | '.join(cells)} | {star:.0f} |" in STATEMENTS
            stars.setdefault(length, []).append(star)
            if length == 60_000:
                for level, each in at_60_000.items():
                    each.append(parameters / copied_at(level, rows))
    sizes = np.array(list(WIDTHS.values()))
    each = sizes / stars[60_000]
    texts = [f"p/{min(each):.0f} to p/{max(each):.0f}" for each in (each, *at_60_000.values())]
    assert "about {}** (by 2% {}, by 5% {})".format(*texts) in STATEMENTS
    pixels = 64 / each
    assert f"{min(pixels):.2f} to {max(pixels):.2f} times p at 60,000" in STATEMENTS
    slopes = [f"{np.polyfit(np.log(sizes), np.log(star), 1)[0]:.2f}" for star in stars.values()]
    assert f"as p^{slopes[1]} over these three, at 20,000 updates as p^{slopes[0]}" in STATEMENTS
    moved = np.divide(stars[60_000], stars[20_000])
    assert f"{min(moved):.1f} to {max(moved):.1f} times as many" in STATEMENTS
    first, second = (share_text(annealed[key]) for key in ((8, 32, 180_000), (16, 64, 180_000)))
    assert f"{first} and {second}" in STATEMENTS


def test_the_exponent_falls_with_the_rate():
    runs = [run for part in ("image", "image_rates") for run in of(part) if run.n in (32, 64, 128)]
    comparison = compare(runs, Rules(by=("optimizer", "lr"), quality_level=LEVEL))
    rates = {tuple(name.split(", lr = ")): found for name, found in laws(comparison).items()}
    assert len(rates) == 7
    for (optimizer, rate), found in rates.items():
        cells = [printed(found[name]) for name in ("nn_heldout/nn_train +20%", "L_test +5%", "f_mem ≥ 1%")]
        assert f"| {optimizer}, {rate} | {' | '.join(cells)} |" in STATEMENTS
    for optimizer in ("Adam", "SGD"):
        steep = [found["f_mem ≥ 1%"].exponent for (name, _), found in sorted(rates.items()) if name == optimizer]
        assert steep == sorted(steep, reverse=True)
    assert all(rates["SGD", rate]["f_mem ≥ 1%"].low > 1 for rate in ("0.03", "0.1", "0.15"))


def test_there_is_a_window_from_64_images_on(image):
    for cell in image.cells:
        gen, mem = (cell.times[name] for name in ("gen", "mem"))
        if cell.n >= 64 and gen is not None:
            assert gen.value < mem.bound
        if cell.n <= 32:
            assert gen.censored


def test_small_batches_delay_copies_under_adam_and_less_so_under_sgd():
    for row in batch_rows():
        assert f"| {' | '.join(row)} |" in STATEMENTS
    for optimizer in ("Adam", "SGD"):
        found = batch_exponents("image", optimizer)
        betas = [beta for (name, _, _), (_, _, beta) in found.items() if name in SHOWN]
        text = f"{sum(betas) / len(betas):.2f} on average, {min(betas):.2f} to {max(betas):.2f}, for {optimizer}"
        assert text in STATEMENTS


@pytest.fixture(scope="module")
def widths():
    rules = Rules(by=("num_parameters",), quality_level=LEVEL)
    return compare([*of("width"), *of("image", optimizer="SGD")], rules)


def test_the_exponents_in_p_are_those_printed(widths):
    for _, *cells in size_table(widths)[1]:
        assert f"| {' | '.join(cells)} |" in STATEMENTS
    laws = {each.n: each.law for each in size_laws(widths) if each.time == "mem"}
    assert [n for n, law in laws.items() if law.low <= -0.5 <= law.high] == [32, 128] and laws[64].low > -0.5


def test_at_other_levels_wider_networks_copy_sooner_by_less_at_small_n():
    runs = [*of("width"), *of("image", optimizer="SGD")]
    laws, good = {}, {}
    for level in (0.005, 0.01, 0.02, 0.05):
        found = size_laws(compare(runs, Rules(by=("num_parameters",), quality_level=1.5, mem_level=level)))
        laws |= {(each.n, level): each.law for each in found if each.time == "mem"}
        good |= {each.n: each.law for each in found if each.time == "gen"}
    holding = [key for key, law in laws.items() if law.low <= -0.5 <= law.high]
    assert {key for key in holding if key[0] < 128} == {(32, 0.01), (64, 0.05)}
    assert [n for n, _ in holding].count(128) == 4
    small = [law.exponent for (n, _), law in laws.items() if n < 128]
    assert f"β is {max(small):.2f} to {min(small):.2f}" in STATEMENTS
    assert f"at n = 128 at ≤ 1.5 ({good[128].interval_text})" in STATEMENTS and good[64].high < 0


def test_the_boundaries_over_n_and_p_are_those_printed(widths):
    of_lengths = lengths(widths)
    assert [plain(each) for each in of_lengths] == ["255", "950", "3550"]
    for width, each in zip((64, 128, 256), boundaries(widths, of_lengths), strict=True):
        memorized = ", ".join(f"{n:.0f}" for n in each.memorized)
        row = f"| {width} | {each.num_parameters} | {each.window} | {memorized} | {each.star} |"
        assert row in STATEMENTS


def test_the_collapse_is_as_good_as_printed(image):
    for group in image.groups:
        found = group.collapse
        assert not found.normalized
        factors = [math.exp(found.spread(alpha)) for alpha in (found.exponent, 1, 0)]
        text = f"α = {found.exponent:.2f} within a factor of {factors[0]:.2f}, {factors[1]:.2f} at α = 1"
        assert text in STATEMENTS
