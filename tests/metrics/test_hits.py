import numpy as np
import pytest
import torch

from diffmem.metrics.hits import CopiesOfImages, chao1, copies_of_images, share_of_top
from diffmem.metrics.memorization import nearest_neighbors

TRAIN = torch.tensor([[0.0], [10.0], [20.0], [30.0]])
SAMPLES = torch.tensor([[0.1], [10.0], [9.9], [15.0], [30.0], [10.2]])


def test_copies_are_counted_for_the_image_that_they_copy():
    neighbors = nearest_neighbors(SAMPLES, TRAIN)
    assert copies_of_images(*neighbors, 4).tolist() == [1, 3, 0, 1]
    assert copies_of_images(*neighbors, 4, threshold=0.001).tolist() == [0, 1, 0, 1]
    assert copies_of_images(*nearest_neighbors(torch.tensor([[15.0]]), TRAIN), 4).tolist() == [0, 0, 0, 0]


def test_the_metric_merges_like_one_update():
    metric = CopiesOfImages(4)
    for part in SAMPLES.split(4):
        metric.update(*nearest_neighbors(part, TRAIN))
    assert metric.compute().tolist() == [1, 3, 0, 1]


def test_concentration_of_known_counts():
    assert share_of_top(torch.tensor([0] * 9 + [7])) == 1
    assert share_of_top(torch.ones(20, dtype=torch.int64)) == pytest.approx(0.1)
    assert share_of_top(torch.tensor([4, 1, 1, 2]), share=0.5) == pytest.approx(6 / 8)
    assert share_of_top(torch.zeros(5, dtype=torch.int64)) is None


def test_chao_by_hand():
    assert chao1(torch.tensor([0, 0])) == 0
    assert chao1(torch.tensor([5, 3, 0])) == 2, "all that were seen were seen often"
    assert chao1(torch.tensor([1, 1, 1, 2])) == pytest.approx(4 + 4 / 5 * 3 * 2 / (2 * 2))


def test_chao_finds_the_images_that_few_samples_leave_out():
    """100 images copied alike: 120 copies show about 70 of them."""
    draws = [np.bincount(np.random.default_rng(seed).integers(0, 100, 120), minlength=300) for seed in range(200)]
    seen = np.mean([np.count_nonzero(each) for each in draws])
    assert seen == pytest.approx(100 * (1 - 0.99**120), abs=1)
    assert np.mean([chao1(torch.from_numpy(each)) for each in draws]) == pytest.approx(100, abs=3)
