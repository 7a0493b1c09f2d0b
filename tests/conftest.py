"""What every test may ask for."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from launcher import Launcher
from small_run import SMALL, only_run

os.environ.setdefault("OMP_NUM_THREADS", "1")
# a busy machine is no failure: nothing here is timed
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one uninterrupted small run. Read it, do not write in it."""
    from diffmem import fit

    run_root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["diffmem"])
        assert fit.main([*SMALL, f"--run_root={run_root}"]) == 0
    return only_run(run_root)


@pytest.fixture(scope="session")
def launch() -> Iterator[Launcher]:
    """``launch(args, world=2)``: runs diffmem in processes of its own and returns their exit codes."""
    launcher = Launcher()
    yield launcher
    assert launcher.close() == 0


@pytest.fixture(autouse=True)
def no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """``fit.main(args)`` in this process sees its own arguments alone."""
    monkeypatch.setattr(sys, "argv", ["diffmem"])


@pytest.fixture(scope="session")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random He-initialised weights: torch's own initialisation lets the features die out."""
    import torch
    from torch import nn
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    with torch.random.fork_rng(), pytest.MonkeyPatch.context() as patch:
        torch.manual_seed(0)
        module = "torch_fidelity.feature_extractor_inceptionv3"
        patch.setattr(f"{module}.load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
    torch.save(network.state_dict(), path)
    return path
