"""Runs of the random-feature model through the command line against the closed form of the theory."""

import math

import overlay_theory
import pytest
import torch
from small_run import ROOT, only_run

from diffmem import evaluate, fit, rng, sample
from diffmem.config.parser import CLI
from diffmem.data.subset import Batch
from diffmem.errors import ConfigError
from diffmem.files import read_table
from diffmem.models import RandomFeatures
from diffmem.theory.krylov import dense_pairs

CONFIG = [
    "--config",
    str(ROOT / "configs/gaussian/random_features.yaml"),
    "--model.dimension=6",
    "--model.num_features=12",
    "--data.n=16",
    "--data.dimension=6",
    "--data.num_test=24",
    "--optimizer.lr=7.2",
    "--trainer.max_steps=40",
    "--trainer.accelerator=cpu",
    "--evaluation.steps=[10,20]",
    "--scores.num_points=500",
]


def run(root, *overrides):
    assert fit.main([*CONFIG, f"--run_root={root}", *overrides]) == 0
    return only_run(root)


def test_the_table_of_a_model_that_cannot_sample(tmp_path, capsys):
    folder = run(tmp_path)
    for command, arguments in ((sample, []), (evaluate, ["--refine=mem"]), (evaluate, ["--refine=overfit"])):
        assert command.main([str(folder), *arguments]) == 2
        assert "a model that cannot sample" in capsys.readouterr().err
    rows = read_table(folder / "evaluations.csv")
    assert [float(row["tau"]) for row in rows] == pytest.approx([0, 2, 4, 8])
    assert {row["num_samples"] for row in rows} == {"0"}
    assert not {"f_mem", "frechet_pixels", "kl"} & set(rows[0])
    assert not (folder / "samples").exists()
    first = rows[0]
    assert float(first["loss_train"]) == pytest.approx(1, abs=0.1)
    noised_variance = 1  # e^{−2t} + Δ_t
    assert float(first["score_error"]) == pytest.approx(1 / noised_variance, abs=0.1)
    for row in rows:
        assert float(row["loss_gen"]) == pytest.approx(float(row["loss_test"]) - float(row["loss_train"]))
        # E_score = (L_test − 1)/Δ + (1/d) E‖∇log P_t‖², here with other points on each side
        expected = (float(row["loss_test"]) - 1) / (1 - math.exp(-0.2)) + 1
        assert float(row["score_error"]) == pytest.approx(expected, abs=0.4)


@pytest.mark.parametrize(
    "optimizer",
    [["--optimizer=Adam", "--optimizer.lr=0.1"], ["--optimizer.momentum=0.5"], ["--trainer.gradient_clip_val=1.0"]],
)
def test_the_papers_time_is_that_of_plain_sgd_alone(tmp_path, optimizer):
    rows = read_table(run(tmp_path, *optimizer) / "evaluations.csv")
    assert {row["tau"] for row in rows} == {""}
    assert float(rows[-1]["loss_train"]) < 0.95 * float(rows[0]["loss_train"])


def test_fixed_noisings_train_to_the_closed_form(tmp_path):
    """A(τ)/√p = −Vᵀ f(U)/√Δ with the moments of the n·m noisings, and (1 − xλ/k)^k for the decay."""
    folder = run(tmp_path, "--model.num_noisings=3")
    trained = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]["network.A"].double()
    cli = CLI([*CONFIG, "--model.num_noisings=3"])
    model, data = cli.model, cli.datamodule
    data.setup()
    delta, num_features, steps = 1 - math.exp(-0.2), 12, 40
    noise = model.fixed_noises(16, (6,)).double()
    x_t = math.exp(-0.1) * data.train_images.double()[:, None] + math.sqrt(delta) * noise
    phi = torch.tanh(x_t.flatten(0, 1) @ model.network.W.double().T / math.sqrt(6))
    U, V = phi.T @ phi / len(phi), phi.T @ noise.flatten(0, 1) / len(phi)
    values, coefficients, vectors = dense_pairs(U, V)
    rate = 2 * delta / (num_features / 6) * values * 7.2 / 36
    f = (1 - (1 - rate) ** steps) / values
    expected = -math.sqrt(num_features / delta) * (vectors @ (f[:, None] * coefficients)).T
    assert torch.allclose(trained, expected, atol=1e-4 * expected.abs().max().item())


