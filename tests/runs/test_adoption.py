"""A run of version 0.1.0, whose folder is named by another rule, is found, adopted and lengthened."""

import shutil
from pathlib import Path

import pytest
import yaml
from same_run import equal, weights
from small_run import SMALL, only_run

from diffmem import fit
from diffmem.analysis.runs import read_runs
from diffmem.files import read_table, write_table

_RENAMED = {"pictures": "grid", "signals": "requeue"}
_LATER = ("prediction", "min_snr_gamma", "time_law", "time_range")
_LATER_COLUMNS = ("schema", "sampler", "num_test", "loss_t")


@pytest.fixture
def earlier(finished_run, tmp_path):
    """The finished small run as version 0.1.0 left it."""
    folder = tmp_path / "runs/digits/unet-n16-i0-adam-s0-0a1b2c3d"
    shutil.copytree(finished_run, folder, symlinks=True)
    (folder / "identity.json").unlink()
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config = {_RENAMED.get(key, key): value for key, value in config.items() if key != "adopt"}
    config["early_stopping"]["mode"] = "off"
    config["likelihood"]["num_points"] = 0
    for key in _LATER:
        config["model"]["init_args"].pop(key, None)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    rows = [
        {key: value for key, value in row.items() if key not in _LATER_COLUMNS}
        for row in read_table(folder / "evaluations.csv")
    ]
    write_table(folder / "evaluations.csv", [{**row, "setting": "01234567", "config_hash": "0a1b2c3d"} for row in rows])
    return folder


def attempt(root, *overrides):
    return fit.main([*SMALL, f"--run_root={root}", "--trainer.max_steps=9", *overrides])


def test_the_same_training_is_not_begun_a_second_time(earlier, tmp_path, capsys):
    assert attempt(tmp_path / "runs") == 2
    message = capsys.readouterr().err
    assert f"--adopt={earlier}" in message
    assert "--study=NAME" in message
    assert only_run(tmp_path / "runs") == earlier


def test_another_training_begins_beside_it(earlier, tmp_path):
    assert attempt(tmp_path / "runs", "--seed=1") == 0


def test_adopted_it_goes_on_as_if_it_had_always_been_longer(earlier, tmp_path, capsys):
    assert attempt(tmp_path / "runs", f"--adopt={earlier}") == 0
    assert "resuming from step-00000006.ckpt" in capsys.readouterr().out
    folder = only_run(tmp_path / "runs")
    assert attempt(tmp_path / "whole") == 0
    assert equal(weights(folder), weights(only_run(tmp_path / "whole")))
    (run,) = read_runs([folder])
    assert run.column("step").tolist() == [0, 2, 4, 6, 9]
    assert attempt(tmp_path / "runs", f"--adopt={earlier}") == 0, "the same command again"


def test_a_run_of_another_training_is_not_adopted(earlier, tmp_path, capsys):
    assert attempt(tmp_path / "runs", f"--adopt={earlier}", "--optimizer.lr=0.5") == 2
    assert "differs in optimizer.lr" in capsys.readouterr().err
    assert attempt(tmp_path / "runs", f"--adopt={earlier}x") == 3
    assert earlier.exists()


def test_it_is_adopted_into_a_study_that_is_not_there_yet(earlier, tmp_path):
    assert attempt(tmp_path / "new", f"--adopt={earlier}", "--trainer.max_steps=6") == 0
    assert only_run(tmp_path / "new").name != earlier.name and not earlier.exists()


def test_a_folder_on_another_disk_is_named_and_stays(earlier, tmp_path, capsys, monkeypatch):
    with monkeypatch.context() as disks:
        disks.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(18, "Invalid cross-device link")))
        assert attempt(tmp_path / "new", f"--adopt={earlier}") == 2
    assert f"--adopt: got {earlier} (Invalid cross-device link)" in capsys.readouterr().err
    assert attempt(tmp_path / "new", f"--adopt={earlier}", "--trainer.max_steps=6") == 0, "once it can be renamed"
