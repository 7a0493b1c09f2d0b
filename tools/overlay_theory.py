"""Set runs of the random-feature model beside the closed form, on the same W and the same training points.

    python -m diffmem.fit --config configs/gaussian/random_features.yaml --seed=0   # and 1, 2, 3: other noise
    python tools/overlay_theory.py runs/random-features/* --out figures

Each RUN is the folder of a run of plain SGD on full batches, or on batches of m·n that meet every point with m noises.
Writes overlay.csv and overlay.png, and prints the largest distance between the closed form and the mean of the runs, in
units of the training noise: the standard deviation over the runs. The closed form is that of the mean gradient. Fresh
noise adds to the losses about as much as it adds variance, in proportion to η/m: with rates near the limit of stability
that is more than the noise.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from diffmem.analysis import style
from diffmem.command_line import Parser, exit_code_of
from diffmem.config.parser import CLI
from diffmem.config.trust import reading_config_of
from diffmem.data.subset import SubsetData
from diffmem.errors import EXIT_DONE, ConfigError, DataError
from diffmem.files import read_table
from diffmem.models import RandomFeatures
from diffmem.theory.dynamics import PopulationMoments, TrainingDynamics
from diffmem.theory.simulation import population_moments, training_moments

CURVES = {"loss_train": "L_train", "loss_test": "L_test", "score_error": "E_score"}


@dataclass(frozen=True)
class Run:
    """A run's model (not trained), data (set up) and table."""

    folder: Path
    model: RandomFeatures
    data: SubsetData
    table: pd.DataFrame

    @property
    def features(self) -> Tensor:
        """W (p, d) float64."""
        return self.model.network.W.double()

    @property
    def points(self) -> Tensor:
        """X (n, d) float64."""
        return self.data.train_images.flatten(1).double()


def read_run(folder: Path) -> Run:
    """The run in ``folder``.

    Raises:
        ConfigError: It is not full-batch plain SGD of the random-feature model, or names classes of others.
        DataError: It has no config or no table with rows.
    """
    for name in ("config.yaml", "evaluations.csv"):
        if not (folder / name).is_file():
            raise DataError(str(folder), got=f"no {name}", expected="the folder of a run", remedy="give a run's folder")
    with reading_config_of(folder) as config:
        cli = CLI(["--config", str(config)])
    model, data = cli.model, cli.datamodule
    if not isinstance(model, RandomFeatures) or model.columns(1)["tau"] is None or data.batch_size % data.n:
        raise ConfigError(
            str(folder),
            got=f"{type(model).__name__}, {cli.identity.columns['optimizer']}, batches of {data.batch_size}",
            expected="the random-feature model under plain SGD on full batches, or multiples of n",
            remedy="train one with configs/gaussian/random_features.yaml",
        )
    data.setup()
    rows = read_table(folder / "evaluations.csv")
    if not rows:
        raise DataError(str(folder), got="no rows in evaluations.csv", expected="a run", remedy="train it")
    kept = [name for name in ("step", "tau", *CURVES) if name in rows[0]]
    return Run(folder, model, data, pd.DataFrame(rows)[kept].astype(float))


def closed_form(run: Run) -> pd.DataFrame:
    """``step, tau`` and the curves of ``run`` at its evaluated steps, without a step of training.

    The optimizer sees the moments U, V of its own noisings, averaged over the noise where that is fresh at every step;
    L_train and L_test take those of the run's training and test points, and E_score those of the population.
    """
    t, activation = run.model.schedule.t, run.model.network.activation
    W = run.features
    train = training_moments(W, run.points, t, activation)
    seen = train if run.model.num_noisings is None else _moments_of_noisings(run)
    times, step = np.array(run.table["tau"]), run.model.columns(1)["tau"]
    observed = {
        "loss_train": PopulationMoments(*train, 0.0),
        "loss_test": PopulationMoments(
            *training_moments(W, run.data.test_images.flatten(1).double(), t, activation), 0.0
        ),
    }
    law = run.data.law
    if law is not None and len(law.means) == 1 and "score_error" in run.table:
        observed["score_error"] = population_moments(W, law.variances, t, activation)
    table = run.table[["step", "tau"]].copy()
    for name, moments in observed.items():
        curves = TrainingDynamics(*seen, len(W) / W.shape[1], t, moments).curves(times, step)
        table[name] = curves.score_error if name == "score_error" else curves.loss_test
    return table


