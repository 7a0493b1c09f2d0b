"""The order of times that are known."""

import numpy as np
import pytest

from diffmem.analysis.order import draw_order, precedence, times


def row(measure, rule, time, censored=False):
    return {"measure": measure, "rule": rule, "time": time, "censored": censored}


def test_an_order_counts_only_where_no_reading_turns_it_round(tmp_path):
    clear = [row("L_test", "its minimum", 10), row("L_test", "20% above its minimum", 20),
             row("f_mem", "1% and more", 50), row("f_mem", "5% and more", 90)]  # fmt: skip
    mixed = [*clear[:1], row("L_test", "20% above its minimum", 70), *clear[2:]]
    turned = [row("L_test", "its minimum", 100), *clear[2:]]
    not_yet = [*clear[:2], row("f_mem", "1% and more", 40, censored=True)]
    never = [row("L_test", "its minimum", 15, censored=True), row("f_mem", "1% and more", 15, censored=True)]
    bound = [row("L_test", "its minimum", 5, censored=True), *clear[2:]]
    unread = [*clear[:2], row("f_mem", "1% and more", None)]
    tied = [row("L_test", "its minimum", 50), *clear[2:]]
    (found,) = precedence([clear, mixed, turned, not_yet, never, unread, tied, bound])
    assert found == {"first": "L_test", "second": "f_mem", "runs": 7, "before": 2, "after": 1, "depends": 4}
    assert draw_order([(64, clear), (128, not_yet), (64, unread)], tmp_path / "order.png").stat().st_size > 5000


def test_a_table_without_a_column_lacks_its_measures_alone():
    """f_mem is 1% at 20, or later; AuthPct falls below 40% at 40 and below 20% at 80."""
    steps = np.array([0.0, 10, 20, 40, 80, 160])
    table = {"step": steps, "f_mem": np.array([0, 0, 0.01, 0.3, 0.6, 0.8])}
    tests = {"step": steps, "authenticity": np.array([0.9, 0.8, 0.6, 0.4, 0.2, 0.1]), "num_samples": np.full(6, 1e3)}
    found = {(row["measure"], row["rule"]): row for row in times(table, tests)}
    assert [measure for measure, _ in found] == ["f_mem", "f_mem", "AuthPct", "AuthPct"], "in the order of time"
    assert found["f_mem", "1% and more"]["time"] == pytest.approx(20)
    assert found["AuthPct", "below 40%"]["time"] == pytest.approx(40)
    assert found["AuthPct", "below 20%"]["time"] == pytest.approx(80)
    (c_t, late) = times({"step": steps, "c_t": np.array([3, 1, 0, -1, -3, -4])})
    assert 40 < c_t["time"] < 80 and late["censored"] and late["time"] == 160


def test_the_ratio_is_no_sign_of_copies_where_held_out_images_are_fewer_than_training_images():
    steps = np.array([0.0, 10, 20, 40, 80])
    table = {"step": steps, "nn_ratio": np.array([1, 1, 1.2, 1.5, 2]), "n": np.full(5, 64.0)}
    assert [row["time"] is None for row in times({**table, "num_test": np.full(5, 64.0)})] == [False, False]
    refused = times({**table, "num_test": np.full(5, 63.0)})
    assert [row["time"] for row in refused] == [None, None]
    assert "63 held-out images for n = 64" in refused[0]["text"]
