"""What the README of the metrics says of the order in which measures move, and of twins beside the two clocks."""

from pathlib import Path

import draw_measures
import numpy as np
import pytest

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.departure import departure
from diffmem.analysis.order import precedence, times
from diffmem.analysis.runs import read_runs
from diffmem.analysis.timescales import tau_mem
from diffmem.errors import DataError
from diffmem.files import read_table

ROOT = Path(__file__).parents[2]
STUDY = Path(__file__).parent / "measures"
README = (ROOT / "diffmem/metrics/README.md").read_text(encoding="utf-8")
HALF = "half nearer to their training images"


def twins(kind):
    """By n, when half of the samples are nearer to a training image than to their twin."""
    found = {}
    for path in (STUDY / kind).glob("twins-*.csv"):
        run = draw_measures.read(STUDY / kind / path.stem.removeprefix("twins-") / "evaluations.csv")
        (row,) = [row for row in times(draw_measures.read(path)) if row["rule"] == HALF]
        found[int(run["n"][0])] = row
    return found


def clocks(kind, quality_level):
    comparison = compare(read_runs([STUDY / kind]), Rules(quality_level=quality_level))
    return {cell.n: cell.times for cell in comparison.cells}


@pytest.mark.parametrize(("kind", "label", "level"), [("unet", "digits, U-Net", 2.0), ("patches", "patches, MLP", 1.0)])
def test_the_times_printed_are_those_computed(kind, label, level):
    of = clocks(kind, level)
    for n, row in twins(kind).items():
        gen, mem = (str(of[n][name] or "< 100") for name in ("gen", "mem"))
        assert f"| {label} | {n} | {gen} | {row['text']} | {mem} |" in README


def tables(*parts):
    """The tables of all runs of a study."""
    folders = draw_measures.runs_in([Path(__file__).parent.joinpath(*parts)])
    return [draw_measures.read(folder / "evaluations.csv") for folder in folders]


def verdicts(found, first="L_test", second="f_mem"):
    """Before and after by all rules, and where the rules decide; of all runs."""
    (row,) = [
        row for row in precedence([times(table) for table in found]) if (row["first"], row["second"]) == (first, second)
    ]
    return row["before"], row["after"], row["depends"], row["runs"]


def before_copies(found, rise):
    """In how many runs L_test is so far above its minimum before f_mem ≥ 1%, and in how many after."""
    before = after = 0
    for table in found:
        try:
            loss = departure(table["step"], table["loss_test"], rise, "loss_test")
        except DataError:
            continue  # too short
        f_mem = tau_mem(table["step"], table["f_mem"], table["num_samples"])
        before += not loss.censored and loss.bound < f_mem.bound
        after += not f_mem.censored and f_mem.bound < loss.bound
    return before, after


def test_the_order_of_the_small_runs_is_the_one_printed():
    """Four runs of an MLP, two of them at each n with one pair of twins."""
    found = {}
    for folder in draw_measures.runs_in([STUDY / "mlp"]):
        run = draw_measures.read(folder / "evaluations.csv")
        n, index = int(run["n"][0]), int(run["index"][0])
        (twins_of,) = (STUDY / "mlp").glob(f"twins-*-n{n}-*.csv")
        found[n, index] = times(run, draw_measures.read(twins_of))
    keys = [(32, 0), (32, 1), (64, 0), (64, 1)]
    for measure, rule in {(row["measure"], row["rule"]) for row in found[32, 0]}:
        cells = [row["text"] for key in keys for row in found[key] if (row["measure"], row["rule"]) == (measure, rule)]
        assert f"| {measure} | {rule} | {' | '.join(cells)} |" in README
    order = {(row["first"], row["second"]): row["before"] for row in precedence([found[key] for key in keys])}
    assert all(order["L_test", second] == 4 for second in ("nn_ratio", "C_T", "AuthPct", "f_mem"))
    assert (order["C_T", "f_mem"], order["nn_ratio", "f_mem"]) == (4, 3)
    assert before_copies(tables("measures/mlp"), 1.0) == (0, 4)


@pytest.mark.parametrize(
    ("study", "expected"),
    [
        ("digits_sgd_adam", (25, 0, 1, 26)),
        ("measures/unet", (6, 0, 0, 6)),
        ("digits_conditional", (12, 0, 6, 18)),
        ("digits_law/image", (0, 1, 29, 30)),
        ("patches_atlas", (1, 3, 29, 33)),
    ],
)
def test_whether_the_loss_turns_before_copies_depends_on_the_model(study, expected):
    assert verdicts(tables(study)) == expected


