"""Departures and heat maps of distances that are known."""

from diffmem.analysis.regions import departures, draw_regions

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


def test_what_is_exact_or_measured_once_can_be_drawn(tmp_path):
    exact = [{**row, "distance": 0.0} for row in rows("population", (40, 40, 40)) if row["step"] == 10]
    found = departures(exact)
    assert all(row["step"] is None and "not known" in row["text"] for row in found)
    assert draw_regions(exact, found, tmp_path / "regions.png").exists()
