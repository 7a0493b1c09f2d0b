"""The grid on vectors: what the batch, the criterion and the spectrum do to the exponent of a time in n."""

import math
from pathlib import Path

import numpy as np
import pytest

from diffmem.analysis.ladder import criteria, ladder
from diffmem.analysis.runs import read_runs
from diffmem.errors import DataError

STUDY = Path(__file__).parent / "vectors"
STATEMENTS = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def runs():
    return read_runs([STUDY])


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
SHOWN = (
    "L_test +5%", "L_gen ≥ 0.1", "L_gen ≥ 0.2", "L_gen ≥ 0.5",
    "L_test at 0.1 +5%", "L_gen at 0.1 ≥ 0.1", "L_gen at 0.1 ≥ 0.2",
)  # fmt: skip


@pytest.fixture(scope="module")
def alphas(runs):
    return [laws(runs, f"{law}-b32") for law in LAWS]


@pytest.fixture(scope="module")
def betas(runs):
    return [batch_exponents(runs, law) for law in LAWS]


def table(alphas, betas):
    """The rows of the README: α at batches of 32 for both laws, then β for both."""
    rows = []
    for name in SHOWN:
        shown = [", ".join(f"{each:.2f}" for each in beta.get(name, [])) or "–" for beta in betas]
        rows.append([name, *(str(alpha[name]).replace(" points", "") for alpha in alphas), *shown])
    return rows


def test_the_table_is_the_one_computed(alphas, betas):
    for row in table(alphas, betas):
        assert f"| {' | '.join(row)} |" in STATEMENTS


def test_times_of_adam_fall_with_the_batch_and_so_alpha_is_lower_where_the_batch_is_n(betas):
    for found, printed in zip(betas, ("0.43", "0.57"), strict=True):
        every = [each for values in found.values() for each in values]
        assert f"{np.mean(every):.2f}" == printed
        assert 0.15 < min(every) <= max(every) < 0.87


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
    flat, _ = alphas
    least, most = flat["L_test at 0.1 +5%"], flat["L_gen ≥ 0.1"]
    assert least.high < flat["L_test +5%"].low < 1 < flat["L_gen ≥ 0.5"].low and flat["L_test +5%"].high < most.low
    assert f"give {least.interval_text} and {most.interval_text}" in STATEMENTS


def test_one_plus_two_over_d_is_no_law_of_these_times(alphas):
    """1 + 2/64 lies outside the interval at all seven criteria, on both sides."""
    flat, predicted = alphas[0], 1 + 2 / 64
    assert [name for name in SHOWN if flat[name].high < predicted] == ["L_test +5%", "L_test at 0.1 +5%"]
    assert sum(flat[name].low > predicted for name in SHOWN) == 5


def test_the_closed_form_of_random_features_does_not_carry_over(alphas):
    """There α rises with the level of L_gen and falls with a decaying spectrum."""
    for law in alphas:
        for at in ("", " at 0.1"):
            assert law[f"L_gen{at} ≥ 0.2"].low < law[f"L_gen{at} ≥ 0.1"].high
        assert law["L_gen ≥ 0.5"].low < law["L_gen ≥ 0.1"].high
    flat, steep = alphas
    assert all(steep[name].exponent > flat[name].exponent for name in SHOWN)
    assert len(apart(flat, steep)) == 5


def apart(flat, steep):
    return [name for name in SHOWN if name in flat and getattr(steep[name], "low", 0) > getattr(flat[name], "high", 9)]


def test_where_the_spectra_are_told_apart(runs):
    """Without n = 32, and at batches of 256 and of n."""
    flat, steep = (laws([run for run in runs if run.n > 32], f"{law}-b32") for law in LAWS)
    assert apart(flat, steep) == ["L_test +5%", "L_gen ≥ 0.2", "L_test at 0.1 +5%", "L_gen at 0.1 ≥ 0.1"]
    assert apart(*(laws(runs, f"{law}-b256") for law in LAWS)) == ["L_test at 0.1 +5%", "L_gen at 0.1 ≥ 0.2"]
    assert apart(*(laws(runs, f"{law}-bn") for law in LAWS)) == []


def test_the_size_of_a_fixed_batch_does_not_move_alpha(runs):
    small = [run for run in runs if run.n <= 128]
    found = [laws(small, f"{law}-{batch}") for law in LAWS for batch in ("b32", "b256")]
    for name in ("L_test +5%", "L_gen ≥ 0.2", "L_gen ≥ 0.5", "L_test at 0.1 +5%", "L_gen at 0.1 ≥ 0.2"):
        cells = [str(each[name]).replace(" points", "") for each in found]
        assert f"| {name} | {' | '.join(cells)} |" in STATEMENTS
        for fewer, more in (found[:2], found[2:]):
            assert fewer[name].low < more[name].exponent < fewer[name].high


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
        assert all(bounds[study] > bounds["isotropic"] for study in ("k16", "k8", "k4"))
    for n in (32, 64, 128):
        second = {study: time_of(runs, study, n, index=1).bound for study in times if "decay" not in study}
        assert all(second[study] > second["isotropic"] for study in second if study != "isotropic")


def test_times_on_digits_fall_with_the_batch_as_on_their_covariance(runs):
    found = [each for values in batch_exponents(runs, "digits").values() for each in values]
    assert f"β of digits is {min(found):.2f} to {max(found):.2f}" in STATEMENTS
