"""The measured study of labels, guidance and averages on digits, as data."""

import csv
import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from laws import law_from, times

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.effects import effects_against
from diffmem.analysis.effects_table import table_rows
from diffmem.analysis.ladder import criteria
from diffmem.analysis.per_class import class_times
from diffmem.analysis.runs import read_runs

STUDY = Path(__file__).parent / "digits_conditional"
STATEMENTS = (Path(__file__).parent / "digits_conditional/README.md").read_text(encoding="utf-8")
UNCONDITIONAL = "data.labels=default, model.network.num_classes=default"
LEVELS = (0.01, 0.05, 0.1, 0.2)


@cache
def runs():
    return read_runs([STUDY])


@cache
def effects(mem_level, quality_level=10.0, against="data.labels=true"):
    """The table of ``compare --against``, by n and change."""
    rules = Rules(by=("setting",), mem_level=mem_level, quality_level=quality_level)
    return effects_against(compare(runs(), rules), against)


def row(n, change, mem_level=0.01, **rules):
    (found,) = [each for each in effects(mem_level, **rules).rows if (each.n, each.factor) == (n, change)]
    return found.of


def single(change):
    """Whether one thing differs from the conditional model, raw and unguided."""
    return change in ("baseline", UNCONDITIONAL) or change.count("=") == 1


def test_every_view_is_paired_with_the_three_subsets_of_its_n():
    assert (
        len({str(run.folder.parent.parent if run.folder.parent.name == "views" else run.folder) for run in runs()})
        == 18
    )
    assert {each.num_pairs for each in effects(0.01).rows} == {3}


def test_the_tables_printed_are_those_computed():
    for cells in table_rows(effects(0.01)):
        if single(cells[1]):
            assert f"| {' | '.join(cells)} |" in STATEMENTS
    by_level = [{cells[:2]: cells[5] for cells in table_rows(effects(level))} for level in LEVELS]
    for key in by_level[0]:
        if single(key[1]):
            assert f"| {' | '.join([*key, *(each[key] for each in by_level)])} |" in STATEMENTS


def test_the_table_of_classes_is_that_computed():
    classes = class_times(runs(), Rules(by=("labels", "weights", "guidance"), mem_level=0.1))
    found = [each for each in classes if each.group == "labels = true, weights = raw, guidance = 0"]
    for n in (32, 64):
        assert f"| {n} | {' | '.join(f'{each.final:.0%}' for each in found if each.n == n)} |" in STATEMENTS
    times = {(each.n, each.label): str(each.tau_mem) for each in found}
    assert f"{times[64, 9]} for nines and {times[64, 6]} for sixes" in STATEMENTS


@pytest.mark.parametrize("n", [32, 64])
def test_no_effect_is_claimed_where_the_interval_contains_it(n):
    assert not row(n, UNCONDITIONAL)["mem"].differs
    assert not row(n, UNCONDITIONAL)["room"].differs
    assert not any(row(n, "data.labels=random:10", level)["mem"].differs for level in LEVELS[:3])
    assert not any(row(n, "guidance=1", level)["mem"].differs for level in LEVELS[:2])
    effects_of_average = [row(n, "weights=0.99", level)[name] for level in LEVELS for name in ("gen", "mem")]
    assert not any(each.differs for each in effects_of_average if each)


def test_without_labels_every_pair_copies_later():
    for level in (0.01, 0.02, 0.05, 0.1):
        comparison = compare(runs(), Rules(by=("labels", "weights", "guidance"), mem_level=level))
        of = {
            (each.run.identity["labels"], each.run.n, each.run.identity["index"]): each.times["mem"]
            for group in comparison.groups
            if group.name.endswith("weights = raw, guidance = 0")
            for each in group.runs
        }
        pairs = [
            (of["none", n, index], of[labels, n, index])
            for labels in ("true", "random:10")
            for n in (32, 64)
            for index in (0, 1, 2)
        ]
        assert all(later.bound > sooner.value for later, sooner in pairs)


def test_at_two_percent_the_effect_of_labels_is_seen():
    found = [row(n, UNCONDITIONAL, 0.02)["mem"] for n in (32, 64)]
    assert all(each.low > 1 for each in found)
    assert f"leave it out: {found[0]} and {found[1]}" in STATEMENTS
    seen = [all(row(n, UNCONDITIONAL, level)["mem"].low > 1 for n in (32, 64)) for level in (0.01, 0.03, 0.05, 0.1)]
    assert seen == [False, True, False, False]


def test_a_large_weight_delays_copies_at_32_images_and_good_samples():
    assert all(row(32, "guidance=3", level)["mem"].low > 1 for level in LEVELS)
    assert not row(64, "guidance=3")["mem"].differs
    assert row(64, "guidance=3")["gen"].low > 1


def test_the_average_of_a_thousand_updates_reaches_neither_time():
    assert all(row(n, "weights=0.999")["mem"].above > 1 for n in (32, 64))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0.829 [0.618, 0.982]", lambda: row(64, UNCONDITIONAL, 0.05, quality_level=3.0)["gen"]),
        ("1.8 [1.31, 2.52]", lambda: row(32, f"{UNCONDITIONAL}, weights=0.99")["mem"]),
        ("1.52 [0.599, 3.32]", lambda: row(64, f"{UNCONDITIONAL}, weights=0.99")["mem"]),
        ("1.27 [0.968, 1.55]", lambda: row(64, "guidance=3", quality_level=20.0)["gen"]),
        ("1.24 [1.03, 1.48]", lambda: row(32, "weights=0.99", quality_level=50.0)["gen"]),
        ("1.1 [1.01, 1.25]", lambda: row(64, "weights=0.99", quality_level=50.0)["gen"]),
        ("0.529 [0.232, 1.06]", lambda: conditional_room(0.01)),
        ("< 0.632", lambda: conditional_room(0.1)),
    ],
)
def test_a_number_in_the_text_is_the_computed_one(text, found):
    assert str(found()) == text
    assert text in STATEMENTS


