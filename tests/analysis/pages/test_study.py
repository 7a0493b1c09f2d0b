"""The comparison as the page shows it, against the comparison."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from synthetic_runs import Truth, evaluations, log_steps, write_run, write_study

from diffmem.analysis.comparison import Rules
from diffmem.analysis.effects import Effect, Effects, Row
from diffmem.analysis.pages.content import content_of
from diffmem.analysis.pages.page import write_page
from diffmem.analysis.pages.study import _effects, study_data
from diffmem.analysis.report import HEADER, table_rows
from diffmem.analysis.runs import read_runs
from diffmem.analysis.sizes import size_table


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    write_study(root, sizes=(64, 128, 256, 8192), seeds=(0, 1))
    write_study(root, sizes=(64, 128), truth=Truth(prefactor=300), optimizer="SGD", num_parameters=9)
    return content_of(read_runs([root]), Rules(num_draws=200))


def test_the_tables_are_those_of_the_comparison(content):
    times, *others = study_data(content)["tables"]
    assert times["header"] == list(HEADER)
    assert times["rows"] == [list(row) for row in table_rows(content.comparison)]
    assert [table["title"] for table in others] == ["Exponents by criterion", "Phases", "Boundaries in n"]
    assert all(len(row) == len(table["header"]) for table in others for row in table["rows"])


def test_points_are_times_and_the_law_passes_near_them(content):
    shown = {(each["group"], each["time"]): each for each in study_data(content)["times"]}
    mem = shown["Adam", "mem"]
    assert mem["n"] == [64, 128, 256, 8192]
    assert mem["censored"] == [False, False, False, True]
    cells = [cell.times["mem"] for cell in content.comparison.groups[0].cells]
    assert mem["tau"] == [cell.bound for cell in cells]
    assert (mem["law"]["n"][0], mem["law"]["n"][-1]) == (64, 8192)
    at_64 = mem["law"]["tau"][mem["law"]["n"].index(64)]
    assert 0.5 < at_64 / mem["tau"][0] < 2
    assert mem["exponent"] == content.comparison.groups[0].laws["mem"].interval_text


def test_one_run_has_nothing_together(tmp_path):
    write_run(tmp_path, evaluations(64, 0))
    content = content_of(read_runs([tmp_path]), Rules(num_draws=100))
    assert content.comparison is not None and study_data(content) is None


def test_a_level_that_says_little_is_said_to(tmp_path):
    write_study(tmp_path, sizes=(64, 128), steps=log_steps(1000))
    content = content_of(read_runs([tmp_path]), Rules(num_draws=100))
    assert study_data(content)["tables"][0]["caption"] == f"τ_gen: {content.comparison.level_warning}."
    assert "levelled off" in content.comparison.level_warning


def test_growth_with_the_size_of_the_network_is_shown_where_groups_differ_in_it(tmp_path):
    for p in (9, 90, 900):
        write_study(tmp_path / str(p), sizes=(64, 128), num_parameters=p, setting=str(p))
    content = content_of(read_runs([tmp_path]), Rules(by=(), num_draws=100))
    (table,) = [
        each for each in study_data(content)["tables"] if each["title"] == "Growth with the number of parameters"
    ]
    assert (table["header"], table["rows"]) == size_table(content.comparison) and len(table["rows"]) == 2


def test_the_end_of_an_interval_is_drawn_beyond_the_last_evaluation_where_it_lies_there(tmp_path):
    for seed, prefactor in ((0, 10), (1, 300)):  # runs so far apart that the mean of all may lie anywhere
        write_run(tmp_path, evaluations(64, seed, Truth(prefactor=prefactor), index=seed))
    content = content_of(read_runs([tmp_path]), Rules(num_draws=200))
    time = content.comparison.cells[0].times["mem"]
    assert time.last < time.high < math.inf
    (mem,) = [each for each in study_data(content)["times"] if each["time"] == "mem"]
    assert mem["high"] == [pytest.approx(time.high, rel=1e-5)]


def test_each_run_has_its_curve_and_its_place(content):
    shown = study_data(content)["runs"]
    members = [(group, each) for group in content.comparison.groups for each in group.runs]
    for run, (group, each) in zip(shown, members, strict=True):
        assert content.members[run["run"]].views[run["view"]] is each
        assert (run["group"], run["n"]) == (group.name, each.run.n)
        np.testing.assert_allclose(run["f_mem"], each.run.column("f_mem"), rtol=1e-5)


def test_rungs_and_phases_are_those_of_the_groups(content):
    shown = study_data(content)
    rungs = {(rung["group"], rung["criterion"]): rung for rung in shown["ladder"]}
    law = next(rung.law for rung in content.comparison.groups[0].ladder if rung.criterion.name == "f_mem ≥ 1%")
    assert rungs["Adam", "f_mem ≥ 1%"]["exponent"] == law.exponent
    assert (rungs["Adam", "f_mem ≥ 1%"]["low"], rungs["Adam", "f_mem ≥ 1%"]["high"]) == (law.low, law.high)
    assert {point["p"] for point in shown["phases"]} == {270_000, 9}
    json.dumps(shown, allow_nan=False)


def content_of_weight_decay(root, prefactor):
    """A study in which weight decay multiplies τ_mem by ``prefactor`` over 100."""
    for name, weight_decay, factor in (("base", 0.0, 100), ("decay", 1.0, prefactor)):
        for seed in (0, 1):
            table = evaluations(64, seed, Truth(prefactor=factor), index=seed, setting=name)
            folder = write_run(root / name, table)
            training = {"seed": seed, "data.index": seed, "optimizer": "Adam", "optimizer.weight_decay": weight_decay}
            (folder / "identity.json").write_text(json.dumps({"schema": 1, "protocol": {}, "training": training}))
    rules = Rules(by=("setting",), quality_level=20, num_draws=200)
    return content_of(read_runs([root]), rules, against="optimizer.weight_decay=0.0")


def test_effects_are_ratios_to_the_baseline(tmp_path):
    content = content_of_weight_decay(tmp_path, 300)
    shown = study_data(content)
    ratios = {each["quantity"]: each for each in shown["effects"]}
    assert ratios["τ_mem"]["low"] < ratios["τ_mem"]["value"] < ratios["τ_mem"]["high"]
    assert 2 < ratios["τ_mem"]["value"] < 4.5 and 0.8 < ratios["τ_gen"]["value"] < 1.2
    assert {each["change"] for each in shown["effects"]} == {"weight_decay=1"}
    assert shown["tables"][1]["title"] == "Effects"
    bold = [text for row in shown["tables"][1]["rows"] for text in row if text.startswith("**")]
    assert "Bold: the interval leaves 1 out" in shown["tables"][1]["caption"] and len(bold) == 3
    write_page(content, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert all(f"<td><strong>{text[2:-2]}</strong></td>" in page for text in bold)
    # of one n there is no growth to show
    assert shown["laws"] == [] and "Exponents by criterion" not in [table["title"] for table in shown["tables"]]
    assert [row[0] for row in shown["tables"][0]["rows"]] == ["baseline", "weight_decay=1"]
    json.dumps(shown, allow_nan=False)


def test_many_groups_have_a_line_each_in_the_table_of_exponents(tmp_path):
    for number in range(7):
        write_study(tmp_path / str(number), sizes=(64, 128), optimizer=f"Optimizer{number}")
    content = content_of(read_runs([tmp_path]), Rules(num_draws=100))
    (table,) = [table for table in study_data(content)["tables"] if table["title"] == "Exponents by criterion"]
    assert [row[0] for row in table["rows"]] == [f"Optimizer{number}" for number in range(7)]
    assert table["header"][0] == "group" and "f_mem ≥ 1%" in table["header"]


def test_times_of_classes_are_those_of_the_comparison_of_classes(tmp_path):
    for seed in (0, 1):
        table = evaluations(64, seed)
        folder = write_run(tmp_path, table)
        rows = [
            f"{step},{label},250,{f}" for step, f in zip(table["step"], table["f_mem"], strict=True) for label in (0, 1)
        ]
        (folder / "per_class.csv").write_text("\n".join(["step,label,num_samples,f_mem", *rows]) + "\n")
    content = content_of(read_runs([tmp_path]), Rules(num_draws=100))
    (table,) = [table for table in study_data(content)["tables"] if table["title"] == "τ_mem of each class"]
    assert [row[:4] for row in table["rows"]] == [["Adam", "64", "0", "2"], ["Adam", "64", "1", "2"]]
    assert [row[4] for row in table["rows"]] == [str(each.tau_mem) for each in content.classes]


def test_classes_have_the_names_of_the_groups_on_the_page(tmp_path):
    for name, flip in (("0ab", False), ("1ab", True)):
        table = evaluations(64, 0, setting=name)
        folder = write_run(tmp_path / name, table)
        rows = [f"{step},0,250,{f}" for step, f in zip(table["step"], table["f_mem"], strict=True)]
        (folder / "per_class.csv").write_text("\n".join(["step,label,num_samples,f_mem", *rows]) + "\n")
        training = {"optimizer": "Adam", **({"data.flip": True} if flip else {})}
        (folder / "identity.json").write_text(json.dumps({"schema": 1, "protocol": {}, "training": training}))
    content = content_of(read_runs([tmp_path]), Rules(by=("setting",), num_draws=100))
    names = [group.name for group in content.comparison.groups]
    assert [each.group for each in content.classes] == names == ["baseline", "flip=True"]


def test_an_end_that_is_open_is_drawn_at_the_bound_or_far_from_the_value():
    of = {
        "gen": Effect(2.0, 0.0, math.inf),
        "mem": Effect(math.nan, 0.5, math.inf, above=1.5),
        "room": Effect(math.nan, 0.0, 0.9, below=0.6),
    }
    row = Row("a.b=1", 64, 0.1, (0.1,), 3, of)
    rows = (replace(row, factor=""), row, replace(row, factor="c=1", of=dict.fromkeys(of)))
    shown = {each["quantity"]: each for each in _effects(Effects(None, None, rows))}
    ends = {name: (each["bound"], each["low"], each["value"], each["high"]) for name, each in shown.items()}
    assert ends == {
        "τ_gen": ("", 2 / 9, 2.0, 18.0), "τ_mem": (">", 0.5, 1.5, 1.5), "τ_mem/τ_gen": ("<", 0.6, 0.6, 0.9)
    }  # fmt: skip
    assert {each["change"] for each in shown.values()} == {"b=1"}


def test_an_effect_of_which_only_a_bound_is_known_is_a_bound(tmp_path):
    effects = study_data(content_of_weight_decay(tmp_path, 10_000))["effects"]
    (mem,) = [each for each in effects if each["quantity"] == "τ_mem"]
    assert mem["bound"] == ">" and mem["text"] == f"> {mem['value']:.3g}" and mem["value"] > 5
