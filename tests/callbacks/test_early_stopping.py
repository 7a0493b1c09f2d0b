"""The stopping rule in a run; its decisions are tested with the window's."""

import json

import pytest
import torch
from conftest import SMALL, only_run

from diffmem import fit
from diffmem.callbacks import EarlyStopping, Memorization
from diffmem.callbacks.early_stopping import predict_from
from diffmem.errors import ConfigError
from diffmem.files import read_table, write_table


@pytest.fixture
def copies_from_step_4(monkeypatch):
    """f_mem is 0 before the third evaluation and 1 from then on."""
    original, calls = Memorization.measure, []

    def measure(self, snapshot):
        calls.append(snapshot.step)
        share = float(snapshot.step >= 4)
        return {**original(self, snapshot), "f_mem": share, "f_mem_low": share}

    monkeypatch.setattr(Memorization, "measure", measure)


def run(run_root, *overrides):
    code = fit.main([*SMALL, f"--run_root={run_root}", "--early_stopping.quality_level=null", *overrides])
    assert code == 0
    return only_run(run_root)


def test_stop_ends_the_run_at_the_onset_and_leaves_it_finished(tmp_path, copies_from_step_4, capsys):
    overrides = ("--early_stopping.mode=stop", "--early_stopping.plateau_factor=1e9")
    folder = run(tmp_path, *overrides)
    assert [row["step"] for row in read_table(folder / "evaluations.csv")] == ["0", "2", "4"]
    report = json.loads((folder / "generalization.json").read_text())
    assert report["onset"] == 4
    assert report["best"] in (0, 2)
    kept = torch.load(folder / "checkpoints/generalization.ckpt", weights_only=True)
    assert kept["global_step"] == report["best"]
    assert (folder / "checkpoints/last.ckpt").resolve().name == "step-00000004.ckpt"
    assert f"early stopping: use step {report['best']}" in capsys.readouterr().out
    run(tmp_path, *overrides)
    assert "finished before" in capsys.readouterr().out


def test_mark_trains_on_with_the_numbers_of_a_run_without(tmp_path, copies_from_step_4):
    folder = run(tmp_path, "--early_stopping.mode=mark", "--early_stopping.plateau_factor=1e9")
    assert [row["step"] for row in read_table(folder / "evaluations.csv")] == ["0", "2", "4", "6"]
    assert json.loads((folder / "generalization.json").read_text())["onset"] == 4


def test_off_leaves_no_trace(finished_run):
    assert not list(finished_run.rglob("generalization.*"))


def test_two_runs_predict_the_time_of_a_third(tmp_path):
    for n in (100, 200):
        steps = [round(n * 10 ** (k / 10)) for k in range(20)]
        rows = [
            {"step": step, "n": n, "num_samples": 1000, "f_mem": round(min(1, 0.01 * (step / (10 * n)) ** 2), 3)}
            for step in steps
        ]
        (tmp_path / str(n)).mkdir()
        write_table(tmp_path / str(n) / "evaluations.csv", rows)
    prediction = predict_from([tmp_path / "100", tmp_path / "200"], 800)
    assert prediction.low < 8000 < prediction.high
    assert prediction.value == pytest.approx(8000, rel=0.3)


def test_one_previous_run_is_not_enough():
    with pytest.raises(ConfigError, match=r"early_stopping\.previous"):
        EarlyStopping("mark", previous=["runs/a"])
