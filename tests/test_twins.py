"""Two small runs on disjoint images, from their folders to table, figures and time."""

import pytest
import torch
from small_run import SMALL, only_run

from diffmem import fit, load_run, twins
from diffmem.files import read_table
from diffmem.metrics.twins import Agreement
from diffmem.revisit.reopen import ReopenedRun


@pytest.fixture
def other_run(tmp_path):
    assert fit.main([*SMALL, f"--run_root={tmp_path}/other", "--data.index=1"]) == 0
    return only_run(tmp_path / "other")


def test_table_and_figures_of_two_runs(finished_run, other_run, tmp_path, capsys, monkeypatch):
    out = tmp_path / "twins"
    assert twins.main([str(finished_run), str(other_run), "--num=10", f"--out={out}"]) == 0
    rows = read_table(out / "twins.csv")
    assert [row["step"] for row in rows] == ["2", "4", "6"]
    assert all(-1 <= float(row["correlation"]) <= 1 and 0 <= float(row["share_own"]) <= 1 for row in rows)
    assert {path.name for path in out.iterdir()} == {"twins.csv", "twins.png", "twins-pairs.png"}
    drawn, own = [], []
    for folder in (finished_run, other_run):
        run = load_run(folder, 4)
        drawn.append(run.sample(10))
        own.append(torch.cdist(drawn[-1].flatten(1), run.data.to_unit(run.data.train_images).flatten(1)).amin(1))
    apart, own = (drawn[0] - drawn[1]).flatten(1).norm(dim=1), (own[0] + own[1]) / 2
    wanted = {"distance": apart.mean(), "distance_std": apart.std() / 10**0.5, "train_distance": own.mean()}
    wanted["share_own"] = (own < apart).float().mean()
    assert {name: float(rows[1][name]) for name in wanted} == pytest.approx(
        {name: value.item() for name, value in wanted.items()}, rel=1e-4
    )
    assert "tau_twin" in capsys.readouterr().out
    assert twins.main([str(finished_run), str(finished_run), f"--out={out}"]) == 3
    assert "16 training images in both" in capsys.readouterr().err
    load = ReopenedRun.load

    def load_small(self, checkpoint):
        self.evaluation.samples.batch_size = 3
        return load(self, checkpoint)

    monkeypatch.setattr(ReopenedRun, "load", load_small)
    for whole, parts in zip(rows, twins.compare_twins(finished_run, other_run, 10)[0], strict=True):
        assert {name: float(value) for name, value in whole.items()} == pytest.approx(parts, rel=1e-3), "of any batch"


def test_a_row_has_means_their_standard_errors_and_who_is_nearer_to_its_own_images():
    column = torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64)
    row = twins._columns(Agreement(column, column, column, torch.tensor([0.5, 2.0, 4.0, 5.0], dtype=torch.float64)))
    assert (row["correlation"], row["share_own"]) == (3, 0.5), "nearer: the first and the last; the second is as near"
    assert row["distance_std"] == pytest.approx((14 / 3) ** 0.5 / 2)


def test_the_time_is_where_half_of_the_samples_are_nearer_to_their_own_images():
    rows = [{"step": 10 * 2**k, "share_own": share, "num_samples": 500} for k, share in enumerate([0, 0, 0.2, 0.8, 1])]
    assert "56" in twins.tau_twin(rows), "between 40 and 80, half-way in the logarithm"
    assert "not known" in twins.tau_twin(rows[:2])
