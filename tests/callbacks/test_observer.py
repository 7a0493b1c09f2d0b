"""What a step shows to its measurements, and a measurement of one's own."""

import sys
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from hand_made import Echo, snapshot
from small_run import SMALL, only_run

from diffmem import fit
from diffmem.callbacks import EvaluationObserver, Frechet, Losses, Memorization, Pictures, observer
from diffmem.files import read_table
from diffmem.models import DDPM


class Far(EvaluationObserver):
    """Share of the samples farther than ``level`` from every training image."""

    needs_samples = True

    def __init__(self, level: float = 1.0) -> None:
        self.level = level

    def measure(self, snapshot):
        far = snapshot.train_neighbors.distances[:, 0] > self.level
        return {"far": far.double().mean().item()}


def test_neighbours_are_found_once_for_all_measurements(monkeypatch, tmp_path):
    searched = []
    original = observer.nearest_over_versions

    def count(samples, versions):
        searched.append(versions.shape[1])
        return original(samples, versions)

    monkeypatch.setattr(observer, "nearest_over_versions", count)
    images = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    now = snapshot(images[:20], images[20:25], images[25:], tmp_path, model=DDPM(Echo()))
    for measurement in (Memorization(), Pictures(), Frechet(), Losses(num_draws=1), Memorization(), Far()):
        measurement.measure(now)
    assert sorted(searched) == [5, 5, 15], "training images, as many held-out images, all of them"
    assert now.train_images is now.train_images


def test_neighbours_are_those_of_their_own_images():
    now = snapshot([[1.0]], [[0.0], [4.0]], [[7.0], [9.0], [1.5]])
    assert now.train_neighbors.distances.tolist() == [[1.0, 3.0]]
    assert now.train_neighbors.indices.tolist() == [[0, 1]]
    assert now.heldout_neighbors.distances.tolist() == [[0.5, 6.0]]
    assert now.null_neighbors.distances.tolist() == [[6.0, 8.0]]
    assert snapshot([[1.0]], [[0.0], [4.0]], [[7.0]]).null_neighbors is None


def test_values_of_all_ranks_come_in_the_order_of_the_samples(monkeypatch):
    values, parts = torch.rand(7, 2), []
    monkeypatch.setattr(observer.ranks, "sum_over_ranks", lambda values: values)
    for rank in range(3):
        monkeypatch.setattr(observer.ranks, "rank_and_world", lambda rank=rank: (rank, 3))
        numbers = observer.ranks.share(7)
        now = replace(snapshot(values, values, values), numbers=numbers, samples=values[numbers.start : numbers.stop])
        parts.append(now.gathered(now.samples))
    assert torch.equal(sum(parts), values)


def test_a_table_has_the_rows_of_a_step_once(tmp_path):
    for step, values in ((5, [1, 2]), (9, [3]), (5, [4]), (7, [])):
        snapshot([[0.0]], [[0.0], [1.0]], [[0.0]], tmp_path, step=step).put_rows("t.csv", [{"a": v} for v in values])
    assert [(row["step"], row["a"]) for row in read_table(tmp_path / "t.csv")] == [("5", "4"), ("9", "3")]
    now = replace(snapshot([[0.0]], [[0.0], [1.0]], [[0.0]], tmp_path), view="v")
    now.put_rows("t.csv", [{"a": 1}])
    assert len(read_table(tmp_path / "views/v/t.csv")) == 1


@pytest.fixture
def my_module(monkeypatch):
    module = ModuleType("my_metrics")
    module.Far = Far
    monkeypatch.setattr(Far, "__module__", "my_metrics")
    monkeypatch.setitem(sys.modules, "my_metrics", module)


def test_a_measurement_of_ones_own_is_named_by_its_class_path(tmp_path, my_module):
    mine = ["--trainer.callbacks=my_metrics.Far", "--trainer.callbacks.level=0.5"]
    assert fit.main([*SMALL, f"--run_root={tmp_path}", "--trainer.max_steps=2", *mine]) == 0
    folder = only_run(tmp_path)
    assert [(row["step"], row["far"]) for row in read_table(folder / "evaluations.csv")] == [("0", "1.0"), ("2", "1.0")]
    assert {row["step"] for row in read_table(folder / "ratios.csv")} == {"0", "2"}
    assert "class_path: my_metrics.Far" in (folder / "config.yaml").read_text()
