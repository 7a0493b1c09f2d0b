"""Distances of the learned score and KL on the mixture, in a run and against what is known."""

from types import SimpleNamespace

import pytest
import torch
from small_run import ROOT, only_run

from diffmem import fit
from diffmem.callbacks import Likelihood, ScoreDistance, Snapshot
from diffmem.data import Digits, SymmetricMixture
from diffmem.diffusion.schedule import LinearSchedule
from diffmem.diffusion.scores import empirical_law
from diffmem.errors import ConfigError
from diffmem.files import read_table
from diffmem.models import DDPM, RandomFeatures

CONFIG = [
    "--config",
    str(ROOT / "configs/gaussian/mixture.yaml"),
    "--config",
    str(ROOT / "configs/gaussian/adam.yaml"),
    "--model.network.width=16",
    "--data.n=12",
    "--data.num_test=16",
    "--trainer.max_steps=6",
    "--trainer.accelerator=cpu",
    "--evaluation.steps=[2]",
    "--evaluation.num_samples=20",
    "--evaluation.sampling_steps=4",
    "--scores.num_points=40",
    "--likelihood.num_points=8",
    "--likelihood.num_steps=5",
]


class Exact(torch.nn.Module):
    """ε = −√Δ_t ∇log P_t of a law."""

    def __init__(self, law):
        super().__init__()
        self.law, self.schedule = law, DDPM(torch.nn.Identity()).schedule

    def forward(self, x, index):
        t = self.schedule.time[index[0]].item()
        return (-((1 - self.schedule.alpha_bar[index[0]].item()) ** 0.5) * self.law.score(x, t)).to(x)


def snapshot_of(law, data, folder):
    model = DDPM(Exact(law))
    return Snapshot(0, torch.empty(0, *data.mean.shape), range(0), 0, model, data, folder)


@pytest.fixture
def mixture():
    data = SymmetricMixture(n=30, num_test=10)
    data.setup()
    return data


def test_the_population_score_is_at_distance_zero_and_far_from_the_empirical(mixture, tmp_path):
    scores = ScoreDistance(t=[0.1], empirical=True, num_points=200)
    columns = scores.measure(snapshot_of(mixture.law, mixture, tmp_path))
    assert columns["score_error"] == pytest.approx(0, abs=1e-6)
    assert columns["score_error_empirical"] > 1
    kl = Likelihood(num_points=50, num_steps=50).measure(snapshot_of(mixture.law, mixture, tmp_path))
    assert kl["kl"] == pytest.approx(0, abs=5e-3)
    assert kl["kl_std"] < 5e-3


def test_the_empirical_score_is_at_distance_zero_and_far_from_the_population(mixture, tmp_path):
    law = empirical_law(mixture.train_images)
    columns = ScoreDistance(t=[0.01, 0.1], empirical=True, num_points=200).measure(snapshot_of(law, mixture, tmp_path))
    assert set(columns) == {f"score_error{kind}_t{t}" for kind in ("", "_empirical") for t in (0.01, 0.1)}
    assert columns["score_error_empirical_t0.01"] == pytest.approx(0, abs=1e-6)
    assert columns["score_error_t0.01"] > columns["score_error_t0.1"] > 1


def test_a_model_needs_no_more_than_its_contract_says(mixture, tmp_path):
    """No ``forward``, and no times of the schedule beside its ᾱ."""
    of = LinearSchedule()
    schedule = SimpleNamespace(num_steps=of.num_steps, alpha_bar=of.alpha_bar, index_of=of.index_of)
    model = SimpleNamespace(
        schedule=schedule, score=lambda x, index: mixture.law.score(x, of.time[index[0]].item()).to(x)
    )
    snapshot = Snapshot(0, torch.empty(0, 8), range(0), 0, model, mixture, tmp_path)
    assert ScoreDistance(t=[0.1], num_points=50).measure(snapshot)["score_error"] == pytest.approx(0, abs=1e-6)
    assert Likelihood(num_points=20, num_steps=50).measure(snapshot)["kl"] == pytest.approx(0, abs=5e-3)


def test_images_have_an_empirical_score_alone(tmp_path):
    data = Digits(n=10)
    data.setup()
    columns = ScoreDistance(t=[0.5], empirical=True, num_points=20, batch_size=7).measure(
        snapshot_of(empirical_law(data.train_images), data, tmp_path)
    )
    assert list(columns) == ["score_error_empirical"]
    assert columns["score_error_empirical"] == pytest.approx(0, abs=1e-6)


def test_what_cannot_be_measured_is_refused(mixture):
    model, digits = DDPM(torch.nn.Identity()), Digits(n=10)
    with pytest.raises(ConfigError, match="law is not known"):
        ScoreDistance(t=[0.1]).check(digits, 1, model)
    with pytest.raises(ConfigError, match="law is not known"):
        Likelihood(num_points=1).check(digits, 1, model)
    with pytest.raises(ConfigError, match="one diffusion time"):
        Likelihood(num_points=1).check(mixture, 1, RandomFeatures(8, 4))
    with pytest.raises(ConfigError, match="num_steps"):
        Likelihood(num_points=1, num_steps=1).check(mixture, 1, model)
    with pytest.raises(ConfigError, match=r"likelihood\.num_points: got 1\d+, which sends .* images"):
        Likelihood(num_points=10**10).check(mixture, 1, model)
    with pytest.raises(ConfigError, match=r"scores\.num_points: got 1\d+, which sends .* images"):
        ScoreDistance(t=[0.1], num_points=10**11).check(mixture, 1, model)
    with pytest.raises(ConfigError, match=r"scores\.t: .*time"):
        ScoreDistance(t=[100.0]).check(mixture, 1, model)
    for arguments in ({"t": []}, {"t": [0.1, 0.1]}, {"num_points": 0}, {"batch_size": 0}):
        with pytest.raises(ConfigError, match="scores"):
            ScoreDistance(**arguments)
    ScoreDistance().check(digits, 1, model)
    Likelihood().check(digits, 1, model)


def test_a_run_on_vectors_has_every_measurement(tmp_path, capsys):
    assert fit.main([*CONFIG, f"--run_root={tmp_path}"]) == 0
    rows = read_table(only_run(tmp_path) / "evaluations.csv")
    assert [row["step"] for row in rows] == ["0", "2", "6"]
    for row in rows:
        assert 0 <= float(row["f_mem_low"]) <= float(row["f_mem"]) <= float(row["f_mem_high"]) <= 1
        numbers = {name: float(row[name]) for name in row if name.startswith(("score_error", "kl", "frechet", "loss"))}
        assert len([name for name in numbers if name.startswith("score_error")]) == 6
        assert all(value >= 0 for name, value in numbers.items() if name not in ("loss_gen", "kl"))
    # L_train = Δ_t · (distance to the empirical score) + a constant: here with other noise on each side
    assert float(rows[0]["loss_train"]) - float(rows[-1]["loss_train"]) == pytest.approx(
        0.0198 * (float(rows[0]["score_error_empirical_t0.01"]) - float(rows[-1]["score_error_empirical_t0.01"])),
        abs=0.2,
    )


def test_vectors_have_no_pictures(tmp_path, capsys):
    assert fit.main([*CONFIG, f"--run_root={tmp_path}/runs", "--pictures.num_samples=4"]) == 2
    assert "pictures.num_samples: got 4 pictures of data of shape (8,)" in capsys.readouterr().err


def test_other_models_are_not_measured_unasked(finished_run):
    assert not any(
        name.startswith(("score_error", "kl", "tau")) for name in read_table(finished_run / "evaluations.csv")[0]
    )
