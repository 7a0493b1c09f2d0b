"""Departures and heat maps of distances that are known."""

import pytest

from diffmem.analysis.regions import departures, draw_regions, stand_in

STEPS, TIMES = (10, 20, 40, 80, 160, 320), (0.01, 0.1, 1.0)


def rows(reference, rises_at):
    """Distances that fall to 1 and double at a step of each time's own."""
    found = []
    for place in ("train", "heldout", "trajectory"):
        for t, rise in zip(TIMES, rises_at, strict=True):
            for step in STEPS:
                distance = 2.0 if step >= rise or step == 10 else 1.0
                found.append({"step": step, "t": t, "place": place, "reference": reference, "distance": distance})
    return found


def test_each_time_has_its_departure_from_the_population_or_the_twin(tmp_path):
    table = rows("empirical", (40, 40, 40)) + rows("twin", (80, 160, 999))
    found = departures(table)
    assert {row["reference"] for row in found} == {"twin"}
    assert len(found) == 9
    first, second, third = (row for row in found if row["place"] == "heldout")
    assert 40 < first["step"] < 80 < second["step"] < 160
    assert third["step"] is None
    assert third["text"] == "> 320"
    path = draw_regions(table, found, tmp_path / "regions.png")
    assert path.stat().st_size > 10_000


def test_a_twin_stands_in_for_the_population_where_the_variance_moves():
    """The population is at bias² + variance, a twin at twice the variance; the bias falls while the variance rises."""
    table = rows("empirical", (40, 40, 40))
    bias = {0.01: (9, 4, 1, 0, 0, 0), 0.1: (900, 600, 400, 200, 100, 64), 1.0: (0,) * 6}
    for t, squares in bias.items():
        for step, square in zip(STEPS, squares, strict=True):
            variance = step / 10
            for reference, distance in (("twin", 2 * variance), ("population", square + variance)):
                cell = {"step": step, "t": t, "reference": reference, "distance": distance}
                table += [{**cell, "place": "train"}, {**cell, "place": "trajectory"}]
    found = {(row["place"], row["t"]): row for row in stand_in(table)}
    assert {place for place, _ in found} == {"train", "trajectory"}
    assert len(found) == 6
    alone, hidden, mixed = found["train", 1.0], found["train", 0.1], found["train", 0.01]
    assert (alone["rank_correlation"], alone["share_first"], alone["share_last"]) == pytest.approx((1, 1, 1))
    assert hidden["rank_correlation"] == pytest.approx(-1)
    assert (hidden["share_first"], hidden["share_last"]) == pytest.approx((1 / 901, 32 / 96))
    assert -1 < mixed["rank_correlation"] < 1
    assert (mixed["share_first"], mixed["share_last"]) == pytest.approx((0.1, 1))
    assert stand_in(rows("twin", (80, 160, 999))) == []


def test_what_is_exact_or_measured_once_can_be_drawn(tmp_path):
    exact = [{**row, "distance": 0.0} for row in rows("population", (40, 40, 40)) if row["step"] == 10]
    found = departures(exact)
    assert all(row["step"] is None and "not known" in row["text"] for row in found)
    assert draw_regions(exact, found, tmp_path / "regions.png").exists()
