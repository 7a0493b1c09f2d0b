"""The shipped digits config, shrunk to seconds, run as a user runs it: through the command line."""

import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
# a busy machine is no failure: nothing here is timed
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

ROOT = Path(__file__).parent.parent
SMALL = [
    "--config",
    str(ROOT / "configs/digits/unet.yaml"),
    "--model.network.base_channels=8",
    "--model.network.num_res_blocks=1",
    "--model.network.dropout=0.1",
    "--data.n=16",
    "--data.batch_size=8",
    "--trainer.max_steps=6",
    "--trainer.accelerator=cpu",
    "--evaluation.steps=[2,4]",
    "--evaluation.num_samples=24",
    "--evaluation.sampling_steps=3",
    "--losses.num_draws=2",
    "--checkpoint.every_n_steps=2",
    "--training_loss.every_n_steps=3",
]


def fit_command(run_root: Path, *overrides: str) -> list[str]:
    """The command of a small digits run."""
    return [sys.executable, "-m", "diffmem.fit", *SMALL, f"--run_root={run_root}", *overrides]


def run_fit(run_root: Path, *overrides: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run that command to its end."""
    result = subprocess.run(fit_command(run_root, *overrides), capture_output=True, text=True, cwd=ROOT, timeout=300)
    if check:
        assert result.returncode == 0, result.stderr
    return result


def only_run(run_root: Path) -> Path:
    """The folder of the one run below ``run_root``."""
    (folder,) = run_root.glob("*/*")
    return folder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one uninterrupted small run. Read it, do not write in it."""
    run_root = tmp_path_factory.mktemp("finished")
    run_fit(run_root)
    return only_run(run_root)


@pytest.fixture(autouse=True)
def no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """``fit.main(args)`` in this process sees its own arguments alone."""
    monkeypatch.setattr(sys, "argv", ["diffmem"])


@pytest.fixture(scope="session")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random He-initialised weights: torch's own initialisation lets the features die out."""
    import torch
    from torch import nn
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    with torch.random.fork_rng(), pytest.MonkeyPatch.context() as patch:
        torch.manual_seed(0)
        module = "torch_fidelity.feature_extractor_inceptionv3"
        patch.setattr(f"{module}.load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
    torch.save(network.state_dict(), path)
    return path
