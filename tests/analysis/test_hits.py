"""When images are first copied, and what goes with it, where both are known."""

import math

import numpy as np
import pytest

from diffmem.analysis import style
from diffmem.analysis.hits import copies_by_image, draw_hits, first_copied, paired, rank_correlation

ROWS = [("10", "3", "1"), ("20", "0", "2"), ("20", "3", "5"), ("40", "1", "1")]


def test_the_first_step_of_each_image_and_infinity_for_the_others():
    rows = [dict(zip(("step", "image", "copies"), row, strict=True)) for row in ROWS]
    assert first_copied(5, rows).tolist() == [20, 40, math.inf, 10, math.inf]
    assert first_copied(5, rows[::-1]).tolist() == [20, 40, math.inf, 10, math.inf]
    assert first_copied(2, []).tolist() == [math.inf] * 2


def test_copies_of_an_image_are_those_of_all_steps():
    rows = [dict(zip(("step", "image", "copies"), row, strict=True)) for row in ROWS]
    assert copies_by_image(5, rows).tolist() == [2, 1, 0, 6, 0]


def test_pairs_and_their_sign_test():
    found = paired([1, 2, 3, math.inf, 5, 4], [2, 3, math.inf, math.inf, 4, 9])
    assert (found.smaller, found.larger, found.ties) == (4, 1, 1)
    assert found.p_value == pytest.approx(2 * (5 + 1) / 2**5), "at least 4 of 5 heads, or tails"
    assert str(paired([1] * 8, [2] * 8)) == "8 of 8, the other way 0, alike 0 (p = 0.0078)"
    assert paired([1], [1]).p_value == 1


def test_a_property_that_decides_the_order_has_rank_correlation_one():
    values = np.arange(12.0)
    first = np.where(values < 9, 10 * 2**values, np.inf)
    found = rank_correlation(values, first)
    assert found.value > 0.98, "three are never copied, and tie"
    assert found.low > 0.9
    assert rank_correlation(-values, first).value == -found.value
    unrelated = rank_correlation(np.random.default_rng(0).random(12), first)
    assert unrelated.low < 0 < unrelated.high
    assert math.isnan(rank_correlation(np.ones(12), first).value)


def test_the_figure_has_what_is_known_of_the_images(tmp_path):
    first = np.array([10.0, 20, np.inf, 40, 80, np.inf])
    spacing, labels, once = np.arange(6) + 1.0, np.array([0, 0, 1, 1, 2, 2]), np.ones(6)
    small = draw_hits({"rule": first}, spacing, None, once, tmp_path / "a.png")
    twice = np.array([4.0, 4, 1, 1, 1, 1])
    large = draw_hits({"rule": first, "none": first + np.inf}, spacing, labels, twice, tmp_path / "b.png")
    assert large.stat().st_size > small.stat().st_size > 5000


def test_panels_of_neighbours_show_the_images_that_come_alone_and_never_is_beyond_the_last(monkeypatch):
    monkeypatch.setattr(style, "save", lambda figure, path: figure)
    first, spacing = np.array([10.0, 20, np.inf, 40]), np.array([1.0, 2, 3, 4])
    alone = np.array([True, False, True, True])
    figure = draw_hits({"rule": first}, spacing, None, np.array([1, 4, 1, 1]), "a.png", alone)
    neighbours, times = figure.axes
    assert neighbours.lines[0].get_xdata().tolist() == [1, 3, 4]
    assert neighbours.lines[0].get_ydata().tolist() == [10, 80, 40], "twice the last first copy"
    shown = {tuple(line.get_ydata()) for line in times.lines if line.get_marker() == "."}
    assert shown == {(10, 40, 80), (20,)}
