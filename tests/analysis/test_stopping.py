"""The stopping rule as an object, against the window of the same rows."""

import pytest

from diffmem.analysis.stopping import StoppingRule
from diffmem.analysis.window import generalization_window
from diffmem.errors import ConfigError, DataError


def test_the_best_weights_are_kept_and_copying_stops():
    rule = StoppingRule()
    quality = {100: 50.0, 200: 4.0, 300: 2.0, 400: 2.2}
    decisions = [rule.update(step, f_mem_low=0.0, frechet_pixels=value) for step, value in quality.items()]
    assert decisions == ["keep", "keep", "keep", "go on"]
    assert rule.update(500, f_mem_low=0.01, frechet_pixels=2.1) == "stop"
    assert rule.window.best == 300 and rule.window.onset == 500


def test_the_window_is_that_of_the_rows():
    rows = [
        {"step": step, "loss_train": 1 - step / 100, "loss_test": 1 - step / 100 if step < 40 else step / 40}
        for step in range(0, 80, 10)
    ]
    rule = StoppingRule("loss_split", level=0.2)
    for row in rows:
        rule.update(**row)
    assert rule.window == generalization_window(rows, "loss_split", 0.2)
    assert rule.window.onset is not None


def test_what_the_rule_cannot_read_is_refused():
    with pytest.raises(DataError, match="f_mem_low"):
        StoppingRule().update(10, loss_test=1.0)
    with pytest.raises(ConfigError):
        StoppingRule("f_men")
    with pytest.raises(ConfigError, match="quality_level: got -1"):
        StoppingRule(quality_level=-1)


def test_a_step_that_is_refused_leaves_the_rule_as_it_was():
    rule = StoppingRule()
    assert rule.update(10, f_mem_low=0.0, fid=3.0) == "keep"
    for step, measured, reason in (
        (10, {"f_mem_low": 0.0, "fid": 2.0}, "step: got 10, expected above 10"),
        (20, {"f_mem_low": 0.0}, "step 20: got f_mem_low, expected f_mem_low, fid, as before"),
        (20, {"f_mem_low": float("nan"), "fid": 2.0}, "f_mem_low nan"),
    ):
        with pytest.raises((ConfigError, DataError), match=reason):
            rule.update(step, **measured)
    assert rule.update(20, f_mem_low=0.0, fid=2.0) == "keep"
