"""Whether the times of the studies are power laws in n."""

from pathlib import Path

import pytest
from laws import law_of_copies, printed

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.ladder import criteria, ladder
from diffmem.analysis.law_figures import exponents_by_criterion
from diffmem.analysis.runs import read_runs

STUDIES = Path(__file__).parent
STATEMENTS = (STUDIES / "README.md").read_text(encoding="utf-8")
README = (STUDIES.parents[1] / "README.md").read_text(encoding="utf-8")

# the folder, the optimizer, and the setting as the table names it
SETTINGS = [
    ("mixture/sgd", "SGD", "mixture, MLP, SGD, n"),
    ("mixture/adam", "Adam", "mixture, MLP, Adam, n"),
    ("mixture/adam_b128", "Adam", "mixture, MLP, Adam, 128"),
    ("digits_law/unet", "SGD", "digits, U-Net, SGD, n"),
    ("digits_law/unet", "Adam", "digits, U-Net, Adam, n"),
    ("digits_sgd_adam", "SGD", "digits, U-Net, SGD, 32"),
    ("digits_sgd_adam", "Adam", "digits, U-Net, Adam, 32"),
    ("digits_law/image", "SGD", "digits, MLP, SGD, n"),
    ("digits_law/image", "Adam", "digits, MLP, Adam, n"),
    ("patches_law", "SGD", "photographs, U-Net, SGD, n"),
    ("patches_law", "Adam", "photographs, U-Net, Adam, n"),
    ("vectors/vectors-isotropic-bn", "Adam", "isotropic, MLP, Adam, n"),
    ("vectors/vectors-isotropic-b256", "Adam", "isotropic, MLP, Adam, 256"),
    ("vectors/vectors-isotropic-b32", "Adam", "isotropic, MLP, Adam, 32"),
    ("vectors/vectors-digits-covariance-bn", "Adam", "digits' covariance, MLP, Adam, n"),
    ("vectors/vectors-digits-covariance-b256", "Adam", "digits' covariance, MLP, Adam, 256"),
    ("vectors/vectors-digits-covariance-b32", "Adam", "digits' covariance, MLP, Adam, 32"),
]


# as README names some of them
SHORT = {
    "mixture, MLP, SGD, n": "the paper's mixture, MLP, SGD, n",
    "mixture, MLP, Adam, n": "the paper's mixture, MLP, Adam, n",
    "digits, U-Net, SGD, n": "digits, U-Net, SGD, n",
    "digits, U-Net, Adam, n": "digits, U-Net, Adam, n",
    "digits, MLP, SGD, n": "digits, MLP, SGD, n",
    "digits, MLP, Adam, n": "digits, MLP, Adam, n",
}


@pytest.fixture(scope="module")
def found():
    """Of each setting its runs, and its laws by criterion of copying."""
    settings = {}
    for folder, optimizer, name in SETTINGS:
        runs = [run for run in read_runs([STUDIES / folder]) if run.identity["optimizer"] == optimizer]
        rungs = ladder(name, runs, criteria(runs, "frechet_pixels", None))
        settings[name] = runs, {rung.criterion.name: rung.law for rung in rungs if not isinstance(rung.law, str)}
    return settings


def told(laws):
    """The laws that have a bend, seen or not."""
    return {name: law for name, law in laws.items() if law.bend is not None}


def test_the_table_is_the_one_computed(found):
    for name, (runs, laws) in found.items():
        cells = [
            text
            for shown in ("L_test +5%", "f_mem ≥ 1%")
            for text in ((laws[shown].interval_text, str(laws[shown].bend)) if shown in laws else ("–", "–"))
        ]
        up = sum(law.is_bent and law.bend.value > 0 for law in told(laws).values())
        sizes = [run.n for run in runs]
        row = (name, f"{min(sizes)} … {max(sizes)}", *cells, f"{up} of {len(told(laws))}")
        assert f"| {' | '.join(row)} |" in STATEMENTS


def test_where_a_bend_is_seen_it_is_upward_but_for_the_smallest_gaps(found):
    every = [each for _, laws in found.values() for each in told(laws).items()]
    seen = [(at, law) for at, law in every if law.is_bent]
    down = [at for at, law in seen if law.bend.value < 0]
    assert f"at {len(seen)} of {len(every)}" in STATEMENTS and f"{len(seen) - len(down)} upward" in STATEMENTS
    assert len(seen) > 5 * 0.05 * len(every)  # more than chance
    assert len(down) == 3 and all(at.startswith("L_gen") for at in down)
    assert f"of {len(every)} criteria in {len(found)} settings α is seen to grow with n at" in README
    assert f"to grow with n at {len(seen) - len(down)} and to fall at {len(down)}, without" in README


