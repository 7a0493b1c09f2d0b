"""The grid on vectors: what the batch, the criterion and the spectrum do to the exponent of a time in n."""

import math
from pathlib import Path

import numpy as np
import pytest
from laws import paired

from diffmem.analysis.ladder import criteria, ladder
from diffmem.analysis.runs import read_runs
from diffmem.data import Gaussian, GaussianDigits
from diffmem.errors import DataError

STUDY = Path(__file__).parent / "vectors"
STATEMENTS = (Path(__file__).parent / "vectors/README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def runs():
    return read_runs([STUDY, STUDY.parent / "vectors_copies"])


def of(runs, study):
    return [run for run in runs if run.identity["study"] == f"vectors-{study}"]


def laws(runs, study):
    """The law of each criterion of a study."""
    members = of(runs, study)
    among = [each for each in criteria(members, "frechet_pixels", None) if each.family != "f_mem"]
    return {rung.criterion.name: rung.law for rung in ladder(study, members, among)}


def batch_exponents(runs, law):
    """β of τ ∝ B^−β for each criterion, n and subset on which one run had batches of 32 and one the full batch."""
    full = {(run.n, run.identity["index"]): run for run in of(runs, f"{law}-bn")}
    found = {}
    for run in of(runs, f"{law}-b32"):
        if (other := full.get((run.n, run.identity["index"]))) is None:
            continue
        for criterion in criteria([run], "frechet_pixels", None):
            try:
                fixed, whole = (criterion.measure(each, each.clock()) for each in (run, other))
            except DataError:
                continue
            if not (fixed.censored or whole.censored):
                beta = math.log(fixed.value / whole.value) / math.log(run.n / 32)
                found.setdefault(criterion.name, []).append(beta)
    return found


LAWS = ("isotropic", "digits-covariance")
BATCHES = ("b32", "b256", "bn")
SHOWN = (
    "L_test +5%", "L_gen ≥ 0.1", "L_gen ≥ 0.2", "L_gen ≥ 0.5",
    "L_test at 0.1 +5%", "L_gen at 0.1 ≥ 0.1", "L_gen at 0.1 ≥ 0.2",
)  # fmt: skip


@pytest.fixture(scope="module")
def alphas(runs):
    """Of each batch rule, those of both laws."""
    return {batch: [laws(runs, f"{law}-{batch}") for law in LAWS] for batch in BATCHES}


def cell(found, name):
    law = found.get(name)
    return str(law).replace(" points", "") if hasattr(law, "exponent") else "–"


def test_the_table_is_the_one_computed(alphas):
    """α of both laws at batches of 32, then of 256, then of n."""
    for name in SHOWN:
        cells = [cell(found, name) for batch in BATCHES for found in alphas[batch]]
        assert f"| {name} | {' | '.join(cells)} |" in STATEMENTS


def test_times_of_adam_fall_with_the_batch_and_so_alpha_is_lower_where_the_batch_is_n(runs, alphas):
    for law, mean in zip(LAWS, ("0.42", "0.56"), strict=True):
        every = [each for values in batch_exponents(runs, law).values() for each in values]
        assert f"{np.mean(every):.2f}" == mean and f"{len(every)} pairs" in STATEMENTS
        assert 0.15 < min(every) <= max(every) < 0.87
    for fixed, whole in zip(alphas["b32"], alphas["bn"], strict=True):
        fallen = [fixed[name].exponent - whole[name].exponent for name in SHOWN if cell(whole, name) != "–"]
        assert 0.18 < min(fallen) <= max(fallen) < 0.58


@pytest.mark.parametrize("column", ["loss_gen", "loss_gen_t0.1"])
def test_the_gap_does_not_depend_on_the_batch_under_sgd_and_does_under_adam(runs, column):
    """n = 128, batches of 32 and of 128, the same subset and the same updates."""

    def ratios(optimizer):
        fixed, whole = (
            next(run for run in of(runs, f"isotropic{optimizer}-{rule}") if (run.n, run.identity["index"]) == (128, 0))
            for rule in ("b32", "bn")
        )
        gaps = [run.table.set_index("step")[column] for run in (fixed, whole)]
        return (gaps[1] / gaps[0]).loc[100:2371]

    assert ratios("-sgd").between(0.94, 1.06).all()
    assert ratios("").loc[1000] > 2


def test_the_same_runs_have_many_exponents(alphas):
    flat, _ = alphas["b32"]
    least, most = flat["L_test at 0.1 +5%"], flat["L_gen ≥ 0.1"]
    assert least.high < flat["L_test +5%"].low < 1 < flat["L_gen ≥ 0.5"].low and flat["L_test +5%"].high < most.low
    assert f"give {least.interval_text} and {most.interval_text}" in STATEMENTS


def test_one_plus_two_over_d_is_no_law_of_these_times(alphas):
    """1 + 2/64 lies outside the interval at all seven criteria, on both sides."""
    flat, predicted = alphas["b32"][0], 1 + 2 / 64
    assert [name for name in SHOWN if flat[name].high < predicted] == ["L_test +5%", "L_test at 0.1 +5%"]
    assert sum(flat[name].low > predicted for name in SHOWN) == 5


def test_the_closed_form_of_random_features_does_not_carry_over(alphas):
    """There α rises with the level of L_gen and falls with a decaying spectrum."""
    for law in alphas["b32"]:
        for at in ("", " at 0.1"):
            assert law[f"L_gen{at} ≥ 0.2"].low < law[f"L_gen{at} ≥ 0.1"].high
        assert law["L_gen ≥ 0.5"].low < law["L_gen ≥ 0.1"].high


def apart(first, second):
    """The criteria at which the intervals of two sets of laws do not meet."""
    both = [name for name in SHOWN if "–" not in (cell(first, name), cell(second, name))]
    return [name for name in both if first[name].high < second[name].low or second[name].high < first[name].low]


@pytest.mark.parametrize(("batch", "told_apart"), [("b32", (5, 4)), ("b256", (4, 3)), ("bn", (2, 2))])
def test_the_spectrum_raises_alpha(runs, batch, told_apart):
    """At every criterion but one; also without n = 32, where a batch of 32 is the full batch."""
    for least, number in zip((32, 64), told_apart, strict=True):
        flat, steep = (laws([run for run in runs if run.n >= least], f"{law}-{batch}") for law in LAWS)
        both = [name for name in SHOWN if "–" not in (cell(flat, name), cell(steep, name))]
        higher = [name for name in both if steep[name].exponent > flat[name].exponent]
        left_out = {("b32", 32): ["L_gen ≥ 0.1"]}.get((batch, least), [])
        assert len(both) >= 5 and [name for name in both if name not in higher] == left_out
        assert len(apart(flat, steep)) == number


def test_the_size_of_a_fixed_batch_moves_one_exponent(alphas):
    (flat, steep), (flat_of_256, steep_of_256) = alphas["b32"], alphas["b256"]
    assert apart(flat, flat_of_256) == [] and apart(steep, steep_of_256) == ["L_test +5%"]


def time_of(runs, study, n, index=0, name="L_test +5%"):
    (run,) = (run for run in of(runs, f"{study}-b32") if (run.n, run.identity["index"]) == (n, index))
    (criterion,) = (each for each in criteria([run], "frechet_pixels", None) if each.name == name)
    return criterion.measure(run, run.clock())


def test_more_variance_in_fewer_directions_is_not_sooner(runs):
    """As mode times ∝ 1/variance would have it."""
    names = {
        "isotropic": "isotropic",
        "decay0.5": "power law i^−0.5",
        "decay1": "power law i^−1",
        "decay2": "power law i^−2",
        "digits-covariance": "the digits' covariance",
        "digits": "digits",
        "k32": "32 dimensions of 64",
        "k16": "16 dimensions of 64",
        "k8": "8 dimensions of 64",
        "k4": "4 dimensions of 64",
    }
    times = {study: [time_of(runs, study, n) for n in (32, 64, 128)] for study in names}
    for study, shown in names.items():
        assert f"| {shown} | {' | '.join(each.value_text for each in times[study])} |" in STATEMENTS
    for at in range(3):
        bounds = {study: each[at].bound for study, each in times.items()}
        laws = [bounds[study] for study in ("isotropic", "decay0.5", "decay1", "decay2")]
        assert laws == sorted(laws) and bounds["digits"] > bounds["digits-covariance"] > bounds["decay1"]
        assert all(bounds[study] > bounds["isotropic"] for study in ("k32", "k16", "k8", "k4"))
    for n in (32, 64, 128):
        second = {study: time_of(runs, study, n, index=1).bound for study in times}
        assert all(second[study] > second["isotropic"] for study in second if study not in ("isotropic", "decay0.5"))


def test_of_the_power_laws_the_flattest_comes_with_isotropic_data(runs):
    cells = [(n, index) for n in (32, 64, 128, 256) for index in (0, 1)]
    delays = {
        law: [time_of(runs, law, *cell).value / time_of(runs, "isotropic", *cell).value for cell in cells]
        for law in ("decay0.5", "decay1")
    }
    assert all(abs(each - 1) < 0.05 for each in delays["decay0.5"])
    low, high = (f"{each - 1:.0%}".rstrip("%") for each in (min(delays["decay1"]), max(delays["decay1"])))
    assert f"i^−1 {low} to {high}% later" in STATEMENTS


SPECTRA = ("decay0.5", "decay1", "decay2", "k32", "k16", "digits-covariance")
RULES = {"bn": "n", "b256": "256", "b32": "32"}


@pytest.fixture(scope="module")
def differences(runs):
    """By batch rule and law, how much α of each criterion differs from that of isotropic data."""
    return {
        (rule, law): paired(of(runs, f"{law}-{rule}"), of(runs, f"isotropic-{rule}"), SHOWN)
        for rule in RULES
        for law in SPECTRA
    }


def difference(law):
    """As the tables print it."""
    if law is None:
        return "–"
    low, high = (round(each, 2) + 0.0 for each in (law.low, law.high))
    return f"{law.exponent + 0.0:+.2f} [{low:.2f}, {high:.2f}] ({law.num_points})"


def found_of(differences, law, at=SHOWN):
    return [found[name] for (_, of_law), found in differences.items() if of_law == law for name in at if name in found]


def span(laws, sign=True):
    """The least and the largest exponent."""
    ends = [end(law.exponent for law in laws) + 0.0 for end in (min, max)]
    return " to ".join(f"{each:+.2f}" if sign else f"{each:.2f}" for each in ends)


def test_the_table_of_the_spectra_is_the_one_computed(differences):
    for rule, shown in RULES.items():
        for name in (SHOWN[0], SHOWN[2], SHOWN[4], SHOWN[5]):
            cells = [difference(differences[rule, law].get(name)) for law in SPECTRA]
            assert f"| {name}, {shown} | {' | '.join(cells)} |" in STATEMENTS


def test_directions_without_variance_raise_alpha_and_so_does_the_spectrum_of_digits(differences):
    for law, text in (
        ("k32", "With 32 of 64 dimensions α is {} higher, and {} of {} intervals leave out 0"),
        ("k16", "with 16 it is {} higher, and {} of {} do"),
        ("digits-covariance", "**So does the digits' spectrum**, by {}; {} of {} intervals leave out 0"),
    ):
        every = found_of(differences, law)
        seen = sum(each.low > 0 for each in every)
        assert text.format(span(every, sign=False), seen, len(every)) in STATEMENTS


def test_the_readme_says_the_same_in_short(differences):
    readme = (STUDY.parents[2] / "README.md").read_text(encoding="utf-8")
    spectrum, cut = ([each.exponent for each in found_of(differences, law)] for law in ("digits-covariance", "k32"))
    assert f"losses by {min(spectrum):.1f} to {max(spectrum):.1f}, and data" in readme
    assert f"directions by {min(cut):.1f} to {max(cut):.1f};" in readme
    flat = [each.exponent for law in ("decay0.5", "decay1") for each in found_of(differences, law)]
    assert max(map(abs, flat)) < 0.3 and "by less than 0.3, either way" in readme


def test_flat_power_laws_move_alpha_little_and_either_way(differences):
    assert f"i^−0.5 by {span(found_of(differences, 'decay0.5'))}" in STATEMENTS
    early, late = (found_of(differences, "decay1", names) for names in (SHOWN[:4], SHOWN[4:]))
    lower, higher = sum(each.high < 0 for each in early), sum(each.low > 0 for each in late)
    text = f"i^−1 by {span(early)} at t = 0.01, where {lower} of {len(early)} intervals lie below 0, "
    text += f"and by {span(late)} at t = 0.1, where {higher} of {len(late)} lie above"
    assert text in STATEMENTS


def test_small_variances_raise_alpha_less_than_a_cut_does(differences):
    steep = found_of(differences, "decay2")
    seen = sum(each.low > 0 for each in steep)
    assert (
        f"i^−2 has {span(steep)} at the {len(steep)} criteria and rules that tell, and {seen} intervals" in STATEMENTS
    )
    both = [[differences[rule, law][name] for rule in ("bn", "b256") for name in (SHOWN[0], SHOWN[2])]
            for law in ("decay2", "k32")]  # fmt: skip
    assert all(less.high < more.low for less, more in zip(*both, strict=True))
    assert f"it has {span(both[0])}, and these four intervals" in STATEMENTS
    noise = 1 - math.exp(-0.02)
    variances = (Gaussian(dimension=64, population=[[0.3, 1.0]], decay=2.0), GaussianDigits())
    of_power_law, of_digits = (int((data.law.variances < noise).sum()) for data in variances)
    assert f"i^−2 has {of_power_law} of 64 variances below Δ_t = {noise:.2f}" in STATEMENTS
    assert f"the digits' covariance {of_digits}." in STATEMENTS


def test_at_the_same_gap_of_each_direction_a_cut_raises_alpha_too(runs):
    for at in ("", " at 0.1"):
        pairs = []
        for rule in ("b32", "b256", "bn"):
            cut, flat = (laws(runs, f"{law}-{rule}") for law in ("k32", "isotropic"))
            assert cut[f"L_gen{at} ≥ 0.1"].low > flat[f"L_gen{at} ≥ 0.2"].high
            pairs.append((cut[f"L_gen{at} ≥ 0.1"].exponent, flat[f"L_gen{at} ≥ 0.2"].exponent))
        cut, flat = (", ".join(f"{each:.2f}" for each in side) for side in zip(*pairs, strict=True))
        assert f"{cut} against {flat}" in STATEMENTS


FACTORS = (
    ("k16-v0.3", "isotropic"), ("k16", "isotropic-v1.2"), ("isotropic-v1.2", "isotropic"), ("k16", "k16-v0.3"),
)  # fmt: skip


def test_directions_and_variance_one_at_a_time(runs):
    found = [paired(*(of(runs, f"{law}-b32") for law in pair), SHOWN) for pair in FACTORS]
    for name in (SHOWN[0], SHOWN[2], SHOWN[3], SHOWN[4], SHOWN[6]):
        assert f"| {name} | {' | '.join(difference(each.get(name)) for each in found)} |" in STATEMENTS
    fewer, fewer_at_large, larger, larger_at_few = found
    assert all(law.low > 0 for each in (fewer, fewer_at_large) for law in each.values() if law.num_points > 3)
    told = [name for name, law in larger.items() if law.num_points > 3]
    assert len(told) == 4 and all(larger[name].low > 0 for name in told)
    assert all(law.low < 0 < law.high for law in larger_at_few.values())
    of_n = paired(of(runs, "k16-bn"), of(runs, "k16-v0.3-bn"), SHOWN)[SHOWN[0]]
    assert f"L_test +5% has {difference(of_n).rpartition(' ')[0]}" in STATEMENTS


def test_more_variance_hastens_the_losses(runs):
    name, sooner = SHOWN[4], []
    for small, large in (("isotropic", "isotropic-v1.2"), ("k16-v0.3", "k16")):
        for n in (32, 64, 128):
            for index in (0, 1):
                slow, fast = (time_of(runs, law, n, index, name) for law in (small, large))
                sooner.append(slow.value / fast.value)
    assert f"{min(sooner):.1f} to {max(sooner):.1f} times" in STATEMENTS
    times = [time_of(runs, law, n, name=SHOWN[0]) for law, n in (("isotropic", 256), ("k16-v0.3", 64))]
    assert "L_test +5% comes at {} and {}".format(*(each.value_text for each in times)) in STATEMENTS


def test_times_on_digits_fall_with_the_batch_as_on_their_covariance(runs):
    found = [each for values in batch_exponents(runs, "digits").values() for each in values]
    assert f"β of digits is {min(found):.2f} to {max(found):.2f}" in STATEMENTS


COPIES = ("L_test +5%", "L_gen ≥ 0.5", "f_mem ≥ 1%", "f_mem ≥ 5%")


@pytest.fixture(scope="module")
def copies(runs):
    """Of each criterion, α of both laws at batches of 32, then of n, which at n = 32 are the same runs."""
    found = {}
    for batch in ("b32", "bn"):
        for law in LAWS:
            members = of(runs, f"copies-{law}-b32")
            if batch == "bn":
                members = [run for run in members if run.n == 32] + of(runs, f"copies-{law}-bn")
            assert len(members) == 6
            shown = [each for each in criteria(members, "frechet_pixels", None) if each.name in COPIES]
            for rung in ladder(law, members, shown):
                found.setdefault(rung.criterion.name, {})[batch, law] = rung.law
    return found


def test_the_exponents_of_copies_are_those_printed(copies):
    assert set(copies) == set(COPIES)
    for name, found in copies.items():
        cells = [str(law).replace(" points", "") for law in found.values()]
        assert f"| {name} | {' | '.join(cells)} |" in STATEMENTS


def test_copies_are_steeper_in_n_than_losses_and_later_where_the_spectrum_decays(runs, copies):
    for batch in ("b32", "bn"):
        for law in LAWS:
            losses, onset = (copies[name][batch, law] for name in ("L_test +5%", "f_mem ≥ 1%"))
            assert onset.low > losses.high and (batch == "bn" or onset.low > 1 + 2 / 64)
    delays = []
    for n in (32, 64, 128):
        pairs = [[time_of(runs, f"copies-{law}", n, index, "f_mem ≥ 1%").value for law in LAWS] for index in (0, 1)]
        delays.append([spectrum / flat for flat, spectrum in pairs])
    assert max(delays[0]) < min(delays[1]) <= max(delays[1]) < min(delays[2])
    first, second, third = (f"{min(each):.1f} and {max(each):.1f} times" for each in delays)
    assert all(text in STATEMENTS for text in (f"{first} as late", f"{second} at 64", f"{third} at 128"))


def test_a_batch_of_n_hastens_the_losses_more_than_the_copies(runs):
    for law in LAWS:
        betas = batch_exponents(runs, f"copies-{law}")
        cells = [f"{np.mean(betas[name]):.2f}" for name in COPIES]
        assert all(len(betas[name]) == 4 for name in COPIES)
        assert f"{cells[0]} and {cells[1]}" in STATEMENTS and f"{cells[2]} and {cells[3]}" in STATEMENTS