def conditional_room(level):
    change = "data.labels=true, model.network.num_classes=10"
    return row(64, change, level, against="data.labels=default")["room"]


def test_labels_called_true_are_found_as_written():
    assert effects(0.01).baseline.training["data.labels"] == "true"


def test_held_out_images_are_next_to_never_copied_whatever_the_guidance():
    for table in STUDY.rglob("evaluations.csv"):
        with table.open() as file:
            assert all(float(each["f_mem_null"]) <= 0.002 for each in csv.DictReader(file))


def test_the_table_of_the_mixture_is_that_computed():
    mixture = STUDY.parent / "mixture_conditional"
    page = (mixture / "README.md").read_text(encoding="utf-8")
    comparison = compare(read_runs([mixture]), Rules(by=("guidance",), quality_level=10))
    assert len(comparison.cells) == 12
    f_mem_at = {}
    for cell in comparison.cells:
        (each,) = cell.runs
        steps, f_mem = (each.run.column(name)[1:] for name in ("step", "f_mem"))
        ends = steps[-1] / cell.n * (1 + 1e-9)
        at = {k: float(np.interp(np.log(k * cell.n), np.log(steps), f_mem)) for k in (32, 64, 128, 256) if k <= ends}
        shares = [
            f"{at[k]:.2%}" if at.get(k, 1) < 0.01 else f"{at[k]:.1%}" if k in at else "–" for k in (32, 64, 128, 256)
        ]
        ratio = f"{at[64] / at[128]:.2f}" if 128 in at else "–"
        mem = cell.times["mem"]
        per_n = "> 32" if mem.censored else f"{mem.value / cell.n:.0f}"
        f_mem_at[each.run.identity["guidance"], cell.n] = at
        row = [each.run.identity["guidance"], cell.n, *shares, ratio, mem, per_n]
        assert f"| {' | '.join(map(str, row))} |" in page
    for (w, n), at in f_mem_at.items():
        larger = f_mem_at.get((w, 2 * n), {})
        assert all(larger[k] < at[k] for k in larger if k >= 64), "f_mem falls with n at equal τ/n"
        if w < 3 and n >= 256:
            assert all(larger[k] < at[k] / 2 for k in larger)
    for w in (0, 1, 3):
        at = [f_mem_at[w, n] for n in (128, 256, 512)]
        assert "{:.2f}, {:.2f} and {:.2f}".format(*(each[64] / each[128] for each in at)) in page
        if w == 0:
            assert "At τ/n = 32 it is {:.2f}, {:.2f} and {:.2f}".format(*(each[32] / each[128] for each in at)) in page


def test_the_exponents_of_the_mixture_are_those_computed_here_and_without_labels():
    page, other = (
        (STUDY.parent / name / "README.md").read_text(encoding="utf-8") for name in ("mixture_conditional", "mixture")
    )
    runs = read_runs([STUDY.parent / "mixture_conditional"])
    runs = sorted((run for run in runs if run.identity["guidance"] == 0), key=lambda run: run.n)
    assert [run.n for run in runs] == [128, 256, 512, 1024]
    by_name = {each.name: each for each in criteria(runs, "frechet_pixels", None)}
    small = [law_from(runs, by_name[f"L_gen ≥ {level}"]) for level in (0.1, 0.2)]
    assert [law.num_points for law in small] == [3, 3] == [len(times(runs[1:], by_name["L_gen ≥ 0.1"]))] * 2
    assert "n^{} at L_gen ≥ 0.1 and n^{} at 0.2".format(*(law.interval_text for law in small)) in page
    assert "{:.2f} and {:.2f} at L_gen ≥ 0.1 and 0.2".format(*(law.exponent for law in small)) in other
    found = {name: law_from(runs, by_name[name]) for name in ("L_gen ≥ 0.5", "L_test +5%", "L_test +20%")}
    assert [law.num_points for law in found.values()] == [4, 4, 4]
    late, first, second = (f"n^{law.interval_text}" for law in found.values())
    assert f"comes at {late}" in page and f"L_test +5% comes at {first}, +20% at {second}" in page
    values = [time.value for _, time in times(runs, by_name["L_gen ≥ 0.5"])]
    steps = [np.log2(after / before) for before, after in itertools.pairwise(values)]
    assert "as n^{:.2f}, n^{:.2f} and n^{:.2f} over".format(*steps) in page
    plain = read_runs([STUDY.parent / "mixture/adam"])
    texts = [law_from(plain, by_name[f"L_gen ≥ {level}"], 256).interval_text for level in (0.1, 0.2)]
    assert f"{texts[0]} and {texts[1]} at L_gen ≥ 0.1 and 0.2" in page and f"{texts[0]} and {texts[1]} here" in other
    assert (runs[0].identity["lr"], plain[0].identity["lr"]) == (0.002, 0.0006)
    assert all(f"{rate:g}" in text for rate in (0.002, 0.0006) for text in (page, other))
