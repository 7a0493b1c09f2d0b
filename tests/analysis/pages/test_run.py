"""One run as the page shows it, against its table and files."""

import json

import numpy as np
import pytest
from synthetic_runs import evaluations, write_run

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.pages.run import copied_images, panels, run_data
from diffmem.analysis.runs import read_runs
from diffmem.errors import DataError


def curves(run):
    return {curve["name"]: (panel, curve) for panel in panels(run, "updates") for curve in panel["curves"]}


@pytest.fixture
def run(tmp_path):
    table = evaluations(64, 0).assign(new_measure=1.5, loss_test_std=0.1, loss_t=0.01)
    table.loc[3, "new_measure"] = 2.5
    table.loc[2, "new_measure"] = np.nan
    folder = write_run(tmp_path, table)
    return read_runs([folder])[0]


def test_every_measurement_is_a_curve(run):
    shown = curves(run)
    for name in ("f_mem", "f_mem_null", "frechet_pixels", "loss_train", "loss_test", "nn_heldout", "new_measure"):
        np.testing.assert_allclose(
            [np.nan if y is None else y for y in shown[name][1]["y"]], run.column(name), rtol=1e-5
        )
    assert not {"loss_t", "step", "images_seen", "f_mem_low", "loss_test_std", "n", "seed"} & {*shown}
    assert shown["new_measure"][1]["y"][2] is None


def test_bands_are_the_interval_or_two_standard_deviations(run):
    f_mem, loss = curves(run)["f_mem"][1], curves(run)["loss_test"][1]
    np.testing.assert_allclose(f_mem["low"], run.column("f_mem_low"), rtol=1e-5)
    value = run.column("loss_test")
    np.testing.assert_allclose(loss["high"], value * np.exp(2 * 0.1 / value), rtol=1e-5)
    assert curves(run)["nn_train"][1]["low"] is None


def test_an_axis_is_logarithmic_where_all_values_are_positive(run):
    assert curves(run)["frechet_pixels"][0]["log"]
    run.table.loc[3, "frechet_pixels"] = 0.0
    assert not curves(run)["frechet_pixels"][0]["log"]


def test_times_config_cost_and_provenance_are_those_of_the_run(run):
    (run.folder / "config.yaml").write_text("seed: 3\nmodel:\n  init_args:\n    width: null\n")
    (run.folder / "identity.json").write_text(json.dumps({"training": {"data.n": 64, "shuffle": True}}))
    (run.folder / "provenance.json").write_text(json.dumps({"starts": [{"step": 0, "packages": {"torch": "2"}}]}))
    (run.folder / "metrics.csv").write_text(
        "step,loss,lr,seconds,seconds_evaluating\n50,0.5,1,60,20\n100,0.25,1,60,40\n"
    )
    (each,) = compare([run], Rules(quality_level=6.0)).groups[0].runs
    shown = run_data(each, "updates", budget=0)
    assert {time["symbol"]: time["text"] for time in shown["times"]}["τ_mem"] == str(each.times["mem"])
    assert shown["times"][0]["value"] == each.times["gen"].value
    assert shown["config"] == [["seed", "3"], ["model.init_args.width", "null"]]
    assert shown["differs"] == [["data.n", "64"], ["shuffle", "true"]]
    assert ["starts[0].packages.torch", "2"] in shown["provenance"]
    assert ["time", "2.0 min"] in shown["cost"] and ["of it evaluations", "50%"] in shown["cost"]
    (training,) = [panel for panel in shown["panels"] if panel["title"] == "Training loss"]
    assert training["curves"][0]["y"] == [0.5, 0.25]
    assert len(shown["table"]["rows"]) == len(run.table)
    json.dumps(shown, allow_nan=False)


def test_a_time_that_was_not_reached_is_marked_as_a_bound(tmp_path):
    run = read_runs([write_run(tmp_path, evaluations(4096, 0, steps=[0, 10, 20, 40, 80]))])[0]
    (each,) = compare([run], Rules()).groups[0].runs
    (mem,) = [time for time in run_data(each, "updates", 0)["times"] if time["symbol"] == "τ_mem"]
    assert mem["censored"] and mem["value"] == 80 and mem["text"].startswith(">")


def test_a_damaged_record_is_named(run):
    (run.folder / "provenance.json").write_text("{")
    (each,) = compare([run], Rules()).groups[0].runs
    with pytest.raises(DataError, match=r"provenance\.json"):
        run_data(each, "updates", 0)


def test_the_share_of_copies_is_shown_at_every_threshold(run):
    rows = [
        f"{step:g},{threshold},{0.01 * place},,"
        for step in run.column("step")
        for place, threshold in enumerate((0.1, 0.5))
    ]
    header = "step,threshold,f_mem,quantile,ratio"
    (run.folder / "ratios.csv").write_text("\n".join([header, *rows, "0,,,0.5,0.9"]) + "\n")
    (each,) = compare([run], Rules()).groups[0].runs
    (panel,) = [panel for panel in run_data(each, "updates", 0)["panels"] if "threshold" in panel["title"]]
    assert [curve["name"] for curve in panel["curves"]] == ["ratio < 0.1", "ratio < 0.5"]
    assert panel["curves"][1]["y"] == [0.01] * len(run.table)


def test_copied_images_are_listed_by_their_copies_at_the_last_step(tmp_path):
    (tmp_path / "hits.csv").write_text("step,image,copies\n10,7,1\n20,7,2\n20,3,5\n10,4,1\n")
    assert copied_images(tmp_path, last=20) == [[3, 5, 20], [7, 2, 10], [4, 0, 10]]
