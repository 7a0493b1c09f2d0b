"""Two runs are twins where they differ in their training images alone."""

import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from diffmem.errors import DataError
from diffmem.revisit.pairs import check_disjoint, steps_of_both


def run(positions, source="digits", **training):
    told = {"labels_sha256": "1"} if "data.labels" in training else {}
    data = SimpleNamespace(train_positions=positions, fingerprint=lambda: {"sha256": source, **told})
    identity = SimpleNamespace(training={"data": "Digits", **training})
    return SimpleNamespace(folder=Path("run"), data=data, cli=SimpleNamespace(identity=identity))


def test_the_subset_and_the_seed_may_differ():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_disjoint(run(range(4)), run(range(4, 8), **{"data.index": 1, "seed": 3}))


@pytest.mark.parametrize("training", [{"data.n": 8}, {"optimizer.lr": 0.1}, {"data.labels": "true"}])
def test_what_else_differs_is_said(training):
    (key,) = training
    for pair in ((run(range(4)), run(range(4, 8), **training)), (run(range(4), **training), run(range(4, 8)))):
        with pytest.warns(UserWarning, match=f"the runs differ in {key}, not in their training images alone"):
            check_disjoint(*pair)


@pytest.mark.parametrize(
    ("other", "what"),
    [(run(range(3, 7)), "1 training images in both"), (run(range(4, 8), "faces"), "images of two sources")],
)
def test_shared_images_and_two_sources_are_refused(other, what):
    with pytest.raises(DataError, match=what):
        check_disjoint(run(range(4)), other)


def test_the_steps_are_those_that_both_have_saved(tmp_path):
    for name, steps in {"a": (2, 10, 4), "b": (10, 4, 6)}.items():
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        for step in steps:
            (tmp_path / name / f"checkpoints/step-{step:08d}.ckpt").touch()
    assert steps_of_both(tmp_path / "a", tmp_path / "b") == [4, 10]
    with pytest.raises(DataError, match="no step that both have saved"):
        steps_of_both(tmp_path / "a", tmp_path / "nowhere")
