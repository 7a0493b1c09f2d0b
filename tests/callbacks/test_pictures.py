"""Pixels and frames of the pictures."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hand_made import snapshot
from PIL import Image

from diffmem.callbacks import Pictures
from diffmem.errors import ConfigError
from diffmem.runs.samples import read_samples

TRAIN = torch.tensor([0.1, 0.5, 0.9])[:, None, None, None].expand(-1, 1, 24, 24) - 0.25
#: A near-copy of the third; one between the first two, nearer to the second; one beyond the range.
SAMPLES = torch.tensor([0.91, 0.32, 1.5])[:, None, None, None].expand(-1, 1, 24, 24) - 0.25
#: Each sample has another of them nearest, and no ratio is below 1/3 but that of the second.
HELD_OUT = torch.tensor([0.7, 0.33, 1.2])[:, None, None, None].expand(-1, 1, 24, 24) - 0.25
RED, WHITE = (214, 38, 41), (255, 255, 255)


@pytest.fixture
def picture(tmp_path):
    def draw(**arguments):
        Pictures(**arguments).measure(snapshot(SAMPLES, TRAIN, HELD_OUT, tmp_path, mean=0.25))
        return np.array(Image.open(tmp_path / "samples/step-00000005.png"))

    return draw


def tile(picture, number):
    """Tile ``number`` with its frame: a pair of images of 48 pixels, frames of 3, gaps of 6."""
    left = 6 + number * (96 + 6 + 6)
    return picture[6 : 6 + 54, left : left + 102]


def test_a_sample_is_left_of_its_nearest_training_image(picture):
    drawn = picture()
    for number, (sample, nearest) in enumerate([(0.91, 0.9), (0.32, 0.5), (1.0, 0.9)]):
        inside = tile(drawn, number)[3:-3, 3:-3]
        assert np.allclose(inside[:, :48], 255 * sample, atol=1)
        assert np.allclose(inside[:, 48:], 255 * nearest, atol=1)


@pytest.mark.parametrize(("threshold", "frames"), [(1 / 3, (RED, WHITE, WHITE)), (0.9, (RED, RED, RED))])
def test_frames_mark_what_is_memorized(picture, threshold, frames):
    """The ratios are 0.01/0.41, 0.18/0.22 and 0.6/1.0."""
    drawn = picture(threshold=threshold)
    for number, color in enumerate(frames):
        frame = tile(drawn, number).copy()
        frame[3:-3, 3:-3] = frame[0, 0]
        assert (frame == color).all()


def test_no_more_pairs_than_asked_and_none_for_none(picture, tmp_path):
    assert picture(num_samples=2).shape[1] == 2 * 108 + 6
    for path in tmp_path.glob("samples/*"):
        path.unlink()
    Pictures(num_samples=None).measure(snapshot(SAMPLES, TRAIN, TRAIN, tmp_path))
    assert not list(tmp_path.glob("samples/*"))


@pytest.mark.parametrize("shape", [(2, 8, 8), (4, 8, 8), (6,)])
def test_what_no_picture_shows_is_refused(shape):
    data = SimpleNamespace(unit_images=lambda positions: torch.zeros(len(positions), *shape))
    with pytest.raises(ConfigError, match=r"pictures\.num_samples: got 32 pictures of data of shape"):
        Pictures().check(data, 10, None)
    Pictures(num_samples=None).check(data, 10, None)
    Pictures().check(data, 0, None)


def test_the_page_gets_the_samples_with_their_neighbours_and_those_images(picture, tmp_path):
    picture(num_samples=2)
    ((step, kept),) = read_samples(tmp_path)
    assert step == 5
    assert kept.images.shape == (2, 24, 24, 1)
    assert (kept.images[0] == round(255 * 0.91)).all() and (kept.images[1] == round(255 * 0.32)).all()
    assert kept.nearest.tolist() == [[2, 1], [1, 0], [2, 1]]
    np.testing.assert_allclose(kept.distances, 24 * np.array([[0.01, 0.41], [0.18, 0.22], [0.6, 1.0]]), rtol=1e-5)
    null = 24 * np.array([[0.21, 0.29], [0.01, 0.38], [0.3, 0.8]])
    np.testing.assert_allclose(kept.null_distances, null, rtol=1e-5)
    assert kept.train_rows.tolist() == [1, 2]
    assert [image.max() for image in kept.train_images] == [round(255 * 0.5), round(255 * 0.9)]
