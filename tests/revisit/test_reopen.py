"""A run's folder as a model that samples."""

import numpy as np
import pytest
import torch
from PIL import Image
from small_run import SMALL, only_run

import diffmem
from diffmem import fit, sample
from diffmem.errors import DataError
from diffmem.files import read_table
from diffmem.runs.samples import read_samples


def test_the_samples_of_a_loaded_run_are_those_of_its_evaluation(finished_run):
    run = diffmem.load_run(finished_run, 4)
    assert run.step == 4
    samples = run.sample(24)
    assert samples.shape == (24, 1, 8, 8)
    assert not run.model.training
    kept = dict(read_samples(finished_run))[4].images
    shown = (samples.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(shown[: len(kept)], kept)
    assert torch.allclose(run.sample(3), samples[:3], rtol=1e-4, atol=1e-3)
    assert (run.sample(3, seed=1) - samples[:3]).abs().max() > 0.1, "other noise, not other rounding"


def test_samples_are_drawn_in_the_precision_of_the_run_and_change_no_later_measurement(tmp_path):
    assert fit.main([*SMALL, f"--run_root={tmp_path}", "--trainer.precision=bf16-mixed", "--optimizer.lr=0.01"]) == 0
    folder = only_run(tmp_path)
    run = diffmem.load_run(folder)
    assert run.sample(24, seed=7).dtype == torch.float32
    row = run.measure(6, tmp_path / "again")
    assert str(row["nn_train"]) == read_table(folder / "evaluations.csv")[-1]["nn_train"]
    kept = dict(read_samples(folder))[6].images
    shown = (run.sample(24).clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(shown[: len(kept)], kept)


def test_a_step_that_was_not_saved_is_refused(finished_run):
    with pytest.raises(DataError, match="got 5, expected some of 2, 4, 6, last"):
        diffmem.load_run(finished_run, 5)
    with pytest.raises(DataError, match=r"no config\.yaml"):
        diffmem.load_run(finished_run.parent)


def test_samples_are_written_as_a_picture_an_array_or_a_folder(finished_run, tmp_path, capsys):
    for name in ("a.png", "a.npz", "folder"):
        assert sample.main([str(finished_run), "--num=5", f"--out={tmp_path / name}"]) == 0
    assert "done: " in capsys.readouterr().out
    with np.load(tmp_path / "a.npz") as arrays:
        samples = arrays["samples"]
        assert (arrays["step"], arrays["seed"]) == (6, 0)
    np.testing.assert_array_equal(samples, diffmem.load_run(finished_run).sample(5).numpy())
    files = sorted((tmp_path / "folder").glob("*.png"))
    assert [path.name for path in files] == [f"{number:05d}.png" for number in range(5)]
    shown = np.asarray(Image.open(files[3]).convert("L"))
    np.testing.assert_array_equal(shown, np.rint(samples[3, 0].clip(0, 1) * 255).astype(np.uint8))
    grid = np.asarray(Image.open(tmp_path / "a.png").convert("L"))
    assert (grid[2:10, 2:10] == np.rint(samples[0, 0].clip(0, 1) * 255).astype(np.uint8)).all()


def test_a_mistake_is_one_line(finished_run, tmp_path, capsys):
    for arguments, what in {
        ("--num=0",): "--num: got 0",
        ("--num=100000000000",): "--num: got 100000000000, which takes at least",
        ("--checkpoint=5",): "checkpoint: got 5",
        (f"--out={tmp_path}/a.jpeg",): "--out: got",
        ("--view=raw",): "view: got raw, expected none, for this run has no views; leave --view out",
    }.items():
        assert sample.main([str(finished_run), *arguments]) in (2, 3)
        error = capsys.readouterr().err
        assert what in error
        assert error.count("\n") == 1
