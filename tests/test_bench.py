"""What makes runs fast leaves their numbers as they are; and the benchmark runs."""

import json
import subprocess
import sys

import pytest
import torch
from benchmarks.reference import PlainUNet, copy_weights, plain_alpha_bar, plain_ddim
from small_run import ROOT, SMALL, only_run
from torch._dynamo.utils import counters

from diffmem import fit, rng
from diffmem.diffusion.sampling import ddim
from diffmem.diffusion.schedule import LinearSchedule
from diffmem.files import read_table
from diffmem.models import DDPM
from diffmem.networks import UNet


def pair(width: int) -> tuple[UNet, PlainUNet]:
    rng.seed_global(0, "weights")
    ours = UNet(1, width, (1, 2), (True, True)).eval()
    for parameter in ours.parameters():
        if parameter.requires_grad and parameter.ndim == 1:
            torch.nn.init.normal_(parameter, std=0.1)
    return ours, copy_weights(ours, PlainUNet(width, (1, 2), (True, True), dropout=0.0)).eval()


@pytest.mark.parametrize("width", [16, 32], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("pixels", [8, 16], ids=["few tokens", "fused attention"])
def test_the_network_and_its_gradient_are_those_of_plain_pytorch(width, pixels):
    ours, plain = pair(width)
    x, index = rng.normal(0, "x", 0, (3, 1, pixels, pixels)), torch.tensor([1, 400, 999])
    outputs = [network(x, index) for network in (ours, plain)]
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)
    for output in outputs:
        output.square().mean().backward()
    found = {name: p.grad for name, p in plain.named_parameters()}
    for name, parameter in ours.named_parameters():
        twin = name.replace("attention.qkv.", "attention.attention.in_proj_").replace(
            "attention.out.", "attention.attention.out_proj."
        )
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, found[twin], rtol=1e-3, atol=1e-5)


def test_bfloat16_differs_by_its_rounding():
    ours, _ = pair(32)
    x, index = rng.normal(0, "x", 0, (4, 1, 16, 16)), torch.tensor([1, 100, 500, 999])
    with torch.no_grad():
        exact = ours(x, index)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = ours(x, index).float()
    assert 0 < (rounded - exact).square().mean().sqrt() < 0.02 * exact.std()


def test_samples_are_those_of_plain_pytorch():
    ours, plain = pair(16)
    noise = rng.normal(0, "noise", 0, (2, 1, 8, 8))
    with torch.no_grad():
        samples = ddim(ours, noise, LinearSchedule(), 10)
    torch.testing.assert_close(samples, plain_ddim(plain, noise, 10, plain_alpha_bar()), rtol=1e-3, atol=1e-4)


def test_a_run_keeps_its_losses_and_f_mem(tmp_path):
    shrunk = ["--config", str(ROOT / "configs/digits/unet.yaml"), *SMALL[-6:], "--trainer.accelerator=cpu"]
    shrunk += ["--trainer.max_steps=60", "--data.n=16", "--evaluation.steps=[20,40]", "--data.num_test=64"]
    shrunk += ["--evaluation.num_samples=40", "--memorization.threshold=0.999"]
    tables = []
    for name, model in {"ours": [], "plain": ["--model=plain_ddpm.PlainDDPM"]}.items():
        assert fit.main([*shrunk, *model, f"--run_root={tmp_path / name}"]) == 0
        tables.append(read_table(only_run(tmp_path / name) / "evaluations.csv"))
    for ours, plain in zip(*tables, strict=True):
        for column in ("loss_train", "loss_test", "nn_train"):
            assert float(ours[column]) == pytest.approx(float(plain[column]), rel=1e-4), (ours["step"], column)
        assert float(ours["f_mem"]) == pytest.approx(float(plain["f_mem"]), abs=0.03)  # one sample
    assert float(tables[0][-1]["loss_train"]) < 0.9 * float(tables[0][0]["loss_train"]), "it learned"
    assert 0 < float(tables[0][-1]["f_mem"]) < 1


SIZES = ["--data.num_test=32", "--losses.batch_size=8", "--evaluation.batch_size=8"]
SMALL_UNET = [*SMALL, *SIZES, "--model.network.channel_multipliers=[1]", "--model.network.attention=[true]"]
SMALL_MLP = [
    *SMALL[:2],
    *("--config", str(ROOT / "configs/digits/atlas.yaml")),
    *(each for each in SMALL[2:] if "model.network" not in each),
    *SIZES,
    "--model.network.width=8",
    "--model.network.num_blocks=1",
    "--model.network.dropout=0.1",
    "--data.batch_mode=min",
    "--early_stopping.mode=null",
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("small", "backend"), [(SMALL_UNET, "aot_eager"), (SMALL_MLP, "inductor")], ids=["traced", "in machine code"]
)
def test_a_compiled_run_is_the_same_and_is_compiled_for_training_and_evaluation_alone(
    small, backend, tmp_path, monkeypatch
):
    """The U-Net's fifty kernels would take a minute and a half: it is traced, and a smaller network translated."""
    compile = torch.nn.Module.compile
    chosen = {"mode": None, "backend": backend}
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: compile(self, **{**options, **chosen}))
    torch.compiler.reset()
    counters.clear()
    tables, names = [], []
    for mode in ("null", "default"):
        assert fit.main([*small, f"--model.compile={mode}", f"--run_root={tmp_path / mode}"]) == 0
        folder = only_run(tmp_path / mode)
        tables.append(read_table(folder / "evaluations.csv"))
        names.append(list(torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]))
    assert counters["stats"]["unique_graphs"] == 2
    assert names[0] == names[1], "a checkpoint fits both"
    for plain, compiled in zip(*tables, strict=True):
        for column in ("loss_train", "loss_test", "nn_train"):
            assert float(compiled[column]) == pytest.approx(float(plain[column]), rel=1e-4), (plain["step"], column)


def test_a_network_is_compiled_for_each_batch_size_on_its_own(monkeypatch):
    """Compiled for any size, runs on a GPU have ended in a misaligned address."""
    compile = torch.nn.Module.compile
    eager = {"mode": None, "backend": "eager"}
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: compile(self, **{**options, **eager}))
    torch.compiler.reset()
    counters.clear()
    model = DDPM(UNet(1, 8, (1,), (False,), 1, dropout=0.0), compile="default")
    for size in (2, 3, 4, 3):
        images = torch.zeros(size, 1, 8, 8)
        model.losses(images, images, torch.ones(size, dtype=torch.int64))
    assert counters["stats"]["unique_graphs"] == 3


def test_the_benchmark_runs(tmp_path):
    out = tmp_path / "bench.json"
    command = [sys.executable, "tools/bench.py", "--quick", "--out", str(out)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stderr
    record = json.loads(out.read_text())
    assert len(record["measurements"]) == 9
    for each in record["measurements"]:
        assert {"plain", *each["seconds"]} == set(each["figures"]), each["title"]
        assert any(name.startswith("diffmem") for name in each["seconds"])
        assert all(seconds > 0 for rounds in each["seconds"].values() for seconds in rounds)