def test_the_order_of_the_study_is_the_one_printed_and_a_higher_level_turns_it_round():
    found = [times(table) for table in tables("digits_sgd_adam")]
    for row in precedence(found):
        counts = " | ".join(str(row[name]) for name in ("before", "after", "depends"))
        assert f"| {row['first']} | {row['second']} | {counts} |" in README
    assert before_copies(tables("digits_sgd_adam"), 0.5) == (13, 13)
    assert before_copies(tables("digits_law/image"), 0.2)[1] == 27


def share_of_twins(kind, level):
    """By n, when that share of the samples is nearer to a training image than to their twin."""
    found = {}
    for path in (STUDY / kind).glob("twins-*.csv"):
        table = draw_measures.read(path)
        n = int(path.name.split("-n")[1].split("-")[0])
        found[n] = tau_mem(table["step"], table["share_own"], table["num_samples"], level=level).bound
    return [found[n] for n in (32, 64, 128)]


def test_when_twins_part_depends_on_the_share():
    digits, patches = (share_of_twins(kind, 0.75) for kind in ("unet", "patches"))
    assert digits == sorted(digits) and patches[2] < patches[0]
    of = clocks("unet", 2.0)[128]
    quarter, half = (share_of_twins("unet", level)[2] for level in (0.25, 0.5))
    assert quarter < of["gen"].value < half < of["mem"].value
    assert of["gen"].high > half, "the intervals do not set them apart"
    assert clocks("unet", 1.0)[128]["gen"].value > half
    apart = clocks("patches", 1.0)[64]
    assert apart["gen"].high < share_of_twins("patches", 0.5)[1] < apart["mem"].low


def distances(name, place, reference):
    """By t, steps and distances of the learned score to the reference, (2, S)."""
    curves = {}
    for row in read_table(STUDY / f"regions/{name}.csv"):
        if (row["place"], row["reference"]) == (place, reference):
            curves.setdefault(float(row["t"]), []).append((float(row["step"]), float(row["distance"])))
    return {t: np.array(curve).T for t, curve in curves.items()}


def parts(name, place, reference, rise=0.1):
    """By t, from which step on the distance is so far above its lowest value; None: not within the run."""
    found = {t: departure(*curve, rise) for t, curve in distances(name, place, reference).items()}
    return {t: None if each.censored else each.bound for t, each in found.items()}


def test_when_the_scores_of_two_twins_part_is_as_printed():
    """On digits; the regions kept here have distances of four digits."""
    steps = {(place, rise): parts("digits", place, "twin", rise)
             for place in ("train", "heldout", "trajectory") for rise in (0.05, 0.1, 0.2)}  # fmt: skip
    small = [at for place in ("train", "heldout") for t, at in steps[place, 0.1].items() if t <= 0.1]
    assert max(small) < 46
    for rise, printed in ((0.05, (49, 52, 346, 348)), (0.1, (59, 125, 455, 764)), (0.2, (134, 161, 772, None))):
        found = [steps[place, rise][t] for t in (0.2167, 0.6167) for place in ("train", "heldout")]
        assert [each and round(each) for each in found] == [each and pytest.approx(each, abs=2) for each in printed]
    own = steps["trajectory", 0.1]
    assert all((at is not None and at < 91.5) == (t <= 0.1) for t, at in own.items())
    for place, printed in (("heldout", (7.8, 5.36)), ("train", (0.807, 0.224))):
        _, values = distances("digits", place, "empirical")[0.0102]
        assert (values[0], values[-1]) == pytest.approx(printed, rel=0.01)


@pytest.mark.parametrize(
    ("law", "twin", "ratio"), [("isotropic", (340, 515), (0.6, 1.4)), ("digits-law", (338, 815), (1.9, 4.2))]
)
def test_twins_of_two_seeds_date_the_departure_from_the_population_roughly(law, twin, ratio):
    """At noised training points, t = 0.01 to 0.2: within two fifths, or two to four times too early."""
    for rise in (0.1, 0.2):
        steps, true = (parts(law, "train", reference, rise) for reference in ("twin", "population"))
        for t, step in steps.items():
            factor = step / true[t] if law == "isotropic" else true[t] / step
            assert ratio[0] < factor < ratio[1]
            assert rise > 0.1 or twin[0] < step < twin[1]
            assert rise > 0.1 or law != "isotropic" or 2 / 3 < factor < 4 / 3
