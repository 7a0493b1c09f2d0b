"""Times of classes, from tables whose curves are known."""

import numpy as np
import pytest
from synthetic_runs import evaluations, log_steps, write_run

from diffmem.analysis.comparison import Rules
from diffmem.analysis.per_class import class_times, console_text, write_classes
from diffmem.analysis.runs import read_runs
from diffmem.analysis.timescales import tau_mem
from diffmem.errors import DataError
from diffmem.files import read_table, write_table

STEPS = log_steps(10_000)
COPIED = {0: 500.0, 1: 4000.0}  # where each class reaches a half


def f_mem(label, shift):
    return np.round(100 * STEPS / (STEPS + shift * COPIED[label])) / 100


@pytest.fixture
def runs(tmp_path):
    for seed in (0, 1):
        folder = write_run(tmp_path, evaluations(64, seed, steps=STEPS))
        rows = [
            {"step": int(step), "label": label, "num_samples": 100, "f_mem": value}
            for label in COPIED
            for step, value in zip(STEPS, f_mem(label, 1 + seed), strict=True)
        ]
        write_table(folder / "per_class.csv", sorted(rows, key=lambda row: row["step"]))
    return read_runs([tmp_path])


def test_each_class_has_the_mean_time_of_its_runs(runs, tmp_path):
    rules = Rules(mem_level=0.5)
    classes = class_times(runs, rules)
    assert [(each.label, each.num_runs) for each in classes] == [(0, 2), (1, 2)]
    for each in classes:
        alone = [tau_mem(STEPS, f_mem(each.label, shift), 100, level=0.5).value for shift in (1, 2)]
        assert each.tau_mem.value == pytest.approx(np.sqrt(np.prod(alone)))
        assert each.final == pytest.approx(np.mean([f_mem(each.label, shift)[-1] for shift in (1, 2)]))
    write_classes(classes, rules, tmp_path / "out.csv")
    assert [float(row["tau_mem"]) for row in read_table(tmp_path / "out.csv")] == [x.tau_mem.value for x in classes]


def test_the_rows_of_an_evaluation_that_was_cut_off_are_left_out(runs):
    before = [str(each.tau_mem) for each in class_times(runs, Rules(mem_level=0.5))]
    for run in runs:
        with (run.folder / "per_class.csv").open("a") as table:
            table.write("20000,0,100,0.0\n")
    assert [str(each.tau_mem) for each in class_times(runs, Rules(mem_level=0.5))] == before


def test_times_of_classes_are_on_the_clock_that_was_asked_for(runs, tmp_path):
    updates, images = (Rules(mem_level=0.5, clock=clock) for clock in ("updates", "images"))
    (run, *_) = runs
    batch = run.column("images_seen")[-1] / run.column("step")[-1]
    times = [[each.tau_mem.value for each in class_times(runs, rules)] for rules in (updates, images)]
    assert times[1] == pytest.approx([batch * each for each in times[0]]) and batch > 1
    assert "of each class in images seen" in console_text(class_times(runs, images), images)
    write_classes(class_times(runs, images), images, tmp_path / "out.csv")
    assert {row["clock"] for row in read_table(tmp_path / "out.csv")} == {"images"}


def test_a_level_below_one_sample_of_a_class_is_named(runs):
    rules = Rules(mem_level=0.001)
    classes = class_times(runs, rules)
    assert all(each.tau_mem is None for each in classes)
    assert "expected a level of at least one sample, 0.01" in console_text(classes, rules)


def test_runs_without_classes_are_refused(tmp_path):
    write_run(tmp_path, evaluations(64, 0, steps=STEPS))
    with pytest.raises(DataError, match=r"per_class\.csv: got no such table"):
        class_times(read_runs([tmp_path]), Rules())


def test_a_damaged_table_of_classes_is_named(runs):
    (runs[0].folder / "per_class.csv").write_text("step,label,num_samples,f_mem\n0,0,100,\n")
    with pytest.raises(DataError, match=r"per_class\.csv line 2 column f_mem: got ''"):
        class_times(runs, Rules())


def test_runs_of_one_curve_err_independently(tmp_path):
    """Two runs alike tell a time more sharply than one: their samples are others."""
    found = []
    for seeds in ((0,), (0, 1)):
        for seed in seeds:
            folder = write_run(tmp_path / str(len(seeds)), evaluations(64, seed, steps=STEPS))
            rows = [{"step": int(step), "label": 0, "num_samples": 50, "f_mem": value}
                    for step, value in zip(STEPS, f_mem(0, 1), strict=True)]  # fmt: skip
            write_table(folder / "per_class.csv", rows)
        (each,) = class_times(read_runs([tmp_path / str(len(seeds))]), Rules(mem_level=0.5))
        found.append(np.log(each.tau_mem.high / each.tau_mem.low))
    assert found[1] < 0.85 * found[0]
