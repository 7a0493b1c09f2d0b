"""The shipped digits config, shrunk to seconds, run as a user runs it: through the command line."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SMALL = [
    "--config",
    str(ROOT / "configs/digits/unet.yaml"),
    "--model.network.base_channels=8",
    "--model.network.num_res_blocks=1",
    "--model.network.dropout=0.1",
    "--data.n=16",
    "--data.batch_size=8",
    "--data.num_test=24",
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
