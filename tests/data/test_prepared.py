import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffmem.data import MNIST, CelebA, PreparedImages
from diffmem.data.images import ImageData
from diffmem.errors import ConfigError, DataError


class Numbered(ImageData):
    """A hundred images, each with a value of its own."""

    def load_images(self):
        return (np.arange(100, dtype=np.float32) / 100).reshape(100, 1, 1, 1)


subsets = st.fixed_dictionaries(
    {
        "n": st.integers(2, 60),
        "index": st.integers(0, 6),
        "num_test": st.integers(2, 40),
        "num_references": st.integers(0, 3),
        "reference_size": st.integers(2, 15),
        "permutation_seed": st.none() | st.integers(0, 3),
    }
)


@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("ignore:the training subset")
@given(subsets)
def test_training_test_and_reference_sets_are_disjoint_or_refused(arguments):
    data = Numbered(**arguments)
    largest = (100 - data.num_held_out) // (data.index + 1)
    if data.n > largest:
        with pytest.raises(ConfigError, match=f"at most {largest} "):
            data.setup()
        return
    data.setup()
    sets = [
        data.to_unit(data.train_images),
        data.to_unit(data.test_images),
        *(data.unit_images(data.reference_positions(number)) for number in range(data.num_references)),
    ]
    found = [set((images.flatten() * 100).round().int().tolist()) for images in sets]
    sizes = [data.n, data.num_test] + [data.reference_size] * data.num_references
    assert [len(each) for each in found] == sizes
    assert len(set.union(*found)) == sum(sizes)
    if data.permutation_seed is None:
        assert found[0] == set(range(data.index * data.n, (data.index + 1) * data.n))
        assert found[1] == set(range(100 - data.num_test, 100))


@settings(max_examples=30, deadline=None)
@given(subsets)
def test_the_largest_n_of_the_message_is_accepted(arguments):
    held_out = Numbered(**arguments).num_held_out
    largest = (100 - held_out) // (arguments["index"] + 1)
    if largest >= 2:
        Numbered(**{**arguments, "n": largest}).check()
    with pytest.raises(ConfigError, match=f"at most {largest} "):
        Numbered(**{**arguments, "n": max(largest + 1, 2)}).check()


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def write_prepared(path, array):
    np.save(path, array)
    record = {"shape": array.shape, "dtype": str(array.dtype), "recipe": [], "order": "natural", "versions": {}}
    path.with_suffix(".json").write_text(json.dumps({**record, "sha256": sha256(path)}))
    return str(path)


@pytest.fixture
def prepared(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (90, 3, 6, 6), dtype=np.uint8)
    return write_prepared(tmp_path / "images.npy", array), array


def test_celeba_takes_the_files_in_their_order(prepared):
    path, array = prepared
    data = CelebA(path, n=10, index=1, num_test=20, reference_size=8)
    data.setup()
    images = torch.from_numpy(array).float() / 255
    torch.testing.assert_close(data.to_unit(data.train_images), images[10:20])
    torch.testing.assert_close(data.to_unit(data.test_images), images[70:])
    assert data.num_references == 5
    assert torch.equal(data.unit_images(data.reference_positions(0)), images[30:38])
    assert torch.equal(data.unit_images(data.reference_positions(4)), images[62:70])
    assert isinstance(data._pool, np.memmap)


def test_celeba_leaves_as_many_images_as_its_description_says():
    data = CelebA("celeba.npy")
    assert 202_599 - data.num_held_out == 150_551


def test_other_images_are_shuffled_by_their_own_seed(prepared):
    path, array = prepared
    data = PreparedImages(path, n=60, num_test=20)
    data.setup()
    images = data.to_unit(data.train_images).mul(255).round().byte().numpy()
    places = [int(np.flatnonzero((array == image).all((1, 2, 3)))[0]) for image in images]
    assert places != sorted(places)
    assert len(set(places)) == 60


def test_mnist_leaves_what_its_description_says():
    with pytest.raises(ConfigError, match="at most 2176 "):
        MNIST(n=2177).check()
    data = MNIST(n=200)
    data.setup()
    assert data.train_images.shape == (200, 1, 32, 32)
    assert data.fingerprint()["num_images"] == 5000


def test_a_missing_array_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no file .*prepare_celeba"):
        CelebA(str(tmp_path / "none.npy")).check()


def test_a_changed_array_is_refused(prepared):
    path, array = prepared
    changed = array.copy()
    changed[3, 0, 0, 0] ^= 1
    np.save(path, changed)
    with pytest.raises(DataError, match="SHA-256"):
        PreparedImages(path, n=4, num_test=20).check()


def test_the_fingerprint_is_that_of_the_file(prepared):
    path, _ = prepared
    fingerprint = PreparedImages(path, n=4, num_test=20).fingerprint()
    assert fingerprint["sha256"] == sha256(path)
    assert fingerprint["num_images"] == 90
