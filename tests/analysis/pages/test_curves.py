"""The curves of a run as the page shows them, against its table and files."""

import numpy as np
import pytest
from synthetic_runs import evaluations, write_run

from diffmem.analysis.pages.curves import all_panels, panels, shares, tradeoff, training_loss
from diffmem.analysis.runs import read_runs


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
    run.table.loc[3, "loss_test"] = -1.0  # no number that a factor could bound
    loss = curves(run)["loss_test"][1]
    assert (loss["low"][3], loss["high"][3]) == pytest.approx((-1.2, -0.8))


def test_what_a_curve_is_measured_against_is_dashed(run):
    shown = curves(run)
    assert {name for name, (_, curve) in shown.items() if curve["dashed"]} == {
        "f_mem_null", "frechet_pixels_train", "loss_train", "nn_train"
    }  # fmt: skip


def test_every_panel_is_on_the_clock_that_was_asked_for(run):
    (run.folder / "ratios.csv").write_text("step,threshold,f_mem\n10,0.1,0.5\n")
    (run.folder / "metrics.csv").write_text("step,loss\n10,0.5\n")
    for clock, column in (("updates", "step"), ("epochs", "epochs")):
        shown = {panel["title"]: panel["x"] for panel in all_panels(run, clock)}
        assert ("Training loss" in shown) == (clock == "updates"), "metrics.csv has no other clock"
        shown.pop("Training loss", None)
        assert len(shown) > 4
        for x in shown.values():
            np.testing.assert_allclose(x, run.column(column), rtol=1e-5)


def test_a_long_training_loss_is_thinned_out_evenly(run):
    rows = [f"{step},{step / 1000}" for step in range(1, 1001)]
    (run.folder / "metrics.csv").write_text("\n".join(["step,loss", *rows]) + "\n")
    (panel,) = training_loss(run, "updates")
    assert panel["x"] == list(range(1, 1001, 3)), "at most 400"
    assert panel["curves"][0]["y"] == [step / 1000 for step in panel["x"]]


def test_an_axis_is_logarithmic_where_all_values_are_positive(run):
    assert curves(run)["frechet_pixels"][0]["log"]
    run.table.loc[3, "frechet_pixels"] = 0.0
    assert not curves(run)["frechet_pixels"][0]["log"]


def test_the_share_of_copies_is_shown_at_every_threshold(run):
    rows = [
        f"{step:g},{threshold},{0.01 * place},,"
        for step in run.column("step")
        for place, threshold in enumerate((0.1, 0.5))
    ]
    header = "step,threshold,f_mem,quantile,ratio"
    (run.folder / "ratios.csv").write_text("\n".join([header, *rows, "0,,,0.5,0.9"]) + "\n")
    (panel,) = shares(run, "updates")
    assert [curve["name"] for curve in panel["curves"]] == ["ratio < 0.1", "ratio < 0.5"]
    assert panel["curves"][1]["y"] == [0.01] * len(run.table)


def test_the_share_of_copies_is_shown_of_every_class(run):
    rows = [f"{step:g},{label},50,{0.1 * label}" for step in run.column("step") for label in range(3)]
    (run.folder / "per_class.csv").write_text("\n".join(["step,label,num_samples,f_mem", *rows]) + "\n")
    (panel,) = shares(run, "updates")
    assert [curve["name"] for curve in panel["curves"]] == ["class 0", "class 1", "class 2"]
    assert panel["curves"][2]["y"] == [0.2] * len(run.table)


def test_novelty_and_quality_have_a_value_for_each_step(run):
    run.table["authenticity"] = np.linspace(0.5, 0, len(run.table))
    run.table["precision"], run.table["kl"], run.table["calibrated_l2_copies"] = 0.25, 1.5, 0.125
    shown = tradeoff(run)
    assert shown["step"] == run.table["step"].tolist()
    quality = {measure["name"]: measure for measure in shown["quality"]}
    novelty = {measure["name"]: measure for measure in shown["novelty"]}
    lower = {name: measure["lower"] for name, measure in quality.items()}
    assert lower == {"frechet_pixels": True, "kl": True, "precision": False}
    assert [*novelty] == ["1 − f_mem", "1 − calibrated_l2_copies", "authenticity"]
    assert novelty["1 − calibrated_l2_copies"]["y"][0] == 0.875
    np.testing.assert_allclose(quality["frechet_pixels"]["y"], run.column("frechet_pixels"), rtol=1e-5)
    np.testing.assert_allclose(novelty["1 − f_mem"]["y"], 1 - run.column("f_mem"), rtol=1e-5)
    assert novelty["authenticity"]["y"][0] == 0.5 and novelty["authenticity"]["y"][-1] == 0