def test_images_are_flattened(tmp_path):
    folder = run(
        tmp_path,
        "--data=Digits",
        "--data.n=16",
        "--data.num_test=20",
        "--model.dimension=64",
        "--scores.t=null",
        "--optimizer.lr=100",
    )
    rows = read_table(folder / "evaluations.csv")
    assert float(rows[-1]["loss_train"]) < float(rows[0]["loss_train"])
    assert "score_error" not in rows[0]


def test_loss_is_the_papers():
    model = RandomFeatures(dimension=5, num_features=7, t=0.3)
    with torch.no_grad():
        model.network.A.normal_(generator=rng.stream(0, "A"))
    x, noise = torch.randn(4, 5, generator=rng.stream(0, "x")), torch.randn(4, 5, generator=rng.stream(0, "noise"))
    delta = 1 - math.exp(-0.6)
    x_t = math.exp(-0.3) * x + math.sqrt(delta) * noise
    index = torch.zeros(4, dtype=torch.int64)
    score = model.network(x_t)
    assert torch.allclose(model.score(x_t, index), score, atol=1e-6)
    expected = (math.sqrt(delta) * score + noise).square().sum(1) / 5
    assert torch.allclose(model.losses(x, noise, index), expected, atol=1e-6)
    fresh = rng.normal(0, "noise", 3, (4, 5))
    assert model.training_step(Batch(3, x, torch.arange(4)), 0).item() == pytest.approx(
        model.losses(x, fresh, index).mean().item()
    )


def test_what_the_model_cannot_do_is_refused(tmp_path, capsys):
    for override, what in {
        "--losses.t=0.01": "losses.t: got 0.01, expected 0.1, the diffusion time",
        "--scores.t=[0.1,0.2]": "scores.t: got 0.2, expected 0.1, the diffusion time",
        "--likelihood.num_points=10": "a model of one diffusion time",
        "--model.t=-1": "model.t: got -1",
        "--model.num_noisings=0": "model.num_noisings: got 0",
        "--data.dimension=0": "data.dimension: got 0",
    }.items():
        assert fit.main([*CONFIG, f"--run_root={tmp_path}/runs", override]) == 2
        assert what in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("overlay")
    for seed in (3, 4):
        arguments = [f"--run_root={root}", f"--seed={seed}", "--data.batch_mode=fixed", "--data.batch_size=320"]
        assert fit.main([*CONFIG, *arguments, "--scores.num_points=4000", "--losses.num_draws=400"]) == 0
    return sorted(map(str, root.glob("*/*")))


def test_trained_curves_lie_on_the_closed_form(two_runs, tmp_path, capsys):
    assert overlay_theory.main([*two_runs, "--out", str(tmp_path)]) == 0
    rows = read_table(tmp_path / "overlay.csv")
    assert [float(row["step"]) for row in rows] == [0, 10, 20, 40]
    for name, tolerance in {"loss_train": 0.02, "loss_test": 0.02, "score_error": 0.06}.items():
        theory, mean = ([float(row[f"{name}_{what}"]) for row in rows] for what in ("theory", "mean"))
        assert mean == pytest.approx(theory, abs=tolerance)
        assert max(theory) - min(theory) > 3 * tolerance
    assert (tmp_path / "overlay.png").stat().st_size > 10_000
    assert "L_train" in capsys.readouterr().out


def test_runs_that_cannot_be_overlaid_are_refused(two_runs, tmp_path, capsys):
    other = run(tmp_path / "other", "--model.feature_seed=5", "--data.batch_mode=fixed", "--data.batch_size=320")
    assert overlay_theory.main([two_runs[0], str(other), "--out", str(tmp_path)]) == 2
    assert "other W than" in capsys.readouterr().err
    assert overlay_theory.main([str(tmp_path), "--out", str(tmp_path)]) == 3
    with pytest.raises(ConfigError, match="plain SGD on full batches"):
        overlay_theory.read_run(run(tmp_path / "adam", "--optimizer=Adam", "--optimizer.lr=0.1"))
