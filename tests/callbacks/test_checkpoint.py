"""Checkpoints that are whole, of this network, and nothing but numbers."""

import os
import tempfile
import warnings
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from diffmem.callbacks.checkpoint import newest_checkpoint, read_checkpoint, save_checkpoint
from diffmem.errors import CheckpointError, MachineError
from diffmem.runs.saved import saved_steps


class Model(pl.LightningModule):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.network = nn.Linear(width, 2)


def state_of(model):
    return {"state_dict": model.state_dict(), "global_step": 3, "optimizer_states": []}


class Hostile:
    """Runs a command where it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def test_the_code_in_a_hostile_checkpoint_does_not_run(tmp_path):
    path, trace = tmp_path / "step-3.ckpt", tmp_path / "trace"
    torch.save({**state_of(Model()), "extra": Hostile(trace)}, path)
    with pytest.raises(CheckpointError, match="code or objects of classes"):
        read_checkpoint(path, Model())
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists(), "it would"


@pytest.mark.parametrize(
    ("contents", "what"),
    [
        (state_of(Model(5)), r"weights network\.weight of shape \(2, 5\), expected \(2, 3\)"),
        ({"weights": 1}, "a file without weights and step"),
        ([1], "a file without weights"),
        ({**state_of(Model()), "state_dict": {}}, r"network\.weight of shape none"),
        ({**state_of(Model()), "diffmem_run": "other"}, "a checkpoint of run other, expected one of mine"),
    ],
)
def test_what_is_not_this_models_is_named(tmp_path, contents, what):
    torch.save(contents, tmp_path / "step-3.ckpt")
    with pytest.raises(CheckpointError, match=what):
        read_checkpoint(tmp_path / "step-3.ckpt", Model(), run="mine")


def test_weights_that_are_no_numbers_are_no_question_of_the_rate(tmp_path):
    model = Model()
    nn.init.constant_(model.network.weight, torch.nan)
    torch.save(state_of(model), tmp_path / "step-3.ckpt")
    with pytest.raises(CheckpointError, match=r"network\.weight that are not finite.*choose another step"):
        read_checkpoint(tmp_path / "step-3.ckpt", Model())


def test_a_stray_file_is_no_checkpoint(tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for name in ("step-abc.ckpt", "step-.ckpt", "step-2.ckpt.old", "last.ckpt"):
        (folder / name).write_bytes(b"")
    assert saved_steps(tmp_path) == {}
    assert newest_checkpoint(tmp_path) is None
    torch.save(state_of(Model()), folder / "step-00000002.ckpt")
    assert newest_checkpoint(tmp_path) == folder / "step-00000002.ckpt"


def test_the_one_before_is_named_only_where_there_is_one(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/step-00000002.ckpt").write_bytes(b"")
    (tmp_path / "checkpoints/step-00000010.ckpt").write_bytes(b"")
    with warnings.catch_warnings(record=True) as caught, pytest.raises(CheckpointError, match="all damaged"):
        warnings.simplefilter("always")
        newest_checkpoint(tmp_path)
    first, second = (str(each.message) for each in caught)
    assert "10.ckpt is damaged; falling back to the one before" in first
    assert "02.ckpt is damaged; there is none before" in second


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
@pytest.mark.parametrize("size", [10, 10**6])
def test_a_full_disk_names_the_checkpoint_and_leaves_nothing(tmp_path, monkeypatch, size):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))  # nothing is written beside the checkpoint's place
    trainer = pl.Trainer(logger=False, enable_checkpointing=False, default_root_dir=tmp_path, accelerator="cpu")
    trainer.strategy.connect(Model(size))
    path = tmp_path / "checkpoints/step-3.ckpt"
    save_checkpoint(trainer, trainer.lightning_module, path)
    assert [each.name for each in path.parent.iterdir()] == ["step-3.ckpt"]
    assert torch.load(path, weights_only=True)["state_dict"]["network.weight"].shape == (2, size)
    (path.parent / ".step-4.ckpt.partial").symlink_to("/dev/full")
    with pytest.raises(MachineError, match=r"checkpoints/step-4\.ckpt: got no space left on device"):
        save_checkpoint(trainer, trainer.lightning_module, path.with_name("step-4.ckpt"))
    assert [each.name for each in path.parent.iterdir()] == ["step-3.ckpt"]
