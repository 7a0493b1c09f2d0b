"""Columns of the tests of copying for samples that are all copies, none, or half."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hand_made import HandMade, snapshot

from diffmem.callbacks import Copying
from diffmem.errors import ConfigError

ALL = ["c_t", "authenticity", "calibrated_l2"]
GENERATOR = np.random.default_rng(0)
TRAIN, HELD_OUT, FRESH = (GENERATOR.normal(size=(60, 1, 2, 2)) for _ in range(3))


@pytest.mark.parametrize(("share", "authentic"), [(1.0, 0), (0.5, 0.2), (0.0, 0.4)])
def test_what_is_copied_is_seen_by_all(share, authentic):
    copied = round(60 * share)
    samples = np.concatenate([TRAIN[:copied] + 1e-3, FRESH[copied:]])
    columns = Copying(ALL, num_cells=2, num_neighbors=10).measure(snapshot(samples, TRAIN, HELD_OUT))
    spacings, nearest = (
        np.sort(np.linalg.norm((a[:, None] - TRAIN[None]).reshape(60, 60, 4), axis=2), axis=1) for a in (TRAIN, samples)
    )
    indices = np.linalg.norm((samples[:, None] - TRAIN[None]).reshape(60, 60, 4), axis=2).argmin(1)
    assert columns["authenticity"] == pytest.approx((nearest[:, 0] > spacings[indices, 1]).mean())
    assert columns["authenticity"] == pytest.approx(authentic, abs=0.15)
    to_train = np.linalg.norm((HELD_OUT[:, None] - TRAIN[None]).reshape(60, 60, 4), axis=2)
    expected = (to_train.min(1) > spacings[to_train.argmin(1), 1]).mean()
    assert columns["authenticity_heldout"] == pytest.approx(expected)
    assert columns["authenticity_low"] <= columns["authenticity"] <= columns["authenticity_high"]
    calibrated = nearest[:, 0] / (0.5 * nearest[:, :10].mean(1))
    assert columns["calibrated_l2"] == pytest.approx(np.median(calibrated), rel=1e-4)
    assert columns["calibrated_l2_copies"] == pytest.approx((calibrated < 1).mean())
    assert (columns["c_t"] < -3) == (columns["c_t_p"] < 0.001) == (share > 0)


class Mirrored(HandMade):
    """Images that are trained on mirrored as well."""

    def versions(self, images):
        return torch.stack([images, images.flip(3)])


def test_copies_of_mirrored_images_are_copies_and_fresh_points_are_not():
    generator = np.random.default_rng(1)
    train, held_out, fresh = (
        torch.from_numpy(generator.normal(size=(300, 1, 2, 2)).astype(np.float32)) for _ in range(3)
    )
    tests = Copying(ALL, num_cells=1, num_neighbors=10)

    def measured(samples):
        return tests.measure(replace(snapshot(samples, train, held_out), data=Mirrored(train, held_out)))

    copies = measured(train.flip(3) + 1e-3)
    assert copies["authenticity"] == 0 and copies["calibrated_l2_copies"] == 1 and copies["c_t"] < -10
    found = measured(fresh)
    both = np.stack([train, train.flip(3)]).reshape(2, 1, 300, 4)
    to_train = np.linalg.norm(fresh.reshape(1, 300, 1, 4).numpy() - both, axis=3).min(0)
    apart = np.linalg.norm(train.reshape(1, 300, 1, 4).numpy() - both, axis=3).min(0)
    np.fill_diagonal(apart, np.inf)
    expected = (to_train.min(1) > apart.min(1)[to_train.argmin(1)]).mean()
    assert found["authenticity"] == pytest.approx(expected) and abs(expected - 0.5) < 0.1
    assert abs(found["c_t"]) < 3


def test_held_out_images_are_no_copies_to_c_t():
    columns = Copying(["c_t"], num_cells=1).measure(snapshot(HELD_OUT, TRAIN, HELD_OUT))
    assert columns == {"c_t": 0, "c_t_p": 0.5}


def test_too_few_samples_have_no_c_t():
    assert Copying(["c_t"]).measure(snapshot(FRESH[:10], TRAIN, HELD_OUT)) == {"c_t": None, "c_t_p": None}


def test_off_by_default_and_impossible_values_are_refused():
    assert Copying().measure(snapshot(FRESH, TRAIN, HELD_OUT)) == {}
    for arguments in ({"tests": []}, {"tests": ["c_t", "c_t"]}, {"num_cells": 0}, {"num_neighbors": 1}):
        with pytest.raises(ConfigError, match="copying"):
            Copying(**arguments)
    data = HandMade(torch.zeros(4, 1), torch.zeros(4, 1))
    data.n = 4
    with pytest.raises(ConfigError, match="at most n = 4"):
        Copying(["c_t"]).check(data, 10, None)
