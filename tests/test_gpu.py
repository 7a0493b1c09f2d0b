"""On a GPU: the numbers of the CPU, no waiting, and the same exactness."""

import json
import os
import signal
import subprocess
import sys

import lightning.pytorch as pl
import pytest
import torch
from same_run import assert_same_run
from small_run import ROOT, SMALL, only_run, run_fit

from diffmem import fit, rng
from diffmem.diffusion.sampling import DDIMSampler
from diffmem.files import read_table
from diffmem.metrics.memorization import nearest_neighbors
from diffmem.models import DDPM
from diffmem.networks import UNet

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

GPU = ["--trainer.accelerator=gpu", "--trainer.devices=1"]


class NoWaiting(pl.Callback):
    """Makes every wait for the GPU an error between the second step and the last."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        torch.cuda.set_sync_debug_mode("error" if 1 < trainer.global_step < trainer.max_steps - 1 else "default")

    def on_exception(self, trainer, pl_module, exception):
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    "model",
    [
        [],
        ["--trainer.precision=bf16-mixed", "--model.network.dropout=0.5"],
        ["--config", str(ROOT / "configs/gaussian/random_features.yaml"), "--data.n=16", "--data.num_test=16"],
    ],
    ids=["float32", "bfloat16", "random features"],
)
def test_no_step_waits_for_the_gpu(tmp_path, model):
    command = [*SMALL, *model, *GPU, f"--run_root={tmp_path}", "--trainer.max_steps=12", "--evaluation.steps=[]"]
    command += ["--training_loss.every_n_steps=100", "--checkpoint.every_n_steps=100"]
    assert fit.main([*command, "--trainer.callbacks=test_gpu.NoWaiting"]) == 0
    assert read_table(only_run(tmp_path) / "evaluations.csv")[-1]["step"] == "12"


def test_a_run_has_the_losses_of_the_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    tables = []
    for accelerator in ("cpu", "gpu"):
        where = [f"--trainer.accelerator={accelerator}", f"--run_root={tmp_path / accelerator}"]
        assert fit.main([*SMALL, *where, "--trainer.devices=1", "--model.network.dropout=0"]) == 0
        tables.append(read_table(only_run(tmp_path / accelerator) / "evaluations.csv"))
    for cpu, gpu in zip(*tables, strict=True):
        for column in ("loss_train", "loss_test", "nn_train", "frechet_pixels"):
            assert float(gpu[column]) == pytest.approx(float(cpu[column]), rel=1e-3), (cpu["step"], column)


def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    arguments = [*GPU, "--trainer.deterministic=true"]
    run_fit(tmp_path / "whole", *arguments)
    command = [sys.executable, str(ROOT / "tests/support/kill_at.py"), "step", "5", *SMALL, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([".", *sys.path])}
    killed = subprocess.run([*command, f"--run_root={tmp_path / 'cut'}"], cwd=ROOT, env=environment)
    assert killed.returncode == -signal.SIGKILL
    run_fit(tmp_path / "cut", *arguments)
    assert_same_run(only_run(tmp_path / "cut"), only_run(tmp_path / "whole"))


def test_nearest_neighbors_are_those_of_the_cpu():
    train = rng.normal(0, "train", 0, (9000, 64))
    samples = rng.normal(0, "samples", 0, (1500, 64))
    samples[::4] = train[:375] + 0.1 * samples[::4]
    samples[0] = train[0]
    distances, indices = nearest_neighbors(samples, train)
    found, places = nearest_neighbors(samples.cuda(), train.cuda())
    assert torch.equal(places.cpu(), indices)
    torch.testing.assert_close(found.cpu(), distances, rtol=1e-14, atol=0)


def sample(model: DDPM) -> torch.Tensor:
    with torch.no_grad():
        samples = model.eval().sample(rng.normal(0, "noise", 0, (16, 1, 16, 16)).cuda(), DDIMSampler(3))
    model.train()
    return samples


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_compiled_steps_have_the_same_losses_and_dropout(mode):
    found = []
    for compile in (None, mode):
        rng.seed_global(0, "weights")
        model = DDPM(UNet(1, 32, (1, 2), (False, True), 1, dropout=0.3), compile=compile).cuda()
        optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
        losses, samples = [], [sample(model)]  # as in a run, evaluated first
        for number in range(10):
            images = rng.normal(0, "images", number, (16, 1, 16, 16)).cuda()
            loss = model.training_step((number, images, None), 0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        samples.append(sample(model))
        found.append((torch.stack(losses), torch.cat(samples)))
    (losses, samples), (compiled_losses, compiled_samples) = found
    torch.testing.assert_close(compiled_losses, losses, rtol=1e-2, atol=0)
    torch.testing.assert_close(compiled_samples, samples, rtol=0, atol=0.1 * samples.std().item())


@pytest.mark.slow
def test_a_run_with_cuda_graphs_ends_and_goes_on(tmp_path):
    command = [*SMALL, *GPU, f"--run_root={tmp_path}", "--model.compile=reduce-overhead"]
    assert fit.main(command) == 0
    (only_run(tmp_path) / "status.json").unlink()
    (only_run(tmp_path) / "checkpoints/step-00000006.ckpt").unlink()
    assert fit.main(command) == 0
    assert [row["step"] for row in read_table(only_run(tmp_path) / "evaluations.csv")] == ["0", "2", "4", "6"]


@pytest.mark.slow
def test_the_benchmark_runs_where_it_says(tmp_path):
    command = [sys.executable, "tools/bench.py", "--quick", "--device=cuda", "--out", str(tmp_path / "bench.json")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    record = json.loads((tmp_path / "bench.json").read_text())
    assert record["machine"]["device"] == torch.cuda.get_device_name()
    assert any(each["title"].startswith("scheduled evaluation") for each in record["measurements"])
