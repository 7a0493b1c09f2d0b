"""f_mem of each class, on copies made by hand."""

from types import SimpleNamespace

import pytest
import torch
from scipy.stats import binomtest

from diffmem.callbacks import PerClass
from diffmem.callbacks.observer import Snapshot
from diffmem.files import read_table


def test_a_copy_counts_for_the_label_it_was_asked_for(tmp_path):
    train = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    samples = torch.tensor([[0.1, 0.0], [5.0, 5.0], [10.0, 0.1], [0.0, 9.9], [4.0, 4.0]])  # 0, 2, 3 are copies
    data = SimpleNamespace(train_images=train, test_images=train + 50)
    model = SimpleNamespace(num_classes=3)
    labels = torch.tensor([0, 1, 0, 1, 0])
    PerClass().measure(Snapshot(7, samples, range(5), 5, model, data, tmp_path, "guidance3", labels))
    rows = read_table(tmp_path / "views/guidance3/per_class.csv")
    assert [(row["step"], row["label"], row["num_samples"]) for row in rows] == [("7", "0", "3"), ("7", "1", "2")]
    assert [float(row["f_mem"]) for row in rows] == [2 / 3, 1 / 2]
    for row, copies in zip(rows, (2, 1), strict=True):
        interval = binomtest(copies, int(row["num_samples"])).proportion_ci(method="wilson")
        assert (float(row["f_mem_low"]), float(row["f_mem_high"])) == pytest.approx((interval.low, interval.high))


def test_an_unconditional_model_has_no_classes(tmp_path):
    PerClass().measure(Snapshot(0, torch.zeros(2, 2), range(2), 2, SimpleNamespace(), SimpleNamespace(), tmp_path))
    assert not list(tmp_path.iterdir())
