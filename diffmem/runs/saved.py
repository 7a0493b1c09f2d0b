"""The checkpoints of a run."""

import re
from pathlib import Path


def saved_steps(folder: Path) -> dict[int, Path]:
    """The files ``checkpoints/step-NUMBER.ckpt`` of the run ``folder`` by their step, ascending; others are ignored."""
    named = {path: re.fullmatch(r"step-(\d+)\.ckpt", path.name) for path in folder.glob("checkpoints/step-*.ckpt")}
    return dict(sorted((int(match[1]), path) for path, match in named.items() if match))
