"""One run as the page shows it, against its table and files."""

import json

import pytest
from synthetic_runs import evaluations, write_run

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.pages.content import Member
from diffmem.analysis.pages.run import copied_images, ends, run_data
from diffmem.analysis.runs import read_runs
from diffmem.errors import DataError


def member_of(run, **rules):
    (group,) = compare([run], Rules(**rules)).groups
    return Member(tuple(group.runs))


@pytest.fixture
def run(tmp_path):
    return read_runs([write_run(tmp_path, evaluations(64, 0))])[0]


def test_times_config_cost_and_provenance_are_those_of_the_run(run):
    (run.folder / "config.yaml").write_text("seed: 3\nmodel:\n  init_args:\n    width: null\n")
    (run.folder / "identity.json").write_text(json.dumps({"training": {"data.n": 64, "shuffle": True}}))
    (run.folder / "provenance.json").write_text(json.dumps({"starts": [{"step": 0, "packages": {"torch": "2"}}]}))
    (run.folder / "metrics.csv").write_text(
        "step,loss,lr,seconds,seconds_evaluating\n50,0.5,1,60,20\n100,0.25,1,60,40\n"
    )
    member = member_of(run, quality_level=6.0)
    shown, times = run_data(member, "updates"), member.views[0].times
    (view,) = shown["views"]
    assert {time["symbol"]: time["text"] for time in view["times"]}["τ_mem"] == str(times["mem"])
    assert view["times"][0]["value"] == times["gen"].value
    assert shown["config"] == [["seed", "3"], ["model.init_args.width", "null"]]
    assert shown["differs"] == [["data.n", "64"], ["shuffle", "true"]]
    assert ["starts[0].packages.torch", "2"] in shown["provenance"]
    assert ["time", "2.0 min"] in shown["cost"] and ["of it evaluations", "50%"] in shown["cost"]
    (training,) = [panel for panel in view["panels"] if panel["title"] == "Training loss"]
    assert training["x"] == [50, 100] and training["curves"][0]["y"] == [0.5, 0.25]
    assert len(view["table"]["rows"]) == len(run.table)
    json.dumps(shown, allow_nan=False)


def test_a_time_that_was_not_reached_is_marked_as_a_bound(tmp_path):
    run = read_runs([write_run(tmp_path, evaluations(4096, 0, steps=[0, 10, 20, 40, 80]))])[0]
    (view,) = run_data(member_of(run), "updates")["views"]
    (mem,) = [time for time in view["times"] if time["symbol"] == "τ_mem"]
    assert mem["censored"] and mem["value"] == 80 and mem["text"].startswith(">")


def test_a_damaged_record_is_named(run):
    (run.folder / "provenance.json").write_text("{")
    with pytest.raises(DataError, match=r"provenance\.json"):
        run_data(member_of(run), "updates")


def test_copied_images_are_listed_by_their_copies_at_the_last_step(tmp_path):
    (tmp_path / "hits.csv").write_text("step,image,copies\n10,7,1\n20,7,2\n20,3,5\n10,4,1\n")
    assert copied_images(tmp_path, last=20) == [[3, 5, 20], [7, 2, 10], [4, 0, 10]]


def test_a_line_tells_how_the_run_ended(run):
    run.table.loc[3, "frechet_pixels"] = 0.5
    run.table.loc[len(run.table) - 1, "f_mem"] = 0.125
    assert ends(run) == {"f_mem at the end": "12.5%", "lowest frechet_pixels": "0.5"}