def without_the_smallest(found, name):
    """Laws of a setting without its smallest n."""
    runs, _ = found[name]
    larger = [run for run in runs if run.n > min(run.n for run in runs)]
    rungs = ladder(name, larger, criteria(larger, "frechet_pixels", None))
    return {rung.criterion.name: rung.law for rung in rungs if not isinstance(rung.law, str)}


def test_a_part_of_it_rests_on_the_smallest_n(found):
    vectors = {name for folder, _, name in SETTINGS if folder.startswith("vectors")}
    counts = []
    for names in (found, found.keys() - vectors):
        bends = [law.bend for name in names for law in told(without_the_smallest(found, name)).values()]
        counts += [sum(bend.low > 0 for bend in bends), sum(bend.high < 0 for bend in bends), len(bends)]
    up, down, every, *others = counts
    assert f"{up} of {every} are seen upward and {down} downward" in STATEMENTS
    assert f"at {up} of {every} and {down} ([more]" in README
    assert "no vectors {} and {} of {}.".format(*others) in STATEMENTS


def test_f_mem_of_the_mixture_bends_either_way_by_its_level(found):
    runs, _ = found["mixture, MLP, SGD, n"]
    every = {level: law_of_copies(runs, level)["SGD"] for level in (0.005, 0.01, 0.02, 0.05, 0.1)}
    assert [law.is_bent for law in every.values()] == [True, False, False, False, True]
    larger = [law_of_copies([run for run in runs if run.n >= 128], level)["SGD"] for level in (0.02, 0.05)]
    assert f"b is {every[0.005].bend} at f_mem ≥ 0.5%" in STATEMENTS and f"and {every[0.1].bend} at 10%" in STATEMENTS
    assert f"it is {larger[0].bend} at 2% and {larger[1].bend} at 5%" in STATEMENTS


LEAST = (0, 32, 64, 128)


def test_exponents_without_the_smaller_n_are_those_printed(found):
    """Of f_mem ≥ 1%; those of the first setting with the trainings that were made in bfloat16 alone."""
    known = {(run.n, run.identity["index"]) for run in found["mixture, MLP, SGD, n"][0]}
    longer = [run for run in read_runs([STUDIES / "mixture_bf16"]) if (run.n, run.identity["index"]) not in known]
    for folder, optimizer, name in SETTINGS:
        if folder.startswith("vectors"):
            continue
        runs = found[name][0] + (longer if folder == "mixture/sgd" else [])
        sizes = [run.n for run in runs]
        cells = []
        for least in LEAST:
            law = law_of_copies([run for run in runs if run.n >= least]).get(optimizer)
            again = 0 < least <= min(sizes)
            cells.append("as all" if again else "–" if law is None or isinstance(law, str) else printed(law))
        row = f"| {name} | {max(sizes)} | {' | '.join(cells)} |"
        assert row in STATEMENTS
        if name in SHORT:
            shown = [each.partition(" (")[0] for each in cells]
            assert f"| {SHORT[name]} | {' | '.join(shown)} |" in README


def test_on_digits_a_part_of_it_rests_on_sixteen_images(found):
    names = [name for _, _, name in SETTINGS if name.startswith("digits, ") and name.endswith(", n")]
    copies = {name: without_the_smallest(found, name)["f_mem ≥ 1%"] for name in names}
    texts = (f"{law.bend} ({', '.join(name.split(', ')[1:3])})" for name, law in copies.items())
    assert "{}, {}, {} and {}.".format(*texts) in STATEMENTS
    assert [law.is_bent for law in copies.values()] == [False, False, True, False]


def test_the_figure_of_the_ladder_is_hollow_where_there_is_no_power_law():
    comparison = compare(read_runs([STUDIES / "digits_law/image"]), Rules(quality_level=2.0, num_draws=100))
    (ax,) = (figure := exponents_by_criterion(comparison)).axes
    hollow = [y for line in ax.lines if line.get_marker() == "." for y in line.get_ydata()]
    laws = [rung.law for group in comparison.groups for rung in group.ladder if not isinstance(rung.law, str)]
    assert hollow == [law.exponent for law in laws if law.is_bent] and hollow
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Adam", "SGD", "no power law"]
