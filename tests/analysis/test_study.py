"""The measured study of SGD and Adam on digits, as data."""

import shutil
from pathlib import Path

import pytest

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.runs import read_runs
from diffmem.analysis.window import generalization_window

STUDY = Path(__file__).parent / "digits_sgd_adam"


@pytest.fixture(scope="module")
def runs():
    return read_runs([STUDY])


def test_copies_come_later_with_more_images_and_good_samples_do_not(runs):
    comparison = compare(runs, Rules())
    for group in ("Adam", "SGD"):
        cells = [cell for cell in comparison.cells if cell.group == group]
        mem = [cell.times["mem"].value for cell in cells if not cell.times["mem"].censored]
        gen = [cell.times["gen"].value for cell in cells]
        assert len(mem) >= 3
        assert mem == sorted(mem)
        assert mem[2] > 4 * mem[0]
        assert max(gen) < 1.5 * min(gen)


@pytest.mark.parametrize("rule", ["f_mem", "loss_split"])
def test_the_stopping_rule_finds_no_window_at_32_images_and_one_at_256(runs, rule):
    windows = {
        (run.identity["optimizer"], run.n, run.identity["seed"]): generalization_window(
            run.table.to_dict("records"), rule, quality_level=2.0
        )
        for run in runs
    }
    for (_, n, _), window in windows.items():
        if n == 32:
            assert window.steps == ()
        if n >= 256:
            assert window.best is not None


def test_stopping_by_the_split_of_the_losses_comes_before_copies(runs):
    for run in runs:
        window = generalization_window(run.table.to_dict("records"), "loss_split", quality_level=2.0)
        if run.n >= 128 and window.onset is not None:
            assert run.table.set_index("step").loc[window.onset, "f_mem"] < 0.05


def test_the_stopping_rule_on_runs_that_it_was_not_fitted_to():
    for run in read_runs([STUDY.parent / "digits_stopping"]):
        window = generalization_window(run.table.to_dict("records"), "loss_split", quality_level=2.0)
        assert window.onset == run.table["step"].iloc[-1]
        assert run.table["f_mem"].max() < 0.05
        assert (window.best is not None) == (run.n >= 256)
        if window.best is not None:
            quality = run.table.set_index("step")["frechet_pixels"]
            assert quality[window.best] < 2 * quality.min()


def test_a_number_does_not_depend_on_the_folder_a_table_lies_in(tmp_path):
    for place, folder in enumerate(sorted(STUDY.glob("*-n32-*-adam-*"))):
        shutil.copytree(folder, tmp_path / "elsewhere" / f"copy{place}")
    here = list(compare(read_runs(sorted(STUDY.glob("*-n32-*-adam-*"))), Rules()).cells)
    there = list(compare(read_runs([tmp_path]), Rules()).cells)
    assert [cell.times for cell in there] == [cell.times for cell in here]
    assert [(cell.gap, cell.ratio) for cell in there] == [(cell.gap, cell.ratio) for cell in here]
