"""Two run folders that hold the same run."""

from pathlib import Path

import torch

from diffmem.files import read_table


def weights(folder: Path):
    """State of the network and the optimizer in the last checkpoint."""
    checkpoint = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    return checkpoint["state_dict"], checkpoint["optimizer_states"]


def equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def assert_same_run(folder: Path, reference: Path) -> None:
    for table in ("evaluations.csv", "ratios.csv"):
        assert (folder / table).read_bytes() == (reference / table).read_bytes()
    assert equal(weights(folder), weights(reference))
    losses, expected = (
        [(row["step"], row["loss"]) for row in read_table(path / "metrics.csv")] for path in (folder, reference)
    )
    assert losses == expected
    assert not list(folder.rglob(".*.partial"))
