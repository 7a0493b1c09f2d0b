"""``python -m diffmem.theory``: the random-feature theory as tables, CSV files and figures."""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffmem.command_line import Parser, exit_code_of, writing
from diffmem.errors import EXIT_DONE, ConfigError
from diffmem.files import write_atomic

if TYPE_CHECKING:
    import pandas as pd

    from diffmem.theory.studies import Setting


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); the exit code is 0, or 2 for a bad value."""
    arguments = _parser().parse_args(args)
    return exit_code_of(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    with writing(arguments.out, "a folder to write in"):
        arguments.out.mkdir(parents=True, exist_ok=True)
    for name, value in vars(arguments).items():
        if isinstance(value, list):  # a value given twice is no second seed
            setattr(arguments, name, list(dict.fromkeys(value)))
    arguments.study(arguments)
    setting = {name: value for name, value in vars(arguments).items() if name not in ("study", "name", "out")}
    write_atomic(arguments.out / f"{arguments.name}.json", json.dumps(setting, indent=2) + "\n")
    print(f"written to {arguments.out}")
    return EXIT_DONE


def _spectrum(arguments: argparse.Namespace) -> None:
    import pandas as pd

    from diffmem.theory import figures, studies

    panels, bulks, curves, eigenvalues = [], [], [], []
    for population in arguments.population:
        found = studies.spectrum(_setting(arguments), arguments.psi_n, population, arguments.simulation == "exact")
        label = ",".join(f"{value:g}:{weight:g}" for value, weight in population)
        panels.append((population, *found))
        curve, table, simulated = found
        curves.append(curve.assign(population=label))
        bulks.append(table.assign(population=label))
        eigenvalues.append(pd.DataFrame({"eigenvalue": simulated, "population": label}))
    table = pd.concat(bulks, ignore_index=True)
    _write(arguments.out, spectrum=pd.concat(curves), bulks=table, eigenvalues=pd.concat(eigenvalues))
    _show(table)
    simulation = "simulated $U$" if arguments.simulation == "exact" else "simulated Gaussian equivalent"
    figures.spectrum(panels, _setting(arguments), arguments.psi_n, simulation, arguments.out / "spectrum.png")


def _dynamics(arguments: argparse.Namespace) -> None:
    import numpy as np

    from diffmem.theory import figures, studies

    if not arguments.tau_min < arguments.tau_max:
        raise ConfigError("--tau-max", got=arguments.tau_max, expected=f"above --tau-min = {arguments.tau_min:g}",
                          remedy="raise it")  # fmt: skip
    times = np.geomspace(arguments.tau_min, arguments.tau_max, 241)
    curves, summary = studies.dynamics(_setting(arguments), arguments.psi_n, times, arguments.step)
    _write(arguments.out, dynamics=curves, dynamics_summary=summary)
    _show(summary)
    if len(summary) > 1:
        print(f"min E_score ∝ ψ_n^{studies.score_exponent(summary):.3f} (paper: −0.59)")
    figures.dynamics(curves, summary, _setting(arguments), arguments.out / "dynamics.png")


def _phase(arguments: argparse.Namespace) -> None:
    from diffmem.theory import figures, studies

    setting = _setting(arguments, psi_p=max(arguments.psi_p_grid))
    table = studies.phase(setting, arguments.psi_p_grid, arguments.psi_n_grid, arguments.tau)
    _write(arguments.out, phase=table)
    for tau, group in table.groupby("tau"):
        print(f"L_gen at τ = {tau:g} (rows ψ_p, columns ψ_n)")
        _show(group.pivot(index="psi_p", columns="psi_n", values="generalization_loss").reset_index())
    figures.phase(table, setting, arguments.out / "phase.png")


def _times(arguments: argparse.Namespace) -> None:
    import pandas as pd

    from diffmem.theory import figures, studies

    setting = _setting(arguments, dim=max(arguments.dims))
    predicted = studies.predicted_times(setting, arguments.psi_n)
    measured = []
    for dim in arguments.dims:
        for seed in range(setting.seed, setting.seed + arguments.seeds):
            run = dataclasses.replace(setting, dim=dim, seed=seed)
            measured.append(studies.measured_times(run, arguments.psi_n))
            _write(arguments.out, times_measured=pd.concat(measured))
    summary = studies.summarize_times(pd.concat(measured), predicted)
    changes = studies.changes_of_ratios(summary)
    _write(arguments.out, times=summary, times_predicted=predicted, times_changes=changes)
    for table in (predicted, summary, changes):
        _show(table)
    for name, whose in (("tau_mem_paper", "paper's"), ("tau_third", "third bulk's")):
        print(f"the {whose} time ∝ ψ_n^{studies.log_slope(predicted['psi_n'], predicted[name]):.3f}")
    figures.times(summary, predicted, setting, arguments.out / "times.png")


def _exponents(arguments: argparse.Namespace) -> None:
    from diffmem.theory import exponents, figures

    setting = _setting(arguments)
    times, summary = exponents.exponents(setting, arguments.psi_n, arguments.decay, arguments.seeds)
    _write(arguments.out, exponents=summary, exponents_times=times)
    _show(summary)
    figures.exponents(summary, setting, arguments.out / "exponents.png")


def _setting(arguments: argparse.Namespace, **of_study: Any) -> "Setting":
    """What the command line sets, and ``of_study`` what a study goes through itself."""
    from diffmem.theory.studies import Setting

    names = [field.name for field in dataclasses.fields(Setting)]
    return Setting(**{name: getattr(arguments, name) for name in names if name not in of_study}, **of_study)


def _write(out: Path, **tables: "pd.DataFrame") -> None:
    for name, table in tables.items():
        with writing(out / f"{name}.csv", "a table to write"):
            write_atomic(out / f"{name}.csv", table.to_csv(index=False))


def _show(table: "pd.DataFrame") -> None:
    """A rich table in a terminal, aligned text elsewhere."""
    cells = table.map(lambda value: f"{value:.4g}" if isinstance(value, float) else str(value))
    if not sys.stdout.isatty():
        print(cells.to_string(index=False))
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table(*map(str, cells.columns))
    for row in cells.itertuples(index=False):
        shown.add_row(*row)
    Console().print(shown)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text}, expected a number above 0")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"got {text}, expected a finite number")
    return value


def _whole(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"got {text}, expected a whole number of at least 1")
    return value


def _population(text: str) -> tuple[tuple[float, float], ...]:
    try:
        pairs = tuple((float(value), float(weight)) for value, weight in (pair.split(":") for pair in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text}, expected EIGENVALUE:WEIGHT,… such as 0.5:0.5,1.5:0.5") from None
    return pairs


_positive.__name__, _finite.__name__, _whole.__name__ = "number", "number", "whole number"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m diffmem.theory", description=__doc__)
    studies = parser.add_subparsers(required=True, metavar="STUDY")
    tau_help = "in the paper's time τ = kη/d² for update k of size η"

    def study(name: str, run: Callable[[argparse.Namespace], None], t: float, help: str) -> argparse.ArgumentParser:
        added = studies.add_parser(name, help=help, description=help,
                                   formatter_class=argparse.ArgumentDefaultsHelpFormatter)  # fmt: skip
        added.set_defaults(study=run, name=name)
        added.add_argument("--out", type=Path, required=True, help="folder of the CSV and PNG files")
        added.add_argument("--t", type=_positive, default=t, help="diffusion time")
        added.add_argument("--activation", choices=("tanh", "erf", "relu"), default="tanh",
                           help="relu is ReLU less its mean")  # fmt: skip
        added.add_argument("--seed", type=int, default=0, help="of W and of the images")
        return added

    spectrum = study("spectrum", _spectrum, 0.01, "density and bulks of U over a simulated histogram (figure 4)")
    spectrum.add_argument("--psi-p", type=_positive, default=64.0, help="p/d")
    spectrum.add_argument("--psi-n", type=_positive, default=8.0, help="n/d")
    spectrum.add_argument("--dim", type=_whole, default=100, help="d of the simulation")
    spectrum.add_argument("--population", type=_population, nargs="+", metavar="EIGENVALUE:WEIGHT,…",
                          default=[((1.0, 1.0),), ((0.5, 0.5), (1.5, 0.5))],
                          help="eigenvalues of Σ, a panel each")  # fmt: skip
    spectrum.add_argument("--simulation", choices=("equivalent", "exact"), default="equivalent",
                          help="eigenvalues of the Gaussian equivalent, or of U itself in O(p³)")  # fmt: skip

    dynamics = study("dynamics", _dynamics, 0.1, "E_score, L_train and L_test against τ (figure 5 A and B)")
    dynamics.add_argument("--psi-p", type=_positive, default=64.0, help="p/d")
    dynamics.add_argument("--psi-n", type=_positive, nargs="+", default=[4.0, 8.0, 16.0, 32.0], help="n/d")
    dynamics.add_argument("--dim", type=_whole, default=100, help="d")
    dynamics.add_argument("--tau-min", type=_positive, default=1e-1, help=f"first τ, {tau_help}")
    dynamics.add_argument("--tau-max", type=_positive, default=1e6, help="last τ")
    dynamics.add_argument("--step", type=_positive, default=None,
                          help="gradient descent of this τ per update, η/d², for gradient flow")  # fmt: skip

    phase = study("phase", _phase, 0.1, "L_gen over (ψ_n, ψ_p) at fixed τ (figure 5 C)")
    grid = [1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]
    phase.add_argument("--psi-p-grid", type=_positive, nargs="+", default=grid, help="p/d")
    phase.add_argument("--psi-n-grid", type=_positive, nargs="+", default=grid, help="n/d")
    phase.add_argument("--dim", type=_whole, default=50, help="d")
    phase.add_argument("--tau", type=_positive, nargs="+", default=[1e3, 1e4], help=f"a panel each, {tau_help}")

    times = study("times", _times, 0.1, "predicted τ_gen and τ_mem of each bulk against measured times")
    times.add_argument("--psi-p", type=_positive, default=64.0, help="p/d")
    times.add_argument("--psi-n", type=_positive, nargs="+", default=[4.0, 8.0, 16.0, 32.0], help="n/d")
    times.add_argument(
        "--dims", type=_whole, nargs="+", default=[100, 200], help="d; p = ψ_p·d features take 36 p² bytes of memory"
    )
    times.add_argument("--seeds", type=_whole, default=3, help="independent W and images, counted up from --seed")

    exponents = study("exponents", _exponents, 0.01, "exponents in n of the times at which L_gen reaches a level")
    exponents.add_argument("--psi-p", type=_positive, default=16.0, help="p/d")
    exponents.add_argument("--psi-n", type=_positive, nargs="+", default=[1.0, 2.0, 4.0, 8.0], help="n/d")
    exponents.add_argument("--dim", type=_whole, default=50, help="d")
    exponents.add_argument("--decay", type=_finite, nargs="+", default=[0.0, 1.0, 2.0],
                           help="eigenvalues j^−DECAY of Σ, of mean 1; 0 is isotropic")  # fmt: skip
    exponents.add_argument("--seeds", type=_whole, default=2, help="independent W and images, counted up from --seed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
