"""What each column of memorization means, on points of a line."""

import numpy as np
import pytest
import torch
from hand_made import snapshot

from diffmem.callbacks import Memorization
from diffmem.metrics.memorization import wilson_interval
from diffmem.metrics.ratios import ratio_of_means

TRAIN = [[0.0], [10.0], [10.0], [40.0]]
HELD_OUT = [[-20.0], [20.0], [70.0], [100.0], [5.5]]
#: At 1/9 of the way to 10; a copy of the doubled image; half-way; near the fourth; near the held-out image 20.
SAMPLES = [[1.0], [10.0], [5.0], [38.0], [20.5]]


def distances(points, images):
    return np.sort(np.abs(np.array(points) - np.array(images)[:, 0]), axis=1)


def share(points, images, threshold):
    found = distances(points, images)
    return np.mean([a == b == 0 or a / b < threshold for a, b in found[:, :2]])


@pytest.mark.parametrize("threshold", [0.05, 1 / 3, 0.9])
def test_columns_are_what_a_few_lines_of_numpy_say(threshold):
    columns = Memorization(threshold).measure(snapshot(SAMPLES, TRAIN, HELD_OUT))
    f_mem = share(SAMPLES, TRAIN, threshold)
    nearest = [torch.tensor(distances(SAMPLES, images)[:, 0]) for images in (HELD_OUT, TRAIN)]
    interval = ratio_of_means(*nearest)
    assert columns == {
        "f_mem": pytest.approx(f_mem),
        "f_mem_low": pytest.approx(wilson_interval(f_mem, 5)[0]),
        "f_mem_high": pytest.approx(wilson_interval(f_mem, 5)[1]),
        "f_mem_null": pytest.approx(share(SAMPLES, HELD_OUT[:4], threshold)),
        "nn_train": pytest.approx(distances(SAMPLES, TRAIN)[:, 0].mean()),
        "nn_heldout": pytest.approx(distances(SAMPLES, HELD_OUT)[:, 0].mean()),
        "nn_ratio": pytest.approx(distances(SAMPLES, HELD_OUT)[:, 0].mean() / distances(SAMPLES, TRAIN)[:, 0].mean()),
        "nn_ratio_low": pytest.approx(columns["nn_ratio"] ** 2 / columns["nn_ratio_high"]),
        "nn_ratio_high": pytest.approx(interval[2]),
        "train_duplicates": 1,
        "threshold": threshold,
    }


def test_the_case_tells_the_columns_apart():
    """Values by hand: 1, 10 and 38 are copies; of the first four held-out images 20.5 alone is near one."""
    columns = Memorization().measure(snapshot(SAMPLES, TRAIN, HELD_OUT))
    assert columns["f_mem"] == pytest.approx(3 / 5)
    assert columns["f_mem_null"] == pytest.approx(1 / 5)
    assert columns["nn_train"] == pytest.approx((1 + 0 + 5 + 2 + 10.5) / 5)
    assert columns["nn_heldout"] == pytest.approx((4.5 + 4.5 + 0.5 + 18 + 0.5) / 5)


def test_the_null_needs_as_many_held_out_images():
    assert Memorization().measure(snapshot(SAMPLES, TRAIN, HELD_OUT[:3]))["f_mem_null"] is None
    equal = Memorization().measure(snapshot(SAMPLES, TRAIN, HELD_OUT[:4]))
    assert equal["f_mem_null"] == pytest.approx(1 / 5)


def test_copies_alone_have_no_ratio_of_distances():
    assert Memorization().measure(snapshot(TRAIN, TRAIN, HELD_OUT))["nn_ratio"] is None
