"""Samples as the page shows them, against what was kept."""

import base64
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from diffmem.analysis.pages.pictures import COLUMNS, Album, allot
from diffmem.errors import DataError
from diffmem.runs.samples import KeptSamples, ratios, read_samples


def write(folder, step, distances, nearest, side=4):
    """As many samples as there are distances, sample i all of grey 10 i; training image r of grey 5 r."""
    distances, nearest = np.float32(distances), np.int32(nearest)
    count = len(distances)
    images = np.broadcast_to(10 * np.arange(count).reshape(-1, 1, 1, 1), (count, side, side, 1)).astype(np.uint8)
    members = np.unique(nearest[:, 0])
    train = np.broadcast_to(5 * members.reshape(-1, 1, 1, 1), (len(members), side, side, 1)).astype(np.uint8)
    kept = KeptSamples(images, nearest, distances, distances[:0], members, train)
    kept.write(folder, step)
    return kept


def decoded(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def test_what_is_kept_is_what_is_read(tmp_path):
    wrote = write(tmp_path, 7, [[1, 2], [3, 4]], [[0, 1], [1, 0]])
    ((step, read),) = read_samples(tmp_path)
    assert step == 7
    for name, value in vars(wrote).items():
        np.testing.assert_array_equal(value, getattr(read, name))


def test_ratios_of_coinciding_neighbours_count_as_copies():
    np.testing.assert_array_equal(ratios(np.float32([[1, 4], [0, 0], [0, 3], [2, 2]])), [0.25, 0, 0, 1])


def test_copies_are_counted_and_the_first_step_of_each_image_is_found(tmp_path):
    write(tmp_path, 10, [[3, 4], [1, 10], [1, 10]], [[5, 0], [2, 0], [2, 0]])
    write(tmp_path, 20, [[1, 10], [1, 10], [9, 10]], [[5, 0], [2, 0], [8, 0]])
    shown = Album(tmp_path, 1 / 3).within(10**6)
    early, late = shown["steps"]
    assert early["hits"] == [[2, 2]] and early["num_copies"] == 2 and early["num_copied"] == 1
    assert sorted(late["hits"]) == [[2, 1], [5, 1]]
    assert shown["first"] == {"2": 10, "5": 20}
    np.testing.assert_allclose(early["ratio"], [0.75, 0.1, 0.1])
    assert early["distance"] == [3, 1, 1] and early["nearest"] == [5, 2, 2]
    assert early["null"] is None, "no held-out images were kept"
    assert sum(early["share"]) == pytest.approx(1, abs=1e-4)
    assert early["share"][int(0.75 * len(early["share"]))] == pytest.approx(1 / 3, abs=1e-4)


def test_all_samples_are_counted_and_copied_images_shown_where_few_are_pictures(tmp_path):
    kept = write(tmp_path, 10, [[1, 2], [1, 10], [1, 10]], [[4, 0], [2, 0], [7, 0]])
    null = np.float32([[1, 2], [1, 2]])
    KeptSamples(kept.images[:1], kept.nearest, kept.distances, null, kept.train_rows, kept.train_images).write(
        tmp_path, 10
    )
    shown = Album(tmp_path, 1 / 3).within(10**6)
    (step,) = shown["steps"]
    assert (step["num_samples"], step["num_copies"], len(step["ratio"])) == (3, 2, 1)
    assert sum(step["null"]) == 1 and step["null"][len(step["null"]) // 2] == 1, "held-out images: all at 1/2"
    assert {*shown["places"]} == {"4", "2", "7"} and shown["num_places"] == 3


def test_a_ratio_at_the_threshold_is_no_copy(tmp_path):
    write(tmp_path, 10, [[1, 4], [0.99, 4], [0, 0]], [[0, 1], [1, 0], [2, 0]])
    (step,) = Album(tmp_path, 0.25).within(10**6)["steps"]
    assert step["copies"] == [1, 2] and step["num_copies"] == 2


def test_each_picture_is_at_its_place_on_the_sheet(tmp_path):
    count = COLUMNS + 3
    write(tmp_path, 10, [[1, 2]] * count, [[2 * i, 0] for i in range(count)])
    shown = Album(tmp_path, 1 / 3).within(10**6)
    samples, train = decoded(shown["steps"][0]["sheet"]), decoded(shown["training"])
    for i in (0, 1, COLUMNS, count - 1):
        row, column = divmod(i, COLUMNS)
        assert (samples[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] == 10 * i % 256).all()
        row, column = divmod(shown["places"][str(2 * i)], COLUMNS)
        assert (train[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] == 10 * i % 256).all()


def test_large_pictures_are_made_smaller_and_steps_left_out_to_fit(tmp_path):
    rng = np.random.default_rng(0)
    for step in range(9):
        kept = write(tmp_path, step, [[1, 2]] * 4, [[step, 50]] * 4, side=100)
        noisy = rng.integers(0, 256, kept.images.shape, dtype=np.uint8)
        KeptSamples(noisy, *list(vars(kept).values())[1:]).write(tmp_path, step)
    album = Album(tmp_path, 1 / 3)
    whole = album.within(album.size)
    assert whole["tile"] == [64, 64] and whole["left_out"] == 0 and whole["num_places"] == 9
    write(tmp_path, 9, [[1, 2]], [[9, 50]])
    assert [step["step"] for step in Album(tmp_path, 1 / 3).within(album.size // 2)["steps"] if step["sheet"]][-1] == 9
    some = album.within(album.size // 2)
    assert [step["step"] for step in some["steps"] if step["sheet"]] == [0, 4, 8]
    assert some["left_out"] == 6
    # training images that no step shows are left out too; what is counted stays
    assert {*some["places"]} == {"0", "4", "8"}
    assert [step["share"] for step in some["steps"]] == [step["share"] for step in whole["steps"]]


@pytest.mark.parametrize("share", [1, 0.7, 0.3, 0.1, 0.01])
def test_an_album_keeps_to_its_budget(tmp_path, share):
    for step in range(5):
        write(tmp_path, step, [[1, 2]] * 20, [[step * i, 50] for i in range(20)])
    album = Album(tmp_path, 1 / 3)
    shown = album.within(int(share * album.size))
    assert len(json.dumps(shown, separators=(",", ":"))) <= share * album.size or shown["steps"] == []


@given(st.lists(st.integers(0, 1000), max_size=8), st.integers(-10, 4000))
def test_what_is_allotted_is_shared_fairly(sizes, total):
    shares = allot(sizes, total)
    assert all(share <= size for share, size in zip(shares, sizes, strict=True))
    assert sum(shares) == min(sum(sizes), max(0, sum(shares))) <= max(0, total)
    short = [share for share, size in zip(shares, sizes, strict=True) if share < size]
    # none gets less than its need while another gets more than it by more than what division leaves
    assert not short or max(shares) - min(short) <= len(sizes)
    assert not short or total - sum(shares) < len(sizes) or total < 0


def test_a_run_without_samples_has_no_pictures(tmp_path):
    assert Album(tmp_path, 1 / 3).within(1) is None
    assert Album(None, 1 / 3).within(1) is None


def test_a_damaged_file_is_named(tmp_path):
    write(tmp_path, 7, [[1, 2]], [[0, 1]])
    path = tmp_path / "samples/step-00000007.npz"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"step-00000007\.npz"):
        Album(tmp_path, 1 / 3)
