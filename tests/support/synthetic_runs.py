"""Run folders whose true times are known.

Sample i starts from the same noise at every step, and from the step T_i on it is a copy: f_mem is the empirical
distribution of the T_i, log-normal around τ_0 = c n^α, and the true τ_mem at level c is their c-quantile. The quality
is floor · (1 + (τ_g/step)²), times a log-normal error that a run keeps, so that the true τ_gen at q is
τ_g/√(q/floor − 1).
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtri

WIDTH = 0.6


@dataclass(frozen=True)
class Truth:
    """What a synthetic run is made of."""

    prefactor: float = 100.0
    exponent: float = 1.0
    gen: float = 2000.0
    floor: float = 3.0
    quality_error: float = 0.05
    between_runs: float = 0.0

    def tau_mem(self, n: float, level: float = 0.01) -> float:
        return self.prefactor * n**self.exponent * math.exp(WIDTH * float(ndtri(level)))

    def tau_gen(self, level: float) -> float:
        return self.gen / math.sqrt(level / self.floor - 1)


def log_steps(max_steps: int, per_decade: int = 10, first: int = 10) -> np.ndarray:
    """0, then ``per_decade`` steps in each decade up to ``max_steps``."""
    count = int(per_decade * math.log10(max_steps / first)) + 1
    return np.unique(np.r_[0, np.rint(first * 10 ** (np.arange(count) / per_decade)), max_steps])


def f_mem_curve(rng, steps, tau_0, num_samples):
    """(S,) share of samples whose own time has come."""
    times = np.sort(tau_0 * np.exp(WIDTH * rng.standard_normal(num_samples)))
    return np.searchsorted(times, steps, side="right") / num_samples


def evaluations(n, seed, truth=Truth(), steps=None, num_samples=500, **identity):
    """Rows of ``evaluations.csv`` of one run."""
    steps = log_steps(100_000) if steps is None else np.asarray(steps)
    rng = np.random.default_rng([n, seed])
    shift = math.exp(truth.between_runs * rng.standard_normal())
    f_mem = f_mem_curve(rng, steps, shift * truth.prefactor * n**truth.exponent, num_samples)
    z = 1.959963984540054
    center = (f_mem + z**2 / 2 / num_samples) / (1 + z**2 / num_samples)
    half = z / (1 + z**2 / num_samples) * np.sqrt(f_mem * (1 - f_mem) / num_samples + z**2 / 4 / num_samples**2)
    with np.errstate(divide="ignore"):
        quality = truth.floor * (1 + np.minimum((shift * truth.gen / steps) ** 2, 1e4))
    quality = quality * math.exp(truth.quality_error * rng.standard_normal())
    decay = 0.3 + 0.7 * np.exp(-steps / truth.gen)
    batch_size = min(64, n)
    return pd.DataFrame(
        {
            "step": steps.astype(int),
            "images_seen": steps.astype(int) * batch_size,
            "epochs": steps * batch_size / n,
            "batch_size": batch_size,
            "num_samples": num_samples,
            "f_mem": f_mem,
            "f_mem_low": np.maximum(center - half, 0),
            "f_mem_high": center + half,
            "f_mem_null": 0.0,
            "frechet_pixels": quality,
            "frechet_pixels_std": truth.quality_error * quality,
            "frechet_pixels_train": truth.floor * 0.5,
            "loss_train": decay - 0.25 * f_mem,
            "loss_train_std": 0.002,
            "loss_test": decay + 0.4 * f_mem,
            "loss_test_std": 0.002,
            "nn_train": 3.0,
            "nn_heldout": 4.0,
            "study": "synthetic",
            "model": "UNet",
            "num_parameters": 270_000,
            "n": n,
            "index": 0,
            "optimizer": "Adam",
            "lr": 0.001,
            "seed": seed,
            "setting": "a1b2c3d4",
            "config_hash": f"{n:04x}{seed:04x}",
        }
        | identity
    )


def write_run(root: Path, table: pd.DataFrame) -> Path:
    """Write ``table`` as the ``evaluations.csv`` of a run folder below ``root``."""
    row = table.iloc[0]
    folder = root / f"{row.get('optimizer', 'run')}-n{row.get('n', 0)}-i{row.get('index', 0)}-s{row.get('seed', 0)}"
    folder.mkdir(parents=True)
    table.to_csv(folder / "evaluations.csv", index=False)
    return folder


def write_study(root: Path, sizes=(64, 128, 256, 512), seeds=(0,), truth=Truth(), **options) -> list[Path]:
    """One run folder for each n and seed."""
    return [write_run(root, evaluations(n, seed, truth, **options)) for n in sizes for seed in seeds]
