"""Which images are said to be copied."""

import pytest
from hand_made import snapshot

from diffmem.callbacks import Hits
from diffmem.files import read_table

TRAIN, HELD_OUT = [[0.0], [10.0], [20.0], [30.0]], [[0.0], [1.0]]
SAMPLES = [[0.1], [10.0], [9.9], [15.0], [30.0], [10.2]]


def test_columns_and_table_by_hand(tmp_path):
    columns = Hits().measure(snapshot(SAMPLES, TRAIN, HELD_OUT, tmp_path))
    rows = [(row["step"], row["image"], row["copies"]) for row in read_table(tmp_path / "hits.csv")]
    assert rows == [("5", "0", "1"), ("5", "1", "3"), ("5", "3", "1")]
    assert columns == {
        "images_copied": 3,
        "images_copied_chao": pytest.approx(3 + 4 / 5 * 2 * 1 / 2),
        "copies_top_tenth": pytest.approx(3 / 5),
    }


def test_no_copies(tmp_path):
    columns = Hits().measure(snapshot([[5.0]], TRAIN, HELD_OUT, tmp_path))
    assert columns == {"images_copied": 0, "images_copied_chao": 0, "copies_top_tenth": None}
    assert not (tmp_path / "hits.csv").exists()


def test_all_copies_of_all_images_alike(tmp_path):
    columns = Hits().measure(snapshot(TRAIN * 3, TRAIN, HELD_OUT, tmp_path))
    assert columns == {"images_copied": 4, "images_copied_chao": 4, "copies_top_tenth": 0.25}
    assert Hits(threshold=0.001).measure(snapshot(SAMPLES, TRAIN, HELD_OUT, tmp_path))["images_copied"] == 2
