"""One run as the page shows it, against its table and files."""

import json
import re

import pytest
from synthetic_runs import evaluations, write_run

from diffmem.analysis.comparison import TIMES, Rules, RunTimes, compare
from diffmem.analysis.pages.content import Member
from diffmem.analysis.pages.run import copied_images, ends, run_data, threshold_of
from diffmem.analysis.runs import read_runs
from diffmem.errors import DataError
from diffmem.files import write_atomic


def member_of(run, **rules):
    (group,) = compare([run], Rules(**rules)).groups
    return Member(tuple(group.runs))


@pytest.fixture
def run(tmp_path):
    return read_runs([write_run(tmp_path, evaluations(64, 0))])[0]


def test_times_config_cost_and_provenance_are_those_of_the_run(run):
    (run.folder / "config.yaml").write_text("seed: 3\nmodel:\n  init_args:\n    width: null\n")
    (run.folder / "identity.json").write_text(json.dumps({"training": {"data.n": 64, "shuffle": True}, "protocol": {}}))
    (run.folder / "provenance.json").write_text(
        json.dumps({"starts": [{"step": 0, "packages": {"torch": "2"}}, 1], "ranks": [0, 1]})
    )
    (run.folder / "metrics.csv").write_text(
        "step,loss,lr,seconds,seconds_evaluating\n50,0.5,1,60,20\n100,0.25,1,60,40\n"
    )
    for step in (50, 100):
        write_atomic(run.folder / f"checkpoints/step-{step:08d}.ckpt", bytes(3_000_000))
    member = member_of(run, quality_level=6.0)
    shown, times = run_data(member, "updates"), member.views[0].times
    (view,) = shown["views"]
    assert {time["symbol"]: time["text"] for time in view["times"]}["τ_mem"] == str(times["mem"])
    assert [time["symbol"] for time in view["times"]] == ["τ_gen", "τ_mem", "τ_overfit"]
    for time, name in zip(view["times"], ("gen", "mem", "overfit"), strict=True):
        assert (time["value"], time["low"], time["high"]) == (times[name].value, times[name].low, times[name].high)
    assert ["n", "64"] in shown["facts"] and ["optimizer", "Adam"] in shown["facts"]
    assert shown["config"] == [["seed", "3"], ["model.init_args.width", "null"]]
    assert shown["differs"] == [["data.n", "64"], ["shuffle", "true"]]
    assert ["starts[0].packages.torch", "2"] in shown["provenance"] and ["ranks", "0, 1"] in shown["provenance"]
    assert ["time", "2.0 min"] in shown["cost"] and ["of it evaluations", "50%"] in shown["cost"]
    assert ["updates", "100, 1.67 a second beside the evaluations"] in shown["cost"]
    assert ["checkpoints", "2 of 3.0 MB"] in shown["cost"]
    (training,) = [panel for panel in view["panels"] if panel["title"] == "Training loss"]
    assert training["x"] == [50, 100] and training["curves"][0]["y"] == [0.5, 0.25]
    assert len(view["table"]["rows"]) == len(run.table)
    json.dumps(shown, allow_nan=False)


def test_a_time_that_was_not_reached_is_marked_as_a_bound(tmp_path):
    run = read_runs([write_run(tmp_path, evaluations(4096, 0, steps=[0, 10, 20, 40, 80]))])[0]
    (view,) = run_data(member_of(run), "updates")["views"]
    (mem,) = [time for time in view["times"] if time["symbol"] == "τ_mem"]
    assert mem["censored"] and mem["value"] == mem["high"] == 80 and mem["text"].startswith(">")


def test_the_table_has_six_digits_and_no_column_without_a_value(run):
    run.table["kid"], run.table["density"] = float("nan"), 1.23456789
    run.table.loc[2, "density"] = float("nan")
    (view,) = run_data(member_of(run), "updates")["views"]
    columns = dict(zip(view["table"]["header"], zip(*view["table"]["rows"], strict=True), strict=True))
    assert "kid" not in columns and "n" not in columns
    assert columns["density"][:3] == (1.23457, 1.23457, None) and columns["step"][1] == 10


def test_copies_are_told_by_the_threshold_of_the_run(run):
    assert threshold_of(run) == 1 / 3
    run.table["threshold"] = 0.25
    assert threshold_of(run) == 0.25


def test_a_view_is_named_with_what_sets_it_apart(tmp_path):
    table = evaluations(64, 0).assign(weights="raw", guidance=3, sampler="ddim-50")
    shown = run_data(member_of(read_runs([write_run(tmp_path, table)])[0]), "updates")
    assert shown["views"][0]["facts"] == [["weights", "raw"], ["guidance", "3"], ["sampler", "ddim-50"]]


def test_a_damaged_record_is_named(run):
    (run.folder / "provenance.json").write_text("{")
    with pytest.raises(DataError, match=r"provenance\.json"):
        run_data(member_of(run), "updates")


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("hits.csv", "step,image\n10,7\n", "line 2 column copies: got no such column"),
        ("hits.csv", "step,image,copies\n10,7,\n", "line 2 column copies: got ''"),
        ("ratios.csv", "step,threshold,f_mem\n10,0.1,0\n10,x,0\n", "line 3 column threshold: got 'x'"),
        ("per_class.csv", "step,label,f_mem\n10,0,half\n", "line 2 column f_mem: got 'half'"),
        ("metrics.csv", "step,loss\n10,?\n", "line 2 column loss: got '?'"),
        ("metrics.csv", "loss,seconds\n1,2\n", "line 2 column step: got no such column"),
        ("identity.json", '{"training": 3, "protocol": {}}', "expected what a run is"),
    ],
)
def test_a_damaged_table_beside_the_evaluations_is_named(run, name, text, where):
    (run.folder / name).write_text(text)
    with pytest.raises(DataError, match=re.escape(where)) as refused:
        run_data(Member((RunTimes(run, dict.fromkeys(TIMES)),)), "updates")
    assert name in str(refused.value)


def test_tables_of_other_versions_are_read_as_far_as_they_go(run):
    (run.folder / "metrics.csv").write_text("step,loss,seconds\n50,,90\n100,0.25,30\n")
    shown = run_data(Member((RunTimes(run, dict.fromkeys(TIMES)),)), "updates")
    (training,) = [panel for panel in shown["views"][0]["panels"] if panel["title"] == "Training loss"]
    assert training["x"] == [100] and training["curves"][0]["y"] == [0.25]
    assert ["time", "2.0 min"] in shown["cost"] and ["of it evaluations", "0%"] in shown["cost"]
    (run.folder / "metrics.csv").write_text("step,loss\n50,1\n")
    assert run_data(Member((RunTimes(run, dict.fromkeys(TIMES)),)), "updates")["cost"] == []


def test_copied_images_are_listed_by_their_copies_at_the_last_step(tmp_path):
    (tmp_path / "hits.csv").write_text("step,image,copies\n10,7,1\n20,7,2\n20,3,5\n10,4,1\n")
    assert copied_images(tmp_path, last=20) == [[3, 5, 20], [7, 2, 10], [4, 0, 10]]


def test_a_line_tells_how_the_run_ended(run):
    run.table.loc[3, "frechet_pixels"] = 0.5
    run.table.loc[len(run.table) - 1, "f_mem"] = 0.125
    assert ends(run) == {"f_mem at the end": "12.5%", "lowest frechet_pixels": "0.5"}
    run.table.loc[len(run.table) - 1, "f_mem"] = float("nan")
    run.table["frechet_pixels"] = float("nan")
    assert ends(run) == {"f_mem at the end": "–"}
