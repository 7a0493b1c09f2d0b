"""Two runs of one model on disjoint training images."""

import warnings
from pathlib import Path

from diffmem.errors import DataError
from diffmem.revisit.reopen import ReopenedRun, saved_steps


def check_disjoint(a: ReopenedRun, b: ReopenedRun) -> None:
    """Refuse runs that share training images, on which they would agree; say what else they differ in.

    Raises:
        DataError: They share training images, or have images of two sources.
    """
    trainings = a.cli.identity.training, b.cli.identity.training
    differing = [
        key
        for key in sorted({*trainings[0], *trainings[1]} - {"data.index", "seed"})
        if trainings[0].get(key) != trainings[1].get(key)
    ]
    if differing:
        warnings.warn(f"the runs differ in {', '.join(differing)}, not in their training images alone", stacklevel=1)
    shared = set(a.data.train_positions) & set(b.data.train_positions)
    if shared or a.data.fingerprint()["sha256"] != b.data.fingerprint()["sha256"]:  # labels may differ, and are said
        raise DataError(
            f"{a.folder} and {b.folder}",
            got=f"{len(shared)} training images in both" if shared else "images of two sources",
            expected="disjoint training images of one source",
            remedy="train with --data.index=0 and --data.index=1",
        )


def steps_of_both(a: Path, b: Path) -> list[int]:
    """The steps that the runs ``a`` and ``b`` have both saved, ascending; DataError where there are none."""
    steps = sorted(saved_steps(a).keys() & saved_steps(b).keys())
    if not steps:
        raise DataError(
            f"{a} and {b}",
            got="no step that both have saved",
            expected="checkpoints of the same steps",
            remedy="set --checkpoint.every_n_steps alike",
        )
    return steps
