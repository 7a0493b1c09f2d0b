"""FID against reference sets, in a cheap feature space in place of Inception's."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch
from small_run import SMALL
from torch import nn

from diffmem import fit, ranks
from diffmem.callbacks import FID, Snapshot, cache, fid
from diffmem.callbacks.cache import cached
from diffmem.data.images import ImageData
from diffmem.errors import ConfigError

NUM_SAMPLES = 40


class Projection(nn.Module):
    """Five fixed projections of the pixels; counts the images it sees."""

    dimension, seen = 5, 0

    def __init__(self, weights):
        super().__init__()
        self.protocol = {"features": "projection", "weights_sha256": str(weights)}

    def forward(self, images):
        Projection.seen += len(images)
        matrix = torch.randn(images[0].numel(), 5, generator=torch.Generator().manual_seed(0))
        return images.flatten(1) @ matrix


class Noise(ImageData):
    def load_images(self):
        return np.random.default_rng(0).integers(0, 256, (300, 1, 4, 4), dtype=np.uint8)


@pytest.fixture(autouse=True)
def projection(monkeypatch):
    monkeypatch.setattr(fid, "InceptionFeatures", Projection)
    Projection.seen = 0


def data_of(**arguments):
    data = Noise(**{"n": 50, "num_test": 20, "num_references": 3, "reference_size": 60, **arguments})
    data.setup()
    return data


def snapshot_of(data, folder, num=NUM_SAMPLES):
    unit = torch.rand(num, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    run = folder / "study" / "run"
    return Snapshot(7, unit - data.mean, range(num), NUM_SAMPLES, None, data, run)


def by_scipy(a, b):
    """Heusel et al. 2017, eq. 6, with the matrix root itself."""
    a, b = a.double().numpy(), b.double().numpy()
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)


def test_columns_are_means_and_deviations_over_the_reference_sets(tmp_path):
    data = data_of()
    snapshot = snapshot_of(data, tmp_path)
    columns = FID(weights="w", batch_size=7).measure(snapshot)
    project = Projection("w")
    samples = project(data.to_unit(snapshot.samples))
    references = [project(data.unit_images(data.reference_positions(number))) for number in range(3)]
    expected = [by_scipy(samples, each) for each in references]
    assert columns["fid"] == pytest.approx(np.mean(expected), rel=1e-6)
    assert columns["fid_std"] == pytest.approx(np.std(expected, ddof=1), rel=1e-5)
    train = project(data.unit_images(data.train_positions))
    assert columns["fid_train"] == pytest.approx(np.mean([by_scipy(train, each) for each in references]), rel=1e-6)
    assert columns["kid_std"] > 0
    one = FID(weights="w", references=[2]).measure(snapshot)
    assert one["fid"] == pytest.approx(expected[2], rel=1e-6)
    assert one["fid_std"] is None
    assert one["protocol"] != columns["protocol"]


def test_references_are_computed_once_for_all_runs(tmp_path):
    first = FID(weights="w").measure(snapshot_of(data_of(), tmp_path))
    assert Projection.seen == NUM_SAMPLES + 3 * 60 + 50
    Projection.seen = 0
    again = FID(weights="w").measure(snapshot_of(data_of(), tmp_path))
    assert Projection.seen == NUM_SAMPLES
    assert again == first
    Projection.seen = 0
    FID(weights="w").measure(snapshot_of(data_of(n=30), tmp_path))
    assert Projection.seen == NUM_SAMPLES + 30, "another subset shares the reference sets"
    Projection.seen = 0
    FID(weights="w").measure(snapshot_of(data_of(permutation_seed=5), tmp_path))
    FID(weights="v").measure(snapshot_of(data_of(), tmp_path))
    assert Projection.seen == 2 * (NUM_SAMPLES + 3 * 60 + 50), "other images or weights do not"


def test_a_damaged_cache_is_computed_again(tmp_path):
    first = FID(weights="w").measure(snapshot_of(data_of(), tmp_path))
    path = sorted((tmp_path / ".cache/fid").glob("reference-*.pt"))[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged"):
        assert FID(weights="w").measure(snapshot_of(data_of(), tmp_path)) == first


def test_tasks_that_start_together_wait_for_the_first(tmp_path):
    calls, values = [], []

    def compute():
        calls.append(1)
        time.sleep(0.2)
        return torch.arange(4.0)

    def task():
        values.append(cached(tmp_path, "value", {"key": 1}, compute, torch.device("cpu")))

    tasks = [threading.Thread(target=task) for _ in range(3)]
    for each in tasks:
        each.start()
    for each in tasks:
        each.join()
    assert len(calls) == 1
    assert all(torch.equal(value, torch.arange(4.0)) for value in values)


def test_a_cache_that_others_own_is_read_and_not_written(tmp_path, monkeypatch):
    device = torch.device("cpu")
    cached(tmp_path, "value", {"key": 1}, lambda: torch.ones(1), device)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache, "locked", refuse)
    assert cached(tmp_path, "value", {"key": 1}, lambda: torch.zeros(1), device).item() == 1
    with pytest.warns(UserWarning, match="nothing is kept"):
        assert cached(tmp_path, "value", {"key": 2}, lambda: torch.zeros(1), device).item() == 0


def test_shares_of_the_ranks_add_up(tmp_path, monkeypatch):
    data, shares = data_of(), []
    whole = FID(weights="w")._features_at(snapshot_of(data, tmp_path), data.train_positions)
    for rank in range(3):
        monkeypatch.setattr(ranks, "rank_and_world", lambda rank=rank: (rank, 3))
        monkeypatch.setattr(ranks, "sum_over_ranks", lambda values: values)
        shares.append(FID(weights="w")._features_at(snapshot_of(data, tmp_path), data.train_positions))
    torch.testing.assert_close(sum(shares), whole)
    assert all((share == 0).all(1).any() for share in shares)


def test_fewer_samples_than_asked_are_refused(tmp_path):
    snapshot = snapshot_of(data_of(), tmp_path, num=NUM_SAMPLES - 1)
    with pytest.raises(ConfigError, match=f"39 samples, expected {NUM_SAMPLES}"):
        FID(weights="w").measure(replace(snapshot, num_samples=NUM_SAMPLES))


@pytest.mark.parametrize(
    ("arguments", "data", "num_samples", "what"),
    [
        ({}, {"num_references": 0}, 40, r"--data\.num_references"),
        ({"references": [3]}, {}, 40, "some of 0 to 2"),
        ({"references": [1, 1]}, {}, 40, "each once"),
        ({"references": []}, {}, 40, "some of 0 to 2"),
        ({"kid_subset_size": 50}, {}, 40, "at least 50 each"),
        ({"kid_subset_size": 61}, {}, 100, "at least 61 each"),
        ({}, {}, 1, "at least 2 each"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_a_run(arguments, data, num_samples, what):
    with pytest.raises(ConfigError, match=what):
        FID(weights="w", **arguments).check(data_of(**data), num_samples, None)


@pytest.mark.parametrize("name", ["batch_size", "kid_subsets", "kid_subset_size"])
def test_impossible_counts_are_refused(name):
    with pytest.raises(ConfigError, match=rf"fid\.{name}"):
        FID(**{name: 0})


def test_off_by_default(tmp_path):
    callback = FID()
    callback.check(data_of(num_references=0), 1, None)
    assert callback.measure(snapshot_of(data_of(), tmp_path)) == {}


def test_data_without_reference_sets_makes_no_run_folder(tmp_path, capsys):
    assert fit.main([*SMALL, f"--run_root={tmp_path}/runs", "--fid.weights=w"]) == 2
    assert "--data.num_references" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
