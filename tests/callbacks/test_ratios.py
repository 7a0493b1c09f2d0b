"""What the table of ratios says of points on a line."""

import numpy as np
import pytest
from hand_made import snapshot

from diffmem.callbacks import Memorization, Ratios
from diffmem.errors import ConfigError
from diffmem.files import read_table

TRAIN, HELD_OUT = [[0.0], [10.0], [40.0]], [[-20.0], [20.0], [70.0], [5.0]]
SAMPLES = [[1.0], [10.0], [5.0], [38.0], [20.5]]
#: Distances to the nearest and the next training image, and among the first three held-out images, by hand.
RATIOS = np.array([1 / 9, 0 / 10, 5 / 5, 2 / 28, 10.5 / 19.5])
NULL = np.array([19 / 21, 10 / 30, 15 / 25, 18 / 32, 0.5 / 40.5])


def test_rows_are_the_shares_and_quantiles(tmp_path):
    Ratios(thresholds=[0.1, 0.35, 0.9]).measure(snapshot(SAMPLES, TRAIN, HELD_OUT, tmp_path))
    rows = read_table(tmp_path / "ratios.csv")
    shares, quantiles = rows[:3], rows[3:]
    assert {(row["step"], row["num_samples"]) for row in rows} == {("5", "5")}
    for row in shares:
        assert float(row["f_mem"]) == pytest.approx((float(row["threshold"]) > RATIOS).mean())
        assert float(row["f_mem_null"]) == pytest.approx((float(row["threshold"]) > NULL).mean())
    assert len(quantiles) == 7
    for row in quantiles:
        assert float(row["ratio"]) == pytest.approx(np.quantile(RATIOS, float(row["quantile"])))
        assert float(row["ratio_null"]) == pytest.approx(np.quantile(NULL, float(row["quantile"])))


def test_f_mem_at_the_runs_threshold_is_the_column(tmp_path):
    now = snapshot(SAMPLES, TRAIN, HELD_OUT, tmp_path)
    Ratios().measure(now)
    (row,) = [row for row in read_table(tmp_path / "ratios.csv") if row["threshold"] == str(1 / 3)]
    columns = Memorization().measure(now)
    assert (float(row["f_mem"]), float(row["f_mem_null"])) == (columns["f_mem"], columns["f_mem_null"])


def test_no_table_and_no_null_where_there_is_none(tmp_path):
    Ratios(thresholds=None).measure(snapshot(SAMPLES, TRAIN, HELD_OUT, tmp_path))
    assert not (tmp_path / "ratios.csv").exists()
    Ratios().measure(snapshot(SAMPLES, TRAIN, HELD_OUT[:2], tmp_path))
    assert {row["f_mem_null"] + row["ratio_null"] for row in read_table(tmp_path / "ratios.csv")} == {""}


@pytest.mark.parametrize("thresholds", [[], [0.5, 0.5], [0.5, 0.2], [1.0]])
def test_thresholds_increase_within_the_unit_interval(thresholds):
    with pytest.raises(ConfigError, match="threshold"):
        Ratios(thresholds=thresholds)