def _moments_of_noisings(run: Run) -> tuple[Tensor, Tensor]:
    """U (p, p) and V (p, d) over the run's n·m fixed noisings."""
    points = run.points
    noises = run.model.fixed_noises(len(points), (points.shape[1],)).double()
    index = torch.zeros(len(points), dtype=torch.int64)
    signal, deviation = run.model.schedule.signal_and_noise(index, points)
    U, V = 0.0, 0.0
    for xi in noises.unbind(1):
        phi = run.model.network.activation((signal * points + deviation * xi) @ run.features.T / points.shape[1] ** 0.5)
        U, V = U + phi.T @ phi, V + phi.T @ xi
    total = noises.shape[0] * noises.shape[1]
    return U / total, V / total


def compare(runs: Sequence[Run]) -> pd.DataFrame:
    """``step, tau`` and for each curve ``…_theory, …_mean, …_std`` over the runs, std empty for a single run.

    Raises:
        ConfigError: The runs differ in W, in the training points or in the steps.
    """
    first = runs[0]
    for run in runs[1:]:
        same = {
            "W": torch.equal(run.features, first.features),
            "training points": torch.equal(run.points, first.points),
            "rate or evaluated steps": run.table[["step", "tau"]].equals(first.table[["step", "tau"]]),
        }
        for what, holds in same.items():
            if not holds:
                raise ConfigError(
                    str(run.folder),
                    got=f"other {what} than {first.folder}",
                    expected="runs that differ in their noise alone",
                    remedy="give runs that differ in --seed alone, with --model.feature_seed set",
                )
    theory = closed_form(first)
    table = theory[["step", "tau"]].copy()
    for name in theory.columns[2:]:
        values = np.stack([run.table[name] for run in runs])
        table[f"{name}_theory"], table[f"{name}_mean"] = theory[name], values.mean(0)
        table[f"{name}_std"] = values.std(0, ddof=1) if len(runs) > 1 else np.nan
    return table


def largest_deviations(table: pd.DataFrame) -> pd.DataFrame:
    """``curve, deviation`` (largest distance of mean and theory), ``tau`` (where), ``noise``, ``in_noise`` (the ratio).

    The noise is the standard deviation over the runs, its root mean square over the evaluated steps.
    """
    rows = []
    for name, label in CURVES.items():
        if f"{name}_theory" not in table:
            continue
        distance = (table[f"{name}_mean"] - table[f"{name}_theory"]).abs()
        noise = (table[f"{name}_std"] ** 2).mean() ** 0.5
        rows.append((label, distance.max(), table["tau"][distance.argmax()], noise, distance.max() / noise))
    return pd.DataFrame(rows, columns=["curve", "deviation", "tau", "noise", "in_noise"])


@style.styled
def draw(table: pd.DataFrame, path: Path, title: str) -> None:
    """The closed form as lines, the mean of the runs as points with the noise as bars."""
    shown = [name for name in CURVES if f"{name}_theory" in table]
    losses = [name for name in shown if name != "score_error"]
    figure, axes = style.new_figure(1, len(shown) - 1, width=4.2, height=3.0)
    colors = dict(zip(CURVES, style.GROUP_COLORS, strict=False))
    at = table["tau"] > 0
    for ax, names in zip(axes[0], (losses, ["score_error"]), strict=False):
        for name in names:
            mean, std = table[f"{name}_mean"][at], table[f"{name}_std"][at].fillna(0)
            ax.plot(
                table["tau"][at], table[f"{name}_theory"][at], color=colors[name], label=f"{CURVES[name]}, closed form"
            )
            ax.errorbar(
                table["tau"][at],
                mean,
                std,
                fmt="o",
                ms=3,
                color=colors[name],
                mfc="white",
                label=f"{CURVES[name]}, trained",
            )
        ax.set(
            xscale="log", xlabel=r"training time $\tau = k\eta/d^2$", ylabel=", ".join(CURVES[name] for name in names)
        )
        ax.legend()
    figure.suptitle(title)
    style.save(figure, path)


def main(args: list[str] | None = None) -> int:
    """Run the command line; the exit code is 0, 2 for a bad config, 3 for bad data."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of a run")
    parser.add_argument("--out", type=Path, required=True, help="folder for overlay.csv and overlay.png")
    arguments = parser.parse_args(args)
    return exit_code_of(lambda: _overlay(arguments))


def _overlay(arguments: argparse.Namespace) -> int:
    runs = [read_run(folder) for folder in arguments.runs]
    table = compare(runs)
    arguments.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.out / "overlay.csv", index=False)
    p, d = runs[0].features.shape
    draw(table, arguments.out / "overlay.png", f"d = {d}, p = {p}, n = {runs[0].data.n}, {len(runs)} runs")
    print(largest_deviations(table).to_string(index=False, float_format="%.4g", na_rep="one run"))
    print(f"written to {arguments.out}")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
