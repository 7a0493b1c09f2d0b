"""The comparison as the page shows it, against the comparison."""

import json

import numpy as np
import pytest
from synthetic_runs import Truth, evaluations, write_run, write_study

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.pages.content import content_of
from diffmem.analysis.pages.study import runs_of, study_data
from diffmem.analysis.report import HEADER, table_rows
from diffmem.analysis.runs import read_runs


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    write_study(root, sizes=(64, 128, 256, 8192), seeds=(0, 1))
    write_study(root, sizes=(64, 128), truth=Truth(prefactor=300), optimizer="SGD", num_parameters=9)
    return compare(read_runs([root]), Rules(num_draws=200))


def test_the_tables_are_those_of_the_comparison(comparison):
    times, *others = study_data(comparison)["tables"]
    assert times["header"] == list(HEADER)
    assert times["rows"] == [list(row) for row in table_rows(comparison)]
    assert [table["title"] for table in others] == ["Exponents by criterion", "Phases"]
    assert all(len(row) == len(table["header"]) for table in others for row in table["rows"])


def test_points_are_times_and_the_law_passes_near_them(comparison):
    shown = {(each["group"], each["time"]): each for each in study_data(comparison)["times"]}
    mem = shown["Adam", "mem"]
    assert mem["n"] == [64, 128, 256, 8192]
    assert mem["censored"] == [False, False, False, True]
    cells = [cell.times["mem"] for cell in comparison.groups[0].cells]
    assert mem["tau"] == [cell.bound for cell in cells]
    at_64 = mem["law"]["tau"][mem["law"]["n"].index(64)]
    assert 0.5 < at_64 / mem["tau"][0] < 2
    assert mem["exponent"] == comparison.groups[0].laws["mem"].interval_text


def test_each_run_has_its_curve_and_its_place(comparison):
    shown, members = study_data(comparison)["runs"], runs_of(comparison)
    assert [run["run"] for run in shown] == list(range(len(members)))
    for run, (group, each) in zip(shown, members, strict=True):
        assert (run["group"], run["n"]) == (group.name, each.run.n)
        np.testing.assert_allclose(run["f_mem"], each.run.column("f_mem"), rtol=1e-5)


def test_rungs_and_phases_are_those_of_the_groups(comparison):
    shown = study_data(comparison)
    rungs = {(rung["group"], rung["criterion"]): rung for rung in shown["ladder"]}
    law = next(rung.law for rung in comparison.groups[0].ladder if rung.criterion.name == "f_mem ≥ 1%")
    assert rungs["Adam", "f_mem ≥ 1%"]["exponent"] == law.exponent
    assert {point["p"] for point in shown["phases"]} == {270_000, 9}
    json.dumps(shown, allow_nan=False)


def test_effects_are_ratios_to_the_baseline(tmp_path):
    for name, weight_decay, prefactor in (("base", 0.0, 100), ("decay", 1.0, 300)):
        for seed in (0, 1):
            table = evaluations(64, seed, Truth(prefactor=prefactor), index=seed, setting=name)
            folder = write_run(tmp_path / name, table)
            training = {"seed": seed, "data.index": seed, "optimizer": "Adam", "optimizer.weight_decay": weight_decay}
            (folder / "identity.json").write_text(json.dumps({"schema": 1, "protocol": {}, "training": training}))
    rules = Rules(by=("setting",), quality_level=20, num_draws=200)
    content = content_of(read_runs([tmp_path]), rules, against="optimizer.weight_decay=0.0")
    shown = study_data(content.comparison, content.effects)
    ratios = {each["quantity"]: each for each in shown["effects"]}
    assert ratios["τ_mem"]["low"] < ratios["τ_mem"]["value"] < ratios["τ_mem"]["high"]
    assert 2 < ratios["τ_mem"]["value"] < 4.5 and 0.8 < ratios["τ_gen"]["value"] < 1.2
    assert shown["tables"][-1]["title"] == "Effects"
    assert not any("*" in text for row in shown["tables"][-1]["rows"] for text in row)
    json.dumps(shown, allow_nan=False)
