import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from diffmem.data import Patches
from diffmem.errors import ConfigError, DataError

PHOTOGRAPHS = load_sample_images().images


@pytest.mark.parametrize(("size", "count"), [(8, 8480), (16, 2080), (32, 520)])
def test_patches_are_the_photographs_cut_without_overlap(size, count):
    patches = Patches(size, rgb=True, n=2, num_test=8).load_images()
    assert patches.shape == (count, 3, size, size)
    columns = 640 // size
    for half, photograph in zip(np.split(patches, 2), PHOTOGRAPHS, strict=True):
        for place in (0, 1, columns, len(half) - 1):
            top, left = place // columns * size, place % columns * size
            expected = photograph[top : top + size, left : left + size]
            np.testing.assert_array_equal(half[place].transpose(1, 2, 0), expected)
        assert half.sum(dtype=np.int64) == photograph[: 427 // size * size].sum(dtype=np.int64)


def test_grey_is_pillows_luma():
    patches = Patches(8, n=2, num_test=8).load_images()
    for half, photograph in zip(np.split(patches, 2), PHOTOGRAPHS, strict=True):
        luma = np.asarray(Image.fromarray(photograph).convert("L"), dtype=int)
        whole = half.reshape(53, 80, 8, 8).transpose(0, 2, 1, 3).reshape(424, 640)
        assert abs(whole - luma[:424]).max() <= 1


def test_a_subset_is_disjoint_from_the_test_set_and_other_subsets():
    subsets = [Patches(8, n=64, index=index, num_test=512) for index in (0, 1)]
    for each in subsets:
        each.setup()
        assert each.train_images.shape == (64, 1, 8, 8) and each.test_images.shape == (512, 1, 8, 8)
    order = subsets[0]._order()
    assert sorted(order) == list(range(8480))
    positions = [order[each.train_positions.start : each.train_positions.stop] for each in subsets] + [order[-512:]]
    assert len(np.unique(np.concatenate(positions))) == 64 + 64 + 512


def test_impossible_patches_are_refused():
    with pytest.raises(ConfigError, match=r"data\.size: got 0"):
        Patches(0)
    with pytest.raises(DataError, match="at least 2 beside"):
        Patches(200, n=2, num_test=512).setup()
