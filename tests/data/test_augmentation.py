"""Flips, shifts and duplicates: what a batch holds, and that it is addressed by seed and step."""

import numpy as np
import pytest
import torch

from diffmem import limits
from diffmem.data import Digits
from diffmem.data.augmentation import Augmentation
from diffmem.errors import ConfigError

IMAGES = torch.rand(40, 2, 5, 4, generator=torch.Generator().manual_seed(0))


def moved(image, flip, dy, dx):
    """The image padded by its border, cut out again, mirrored first: in numpy."""
    pixels = image.numpy()[:, :, ::-1] if flip else image.numpy()
    padded = np.pad(pixels, ((0, 0), (2, 2), (2, 2)), mode="edge")
    return padded[:, 2 - dy : 7 - dy, 2 - dx : 6 - dx]


def test_the_versions_are_all_flips_and_moves():
    found = Augmentation(flip=True, shift=2).versions(IMAGES)
    assert found.shape == (50, 40, 2, 5, 4)
    expected = [moved(IMAGES[7], f, dy, dx) for f in (0, 1) for dy in range(-2, 3) for dx in range(-2, 3)]
    np.testing.assert_array_equal(found[:, 7].numpy(), np.stack(expected))
    assert torch.equal(Augmentation().versions(IMAGES)[0], IMAGES)


def test_every_version_is_as_likely():
    counts = Augmentation(flip=True, shift=1).draw(0, 3, 90_000).bincount(minlength=18)
    assert abs(counts / 5000 - 1).max() < 0.06


def data(**options):
    digits = Digits(n=16, batch_size=16, pixel_scale=2.0, **options)
    digits.setup()
    return digits


def batch(digits, number=3):
    members = torch.arange(16)
    return digits.transfer_batch_to_device((number, members), torch.device("cpu"), 0)


def test_a_batch_is_augmented_in_pixels_and_not_about_the_mean():
    digits = data(flip=True, shift=1)
    versions = digits.versions(digits.train_images)
    found, again = batch(digits).images, batch(digits).images
    distance = (versions - found).abs().amax((2, 3, 4)).min(0).values
    assert distance.max() < 1e-5, "every image is one of its own versions"
    assert (digits.to_unit(found) > -1e-6).all()
    assert torch.equal(found, again) and not torch.equal(found, batch(digits, 4).images)
    assert not torch.equal(found, batch(data(flip=True, shift=1, seed=1)).images)


def test_without_augmentation_a_batch_holds_the_images_themselves():
    assert torch.equal(batch(data()).images, data().train_images)


def test_ranks_share_one_augmented_batch(monkeypatch):
    digits, members = data(flip=True, shift=1), torch.arange(16)
    whole, halves = batch(digits).images, []
    for rank in (0, 1):
        monkeypatch.setattr("diffmem.ranks.rank_and_world", lambda rank=rank: (rank, 2))
        mine = members[8 * rank : 8 * rank + 8]
        halves.append(digits.transfer_batch_to_device((3, mine), torch.device("cpu"), 0).images)
    assert torch.equal(torch.cat(halves), whole)


@pytest.mark.parametrize(("mode", "size"), [("min", 8), ("full", 25), ("fixed", 8)])
def test_the_first_k_images_come_m_times_an_epoch(mode, size):
    digits = Digits(n=16, batch_size=8, batch_mode=mode, duplicates="3:4")
    digits.setup()
    assert digits.batch_size == size
    loader = iter(digits.train_dataloader())
    members = torch.cat(
        [digits.transfer_batch_to_device(next(loader), torch.device("cpu"), 0).members for _ in range(25)]
    )
    counts = members[: len(members) // 25 * 25].reshape(-1, 25)  # epochs of 16 + 3 · 3 images
    assert all(each.bincount().tolist() == [4] * 3 + [1] * 13 for each in counts)
    assert len(digits.train_images) == 16


@pytest.mark.parametrize("text", ["3", "0:4", "3:1", "17:2", "a:b", "3:4:5"])
def test_impossible_duplicates_are_refused(text):
    with pytest.raises(ConfigError, match="duplicates"):
        Digits(n=16, duplicates=text)


def test_a_negative_shift_is_refused():
    with pytest.raises(ConfigError, match="shift"):
        Digits(n=16, shift=-1)


def test_versions_that_no_machine_holds_are_refused_before_a_run(monkeypatch):
    monkeypatch.setattr(limits, "_machine_bytes", lambda: 2**20)
    with pytest.raises(ConfigError, match=r"data\.shift: got 3, which takes at least"):
        Digits(n=64, shift=3, flip=True).check()
    Digits(n=64, flip=True).check()
