import numpy as np
import pytest
import torch
from small_run import ROOT

from diffmem.callbacks.provenance import check_same_images, update_record
from diffmem.data import Digits, GaussianDigits
from diffmem.data.images import ImageData
from diffmem.data.shift import mean_distance
from diffmem.errors import ConfigError, DataError


def ready(**arguments):
    data = Digits(**arguments)
    data.setup()
    return data


def rows_of(images):
    return {row.numpy().tobytes() for row in images}


def test_subsets_are_disjoint_from_each_other_and_from_the_test_set():
    pool = torch.from_numpy(Digits().load_images())
    first, second = ready(n=200, index=0), ready(n=200, index=1)
    sets = [
        rows_of((first.train_images + first.mean).mul(16).round()),
        rows_of((second.train_images + second.mean).mul(16).round()),
        rows_of((first.test_images + first.mean).mul(16).round()),
    ]
    assert [len(each) for each in sets] == [200, 200, 512]
    assert len(set.union(*sets)) == 912
    assert set.union(*sets) <= rows_of(pool.mul(16).round())


def test_subsets_of_growing_size_are_nested():
    small, large = ready(n=32), ready(n=128)
    assert torch.allclose(small.train_images + small.mean, large.train_images[:32] + large.mean, atol=1e-6)


def test_only_the_training_mean_is_subtracted():
    data = ready(n=64)
    assert data.train_images.mean(0).abs().max() < 1e-6
    assert data.to_unit(data.train_images).min() >= -1e-6
    assert data.to_unit(data.train_images).max() <= 1 + 1e-6
    assert data.test_images.mean(0).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"batch_size": 512}, 64),
        ({"batch_size": 16}, 16),
        ({"batch_mode": "full", "batch_size": 16}, 64),
        ({"batch_mode": "fixed", "batch_size": 100}, 100),
    ],
)
def test_batch_modes(arguments, expected):
    assert Digits(n=64, **arguments).batch_size == expected


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"n": 1}, r"data\.n"),
        ({"index": -1}, r"data\.index"),
        ({"batch_size": 0}, r"data\.batch_size"),
        ({"num_test": 1}, r"data\.num_test"),
        ({"n": 1286}, r"data\.n"),
        ({"n": 700, "index": 1}, "at most 642"),
        ({"n": 2, "index": 1000}, r"held out; lower --data\.index$"),
        ({"pixel_scale": float("inf")}, r"data\.pixel_scale"),
    ],
)
def test_impossible_subsets_are_refused(arguments, key):
    with pytest.raises(ConfigError, match=key):
        Digits(**arguments).check()


@pytest.mark.parametrize("pixel_scale", [1.0, 2.0, 0.5])
def test_images_of_the_model_go_back_to_those_of_the_source(pixel_scale):
    data = Digits(n=10, num_test=5, pixel_scale=pixel_scale)
    data.setup()
    assert data.train_images.mean(0).abs().max() < 1e-6
    torch.testing.assert_close(data.train_images + data.mean, pixel_scale * data.unit_images(data.train_positions))
    torch.testing.assert_close(data.to_unit(data.train_images), data.unit_images(data.train_positions))
    test_positions = range(len(data._pool) - 5, len(data._pool))
    torch.testing.assert_close(data.to_unit(data.test_images), data.unit_images(test_positions))


def test_the_largest_subset_that_fits_is_accepted():
    Digits(n=1285).check()


def test_a_batch_that_the_ranks_cannot_share_is_refused():
    with pytest.raises(ConfigError, match="multiple of 3"):
        Digits(n=64).check(world_size=3)


def test_too_small_a_pool_is_refused():
    class Few(ImageData):
        def load_images(self):
            return np.zeros((10, 1, 4, 4), np.uint8)

    with pytest.raises(DataError, match="10 images"):
        Few(n=2).check()


def test_bytes_are_scaled_to_the_unit_interval():
    class Bytes(ImageData):
        def load_images(self):
            return np.arange(20 * 4, dtype=np.uint8).reshape(20, 1, 2, 2) * 3

    data = Bytes(n=4, num_test=8, permutation_seed=None)
    data.setup()
    expected = torch.arange(16).view(4, 1, 2, 2) * 3 / 255
    assert torch.allclose(data.to_unit(data.train_images), expected, atol=1e-6)


def of(array, **arguments):
    class Own(ImageData):
        def load_images(self):
            return array

    return Own(n=8, num_test=8, **arguments)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda x: x.astype(np.int64), "int64 of shape"),
        (lambda x: x.astype(bool), "bool of shape"),
        (lambda x: x[:, 0], r"shape \(40, 4, 4\)"),
        (lambda x: x[..., :0], r"shape \(40, 1, 4, 0\)"),
        (lambda x: x * 255, "values from 0"),
        (lambda x: x * 2 - 1, "values from -0.9"),
        (lambda x: np.where(x == x[-1, 0, 0, 0], np.nan, x), "values from nan"),
        (lambda x: np.where(x == x[0, 0, 0, 0], np.inf, x), "to inf"),
    ],
)
def test_own_images_that_are_none_are_refused_at_setup(change, what):
    array = np.random.default_rng(0).random((40, 1, 4, 4), np.float32)
    with pytest.raises(DataError, match=f"data: got .*{what}.*load_images of Own"):
        of(change(array), permutation_seed=None).setup()
    of(array).setup()


