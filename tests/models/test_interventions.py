"""Options that change the training: each reaches it, and a run that is cut off and resumed ends as an unbroken one."""

import pytest
import torch
from same_run import assert_same_run, equal, weights
from small_run import SMALL, only_run

from diffmem import fit, ranks
from diffmem.data.subset import Batch
from diffmem.errors import EXIT_UNEXPECTED
from diffmem.models import DDPM
from diffmem.networks import ResidualMLP

SCHEDULE = ["--lr_scheduler=LinearLR", "--lr_scheduler.start_factor=0.2", "--lr_scheduler.total_iters=4"]
IMAGES = ["--data.flip=true", "--data.shift=1", "--data.duplicates=2:3"]
OPTIONS = {
    "targets": ["--model.prediction=velocity", "--model.min_snr_gamma=5", "--model.time_law=logit_normal", *IMAGES],
    "muon": ["--optimizer=MuonAdamW", "--optimizer.weight_decay=0.1", "--trainer.gradient_clip_val=0.1", *SCHEDULE],
}
#: By name, the interventions that this torch has.
NAMES = [
    pytest.param(
        name, marks=pytest.mark.skipif(name == "muon" and not hasattr(torch.optim, "Muon"), reason="torch < 2.9")
    )
    for name in OPTIONS
]
MLP = [
    "--model.network=ResidualMLP",
    "--model.network.dim=64",
    "--model.network.width=16",
    "--model.network.dropout=0.2",
]


def run(root, *options):
    base = [each for each in SMALL if "model.network" not in each]
    assert fit.main([*base, *MLP, f"--run_root={root}", *options]) == 0
    return only_run(root)


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_ends_as_an_unbroken_one(name, tmp_path, monkeypatch):
    whole = run(tmp_path / "whole", *OPTIONS[name])
    original = DDPM.training_step

    def power_cut(self, batch, k):
        if batch.number == 5:
            raise RuntimeError("power cut")
        return original(self, batch, k)

    monkeypatch.setattr(DDPM, "training_step", power_cut)
    base = [each for each in SMALL if "model.network" not in each]
    assert fit.main([*base, *MLP, f"--run_root={tmp_path / 'cut'}", *OPTIONS[name]]) == EXIT_UNEXPECTED
    monkeypatch.undo()
    assert_same_run(run(tmp_path / "cut", *OPTIONS[name]), whole)


@pytest.mark.parametrize(
    "option",
    [
        "--model.prediction=velocity",
        "--model.min_snr_gamma=5",
        "--model.time_law=logit_normal",
        "--data.shift=1",
        "--trainer.gradient_clip_val=0.001",
    ],
)
def test_an_option_changes_the_weights(option, tmp_path_factory, base_weights):
    folder = run(tmp_path_factory.mktemp("changed"), option, "--trainer.max_steps=2", "--evaluation.steps=[]")
    assert not equal(weights(folder)[0], base_weights)


@pytest.fixture(scope="module")
def base_weights(tmp_path_factory):
    folder = run(tmp_path_factory.mktemp("base"), "--trainer.max_steps=2", "--evaluation.steps=[]")
    return weights(folder)[0]


def test_two_ranks_train_as_one(monkeypatch):
    """The loss of the whole batch is the mean of those of its halves, whatever is predicted and weighted."""
    model = DDPM(ResidualMLP(16, 8, dropout=0.3), prediction="velocity", min_snr_gamma=5, time_law="logit_normal")
    images = torch.randn(8, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    whole, halves = model.training_step(Batch(3, images, torch.arange(8)), 0), []
    for rank in (0, 1):
        monkeypatch.setattr(ranks, "rank_and_world", lambda rank=rank: (rank, 2))
        half = slice(4 * rank, 4 * rank + 4)
        halves.append(model.training_step(Batch(3, images[half], torch.arange(8)[half]), 0))
    torch.testing.assert_close(sum(halves) / 2, whole)
