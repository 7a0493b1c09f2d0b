"""The order of times that are known."""

from diffmem.analysis.order import draw_order, precedence


def row(measure, rule, time, censored=False):
    return {"measure": measure, "rule": rule, "time": time, "censored": censored}


def test_an_order_counts_only_where_no_reading_turns_it_round(tmp_path):
    clear = [row("L_test", "its minimum", 10), row("L_test", "20% above its minimum", 20),
             row("f_mem", "1% and more", 50), row("f_mem", "5% and more", 90)]  # fmt: skip
    mixed = [*clear[:1], row("L_test", "20% above its minimum", 70), *clear[2:]]
    turned = [row("L_test", "its minimum", 100), *clear[2:]]
    not_yet = [*clear[:2], row("f_mem", "1% and more", 40, censored=True)]
    never = [row("L_test", "its minimum", 15, censored=True), row("f_mem", "1% and more", 15, censored=True)]
    unread = [*clear[:2], row("f_mem", "1% and more", None)]
    (found,) = precedence([clear, mixed, turned, not_yet, never, unread])
    assert found == {"first": "L_test", "second": "f_mem", "runs": 5, "before": 2, "after": 1, "depends": 2}
    assert draw_order([(64, clear), (128, not_yet), (64, unread)], tmp_path / "order.png").stat().st_size > 5000