@pytest.mark.parametrize("kind", [torch.from_numpy, np.ndarray.tolist], ids=["tensor", "list"])
def test_tensors_and_lists_are_images_and_labels_too(kind):
    array, labels = np.random.default_rng(0).random((40, 1, 4, 4), np.float32), np.arange(40) % 3

    class Own(ImageData):
        def load_images(self):
            return kind(array)

        def load_labels(self):
            return kind(labels)

    data, expected = Own(n=8, num_test=8, labels="true"), of(array)
    data.setup()
    expected.setup()
    assert torch.equal(data.train_images, expected.train_images)
    assert torch.equal(data.train_labels, torch.from_numpy(labels[data._order()[:8]]))


def labelled(labels):
    class Own(ImageData):
        def load_images(self):
            return np.random.default_rng(0).random((40, 1, 4, 4), np.float32)

        def load_labels(self):
            return labels

    return Own(n=8, num_test=8, labels="true")


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        (np.arange(40) - 1, "the least -1"),
        (np.arange(39), r"shape \(39,\)"),
        (np.arange(40.0), "float64"),
        (np.array(["a"] * 40), "<U1"),
    ],
)
def test_labels_that_are_none_are_refused(labels, what):
    with pytest.raises(DataError, match=rf"data\.labels: got .*{what}.*load_labels of Own"):
        labelled(labels).check()


def test_a_run_goes_on_with_its_own_images_and_labels_alone(tmp_path):
    first, other = labelled(np.arange(40) % 3), labelled(np.arange(40) % 4)
    update_record(tmp_path, data=first.fingerprint())
    check_same_images(tmp_path, first)
    with pytest.raises(DataError, match=r"data: got labels of SHA-256 .* expected those the run in"):
        check_same_images(tmp_path, other)
    without = {key: value for key, value in first.fingerprint().items() if key != "labels_sha256"}
    update_record(tmp_path, data=without)
    check_same_images(tmp_path, other)
    update_record(tmp_path, data={**without, "sha256": "0" * 64})
    with pytest.raises(DataError, match=r"data: got images of SHA-256 .* began with, 000000000000…"):
        check_same_images(tmp_path, first)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
@pytest.mark.parametrize("make", [Digits, GaussianDigits])
def test_a_pixel_scale_is_a_number_above_0(make, scale):
    with pytest.raises(ConfigError, match=r"data\.pixel_scale"):
        make(n=8, pixel_scale=scale)


def classes():
    """Two classes of 100 noisy images, one after the other, as a folder of class folders comes."""
    generator = np.random.default_rng(1)
    kinds = generator.random((2, 1, 1, 4, 4)).repeat(100, 0).reshape(200, 1, 4, 4)
    return np.clip(kinds + 0.3 * generator.standard_normal(kinds.shape), 0, 1).astype(np.float32)


def test_a_training_set_of_another_kind_than_the_held_out_set_is_said():
    with pytest.warns(UserWarning, match=r"no random part .* times as far .*permutation_seed=0"):
        of(classes(), permutation_seed=None).setup()


@pytest.mark.filterwarnings("error")
def test_random_subsets_are_never_taken_for_another_kind():
    for seed in range(30):
        of(classes(), permutation_seed=seed).setup()
        Digits(n=2 + seed, permutation_seed=seed).setup()


def test_own_images_have_a_config_that_mixes_them():
    import yaml

    own, celeba = (yaml.safe_load((ROOT / f"configs/{name}/unet.yaml").read_text()) for name in ("images", "celeba"))
    assert own["data"]["init_args"]["permutation_seed"] is not None
    assert own["study"] != celeba["study"]
    assert "optimizer" in own, "one config is enough"


def test_the_distance_of_means_is_one_for_random_subsets_and_is_not_fooled_by_few_directions():
    generator = torch.Generator().manual_seed(0)
    for scales in (torch.ones(50), torch.tensor([10.0, *[0.1] * 49])):
        found = [
            mean_distance(*(torch.randn(num, 50, generator=generator) * scales for num in (30, 200)))
            for _ in range(200)
        ]
        assert np.mean([distance for distance, _ in found]) == pytest.approx(1, abs=0.25)
        assert all(distance < limit for distance, limit in found)
    assert mean_distance(torch.ones(4, 3), torch.ones(5, 3)) == (1.0, float("inf"))


def test_the_images_that_evaluations_read_stay_where_they_are_when_training_moves():
    data = ready(n=8)
    batch = data.transfer_batch_to_device((0, torch.tensor([3, 1])), torch.device("meta"), 0)
    assert batch.images.device.type == "meta"
    assert data.train_images.device.type == "cpu"
    batch = data.transfer_batch_to_device((0, torch.tensor([3])), torch.device("cpu"), 0)
    assert torch.equal(batch.images, data.train_images[[3]])


def test_held_out_sets_are_disjoint_from_each_other_and_from_every_subset():
    sets = [ready(n=100, num_test=200, test_index=index) for index in (0, 1, 2)]
    held_out = [rows_of((each.test_images + each.mean).mul(16).round()) for each in sets]
    assert [len(each) for each in held_out] == [200, 200, 200] and len(set.union(*held_out)) == 600
    for each in sets:
        available = 1797 - 200 * (each.test_index + 1)
        Digits(n=available, num_test=200, test_index=each.test_index).check()
        with pytest.raises(ConfigError, match="beside the"):
            Digits(n=available + 1, num_test=200, test_index=each.test_index).check()
    assert torch.equal(sets[0].train_images, sets[2].train_images)
    with pytest.raises(ConfigError, match=r"data\.test_index"):
        Digits(test_index=-1)
