"""``python -m diffmem.theory``: files, tables and one-line errors."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from diffmem.theory.__main__ import main
from diffmem.theory.criteria import CRITERIA
from diffmem.theory.studies import BEST


def rows(path: Path) -> pd.DataFrame:
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    return pd.read_csv(path)


def test_spectrum(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spectrum", "--out", str(tmp_path), "--dim", "20", "--psi-p", "16", "--psi-n", "2"]) == 0
    density = rows(tmp_path / "spectrum.csv")
    assert set(density["population"]) == {"1:1", "0.5:0.5,1.5:0.5"}
    bulks = pd.read_csv(tmp_path / "bulks.csv")
    assert bulks["simulated_mass"].to_numpy() == pytest.approx(bulks["mass"].to_numpy(), abs=0.005)
    assert bulks["kolmogorov"].isna().tolist() == (bulks["bulk"] == "δ").tolist()
    assert bulks["kolmogorov"].max() < 0.15
    assert len(pd.read_csv(tmp_path / "eigenvalues.csv")) == 2 * 320
    assert "ρ₃" in capsys.readouterr().out


def test_dynamics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dynamics", "--out", str(tmp_path), "--dim", "8", "--psi-p", "16", "--psi-n", "4", "8"]) == 0
    assert json.loads((tmp_path / "dynamics.json").read_text())["dim"] == 8
    curves = rows(tmp_path / "dynamics.csv")
    assert list(curves["psi_n"].unique()) == [4, 8]
    assert (curves["loss_test"] > curves["loss_train"]).mean() > 0.8
    assert "paper: −0.59" in capsys.readouterr().out


def test_phase(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = ["--psi-p-grid", "2", "8", "--psi-n-grid", "1", "4"]
    assert main(["phase", "--out", str(tmp_path), "--dim", "10", "--tau", "1000", *grid]) == 0
    gap = rows(tmp_path / "phase.csv").pivot(index="psi_p", columns="psi_n", values="generalization_loss")
    assert gap.loc[8, 1] > gap.loc[2, 1] > gap.loc[2, 4]
    assert "τ = 1000" in capsys.readouterr().out


def test_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--dims", "10", "--psi-p", "32", "--psi-n", "4", "8", "--seeds", "3"]
    assert main(["times", "--out", str(tmp_path), *small]) == 0
    summary = rows(tmp_path / "times.csv")
    assert len(summary) == 2 * (len(CRITERIA) + 1)
    measured = pd.read_csv(tmp_path / "times_measured.csv")
    assert len(measured) == 3 * len(summary)
    assert (summary["tau_low"] < summary["tau"]).all() and (summary["tau"] < summary["tau_high"]).all()
    assert summary["over_third"].to_numpy() == pytest.approx((summary["tau"] / summary["tau_third"]).to_numpy())
    changes = pd.read_csv(tmp_path / "times_changes.csv")
    assert changes["criterion"].tolist() == [*(criterion for criterion, _ in CRITERIA), BEST]
    assert (changes[["change_paper", "change_third"]] >= 1).all(axis=None)
    assert len(pd.read_csv(tmp_path / "times_predicted.csv")) == 2
    shown = capsys.readouterr().out
    assert "change_third" in shown and "the third bulk's time ∝ ψ_n^" in shown


def test_exponents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--dim", "10", "--psi-p", "8", "--psi-n", "1", "2", "--decay", "0", "--seeds", "2"]
    assert main(["exponents", "--out", str(tmp_path), *small]) == 0
    assert set(rows(tmp_path / "exponents.csv")["criterion"]) == {"L_gen", "share of the final L_gen", "final L_gen"}
    assert len(pd.read_csv(tmp_path / "exponents_times.csv")) == 2 * 2 * len(CRITERIA)
    assert "share of the final L_gen" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["spectrum", "--t", "0"],
        ["spectrum", "--t", "many"],
        ["spectrum", "--t", "30"],
        ["spectrum", "--population", "1"],
        ["spectrum", "--population", "1:0.5"],
        ["dynamics", "--dim", "10", "--psi-n", "0.001"],
        ["dynamics", "--dim", "4", "--psi-p", "4", "--psi-n", "2", "--step", "1e9"],
        ["dynamics", "--dim", "4", "--psi-p", "4", "--psi-n", "2", "--tau-min", "10", "--tau-max", "1"],
        ["exponents", "--dim", "4", "--psi-p", "4", "--psi-n", "1", "2", "--decay", "nan"],
        ["phase", "--activation", "gelu"],
        ["times", "--seeds", "0"],
        ["spectrum", "--dim", "100000"],
        ["phase", "--dim", "1000000"],
    ],
)
def test_bad_values_end_in_one_line(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path)] if arguments else []
    try:
        code = main([*arguments, *out])
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_help_does_not_import_torch() -> None:
    check = "import sys, diffmem.theory.__main__; print('torch' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_value_given_twice_is_no_second_seed(tmp_path: Path) -> None:
    sizes = ["--dim", "10", "--psi-p", "4", "--psi-n", "1", "2", "4", "--seeds", "2"]
    for name, decays in (("once", ["0"]), ("twice", ["0", "0"])):
        assert main(["exponents", "--out", str(tmp_path / name), *sizes, "--decay", *decays]) == 0
    once, twice = (tmp_path / name / "exponents.csv" for name in ("once", "twice"))
    assert once.read_text() == twice.read_text()
    grids = ["--psi-p-grid", "1", "1", "2", "--psi-n-grid", "1", "2", "--tau", "10", "10"]
    assert main(["phase", "--out", str(tmp_path / "phase"), "--dim", "10", *grids]) == 0
