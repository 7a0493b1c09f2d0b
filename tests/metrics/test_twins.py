import numpy as np
import pytest
import torch

from diffmem.errors import ConfigError
from diffmem.metrics.twins import twin_agreement
from diffmem.twins import _columns


def test_values_are_those_of_a_few_lines_of_numpy():
    generator = np.random.default_rng(0)
    a, b, train_a, train_b = (generator.normal(size=(num, 1, 2, 2)) for num in (6, 6, 9, 7))
    mean = generator.normal(size=(1, 2, 2))
    tensors = [torch.from_numpy(each) for each in (a, b, train_a, train_b, mean)]
    agreement, nearest = twin_agreement(tuple(tensors[:2]), tuple(tensors[2:4]), tensors[4])
    flat_mean = mean.reshape(4)

    def cosine(x, y):
        x, y = x - flat_mean, y - flat_mean
        return (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)

    a, b, train_a, train_b = (each.reshape(-1, 4) for each in (a, b, train_a, train_b))
    chosen = [np.linalg.norm(x[:, None] - train, axis=2).argmin(1) for x, train in ((a, train_a), (b, train_b))]
    assert [each.tolist() for each in nearest] == [each.tolist() for each in chosen]
    own = (cosine(a, train_a[chosen[0]]) + cosine(b, train_b[chosen[1]])) / 2
    near = (np.linalg.norm(a - train_a[chosen[0]], axis=1) + np.linalg.norm(b - train_b[chosen[1]], axis=1)) / 2
    expected = (cosine(a, b), np.linalg.norm(a - b, axis=1), own, near)
    for values, wanted in zip(agreement, expected, strict=True):
        assert values.numpy() == pytest.approx(wanted)


def test_twins_that_agree_and_twins_that_copy():
    generator = torch.Generator().manual_seed(0)
    train_a, train_b, same = (torch.randn(50, 30, generator=generator) for _ in range(3))
    mean = torch.zeros(30)
    agree, _ = twin_agreement((same, same.clone()), (train_a, train_b), mean)
    assert agree.correlation.tolist() == pytest.approx([1] * 50)
    assert (agree.distance == 0).all() and (agree.train_distance > 1).all()
    copy, (chosen, _) = twin_agreement((train_a, train_b), (train_a, train_b), mean)
    assert chosen.tolist() == list(range(50))
    assert (copy.train_distance == 0).all() and copy.train_correlation.tolist() == pytest.approx([1] * 50)
    assert copy.correlation.abs().mean() < 0.3


def test_half_of_the_twins_copy_and_duplicates_are_one_image():
    generator = torch.Generator().manual_seed(0)
    train_a, train_b, same = (torch.randn(50, 30, generator=generator) for _ in range(3))
    train_a[1] = train_a[0]
    a, b = (torch.cat([same[:25], train[:25]]) for train in (train_a, train_b))
    agreement, _ = twin_agreement((a, b), (train_a, train_b), torch.zeros(30))
    columns = _columns(agreement)
    assert columns["share_own"] == 0.5
    assert columns["distance"] == pytest.approx((train_a - train_b)[:25].double().norm(dim=1).sum().item() / 50)
    assert (agreement.train_distance[25:] == 0).all(), "a copy of a doubled image is as near as another copy"


def test_pairs_have_one_shape():
    with pytest.raises(ConfigError, match="one shape"):
        twin_agreement((torch.zeros(2, 3), torch.zeros(3, 3)), (torch.zeros(4, 3),) * 2, torch.zeros(3))
