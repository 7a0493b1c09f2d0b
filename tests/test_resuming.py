"""What a start finds in its folder: it goes on with its own training alone, and says what is no longer as it was."""

import importlib
import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from small_run import SMALL, only_run

from diffmem import evaluate, fit
from diffmem.callbacks.evaluation import Evaluation
from diffmem.data import Digits
from diffmem.errors import DataError
from diffmem.files import read_table, write_table

NETWORK = "from diffmem.networks import UNet\nclass Own(UNet):\n    {}\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run of a network of one's own, with six updates and a row at 0, 2, 4 and 6. Read it, do not write in it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "own_unet.py").write_text(NETWORK.format("pass"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setattr("sys.argv", ["diffmem"])
        importlib.invalidate_caches()
        assert fit.main([*SMALL, "--model.network=own_unet.Own", f"--run_root={folder}/runs"]) == 0
    return folder


@pytest.fixture
def again(trained, tmp_path, monkeypatch, capsys):
    """The command of that run, on a copy of its folder: ``again(…)`` gives its exit code and what it printed."""
    shutil.copytree(trained / "runs", tmp_path / "runs", symlinks=True)
    monkeypatch.syspath_prepend(str(trained))
    folder = only_run(tmp_path / "runs")

    def run(*overrides):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            code = fit.main([*SMALL, "--model.network=own_unet.Own", f"--run_root={tmp_path}/runs", *overrides])
        shown = capsys.readouterr()
        return code, shown.out, shown.err + "\n".join(str(each.message) for each in caught)

    run.folder = folder
    return run


def unfinish(folder: Path, step: int) -> None:
    """As a kill after the checkpoint of ``step`` would leave it."""
    (folder / "status.json").unlink()
    for path in folder.glob("checkpoints/step-*.ckpt"):
        if int(path.stem[5:]) > step:
            path.unlink()


def test_a_finished_run_is_done_as_long_as_its_images_and_code_are_the_same(again, monkeypatch):
    code, out, err = again()
    assert (code, "finished before" in out, err) == (0, True, "")
    with monkeypatch.context() as patch:
        patch.setattr(Digits, "load_images", lambda _: np.zeros((1797, 1, 8, 8), np.float32))
        code, out, err = again()
    assert code == 3
    assert "expected those the run in" in err
    record = json.loads((again.folder / "provenance.json").read_text())
    assert list(record["sources"]) == ["own_unet.Own"]
    record["sources"]["own_unet.Own"] = "another"
    (again.folder / "provenance.json").write_text(json.dumps(record))
    code, out, err = again()
    assert (code, "finished before" in out) == (0, True)
    assert "the source of own_unet.Own has changed since this run was trained" in err


def test_the_checkpoint_of_another_run_is_refused(again):
    unfinish(again.folder, 4)
    path = again.folder / "checkpoints/step-00000004.ckpt"
    state = torch.load(path, weights_only=True)
    assert state["diffmem_run"] == again.folder.name.rpartition("-")[2]
    torch.save({**state, "diffmem_run": "12345678"}, path)
    code, _, err = again()
    assert code == 3
    assert "got a checkpoint of run 12345678" in err


class Hostile:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def test_the_code_in_a_checkpoint_does_not_run(again, tmp_path):
    unfinish(again.folder, 4)
    path = again.folder / "checkpoints/step-00000004.ckpt"
    torch.save({**torch.load(path, weights_only=True), "extra": Hostile(tmp_path / "trace")}, path)
    code, _, err = again()
    assert (code, err.count("\n")) == (3, 1)
    assert "got code or objects of classes" in err
    assert evaluate.main([str(again.folder), "--checkpoints=4", "--trust"]) == 3
    assert not (tmp_path / "trace").exists()


def test_rows_that_are_missing_are_named_and_another_machine_is_said(again):
    unfinish(again.folder, 4)
    table = again.folder / "evaluations.csv"
    write_table(table, [row for row in read_table(table) if row["step"] != "2"])
    record = json.loads((again.folder / "provenance.json").read_text())
    record["starts"][-1]["threads"] = 64
    (again.folder / "provenance.json").write_text(json.dumps(record))
    code, _, err = again()
    assert code == 0
    assert "has no row of the scheduled steps 2; python -m diffmem.evaluate" in err
    assert "from step 4 on numbers agree with those before to rounding: threads 64 and" in err
    code, out, err = again()
    assert (code, "finished before" in out) == (0, True)
    assert "has no row of the scheduled steps 2; " in err
    write_table(table, read_table(table)[:-1])
    shutil.rmtree(again.folder / "checkpoints")
    assert "has no row of the scheduled steps 2,6; " in again()[2]


def test_overwrite_trains_anew(again):
    stray = again.folder / "samples/mine.png"
    stray.write_bytes(b"")
    code, out, _ = again("--overwrite=true", "--trainer.max_steps=2")
    assert (code, "finished before" in out, "resuming" in out) == (0, False, False)
    assert [row["step"] for row in read_table(again.folder / "evaluations.csv")] == ["0", "2"]
    assert not stray.exists()


def test_classes_of_ones_own_need_trust(again, capsys):
    assert evaluate.main([str(again.folder)]) == 2
    assert "expected a class of diffmem, torch, lightning; read its code and pass --trust" in capsys.readouterr().err
    assert evaluate.main([str(again.folder), "--trust"]) == 0
    assert evaluate.main([str(again.folder), "--trust", f"--out={again.folder}"]) == 2
    assert "a folder, expected a .csv file to write" in capsys.readouterr().err


def test_threads_are_set_by_a_key_that_is_no_identity(again):
    before = torch.get_num_threads()
    try:
        code, out, _ = again(f"--threads={before + 1}")
        assert (code, "finished before" in out, torch.get_num_threads()) == (0, True, before + 1)
        assert again("--threads=0")[0] == 2
    finally:
        torch.set_num_threads(before)


def test_the_table_of_an_earlier_training_is_not_overwritten(again):
    import lightning.pytorch as pl

    trainer = pl.Trainer(max_steps=3, logger=False, enable_checkpointing=False, default_root_dir=again.folder)
    before = (again.folder / "evaluations.csv").read_bytes()
    with pytest.raises(DataError, match=r"the table of an earlier training.*another default_root_dir"):
        Evaluation().on_train_start(trainer, None)
    assert (again.folder / "evaluations.csv").read_bytes() == before
