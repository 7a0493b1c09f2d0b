"""A time of a real run gets a narrower interval from rows that belong to the run."""

import shutil

import pytest
import torch
from scipy.stats import binomtest

from diffmem import evaluate
from diffmem.analysis.runs import read_run
from diffmem.analysis.timescales import tau_mem
from diffmem.callbacks import Losses, Memorization
from diffmem.files import read_table, write_table
from diffmem.revisit import refine


def f_mem_at(step):
    """f_mem rises from 0 to 1 over the six steps of the small run."""
    copies = round(step / 6 * 24)
    interval = binomtest(copies, 24).proportion_ci(method="wilson")
    return {"f_mem": copies / 24, "f_mem_low": interval.low, "f_mem_high": interval.high}


@pytest.fixture
def rising_f_mem(monkeypatch):
    original = Memorization.measure

    def measure(self, snapshot):
        return {**original(self, snapshot), **f_mem_at(snapshot.step)}

    monkeypatch.setattr(Memorization, "measure", measure)


def estimate(folder):
    run = read_run(folder)
    return tau_mem(run.column("step"), run.column("f_mem"), run.num_samples, level=0.45)


def test_refined_rows_narrow_the_interval_and_are_read(finished_run, tmp_path, rising_f_mem, monkeypatch, capsys):
    monkeypatch.setattr(refine, "_MOST_SETS", 8)
    losses, measure = [], Losses.measure
    monkeypatch.setattr(Losses, "measure", lambda self, now: losses.append(now.step) or measure(self, now))
    folder = tmp_path / finished_run.name
    shutil.copytree(finished_run, folder, symlinks=True)
    table = folder / "evaluations.csv"
    write_table(table, [{**row, **f_mem_at(int(row["step"]))} for row in read_table(table)])
    scheduled = table.read_bytes()
    before = estimate(folder)
    command = [str(folder), "--refine=mem", "--mem-level=0.45", "--precision=0.1", "--budget=100"]
    assert evaluate.main(command) == 0
    after = estimate(folder)
    assert after.high - after.low < (before.high - before.low) / 2
    refined = {row["step"]: row for row in read_table(folder / "refined.csv")}
    assert "3" in refined, "the step between the scheduled ones"
    assert table.read_bytes() == scheduled
    assert {int(row["num_samples"]) % 24 for row in refined.values()} == {0}
    assert max(int(row["num_samples"]) for row in refined.values()) > 24
    known = {row["step"]: row for row in read_table(table)}
    assert losses == [int(step) for step in refined if step not in known], "once, where they are not known"
    for step in refined.keys() & known.keys():
        assert refined[step]["loss_test"] == known[step]["loss_test"]
        assert refined[step]["frechet_pixels"] != known[step]["frechet_pixels"]
    assert "sets of samples, " in capsys.readouterr().out


def test_what_cannot_be_refined_is_one_line(finished_run, tmp_path, capsys):
    folder = tmp_path / finished_run.name
    shutil.copytree(finished_run, folder, symlinks=True)
    for arguments, code, what in (
        (["--refine=mem", "--out=x.csv"], 2, "--refine: got --out beside it"),
        (["--refine=mem", "--prdc.k=5"], 2, "--refine: got --prdc.k=5 beside it"),
        (["--refine=gen"], 3, "set --quality-level"),
        (["--refine=overfit,gen", "--quality-level=1e-9"], 3, "got a time beyond step"),
        (["--refine=often"], 2, "got 'often', expected one of gen, mem, overfit"),
        (["--refine="], 2, "got '', expected one of gen, mem, overfit"),
        (["--refine=mem", "--budget=0"], 2, "--budget: got 0"),
        (["--refine=mem"], 2, "--mem-level: got 0.01 in a run of 24 samples"),
        (["--refine=mem", "--precision=nan"], 2, "--precision: got nan"),
        (["--precision=0.1"], 2, "--precision: got a value without --refine"),
    ):
        assert evaluate.main([str(folder), *arguments]) == code
        error = capsys.readouterr().err
        assert what in error and error.count("\n") == 1, arguments
    write_table(folder / "evaluations.csv", [])
    for arguments in (["--refine=mem"], ["--at=scheduled"]):
        assert evaluate.main([str(folder), *arguments]) == 3
        assert "got no rows in evaluations.csv" in capsys.readouterr().err


def test_a_quality_that_was_switched_on_later_is_read_from_there(finished_run):
    rows = {int(row["step"]): row for row in read_table(finished_run / "evaluations.csv")}
    rows[0]["frechet_pixels"] = ""
    reader = refine._reader(finished_run, "gen", refine.Levels(gen=1.0))
    assert list(reader.points(rows)) == [2, 4, 6]


def test_a_price_is_a_share_of_the_network_calls_of_the_run(finished_run, tmp_path):
    """Six updates of eight images, three calls each, and four sets of 24 samples of three steps."""
    measuring = refine._Measuring(finished_run, tmp_path)
    whole = 6 * 3 * 8 + 4 * 24 * 3
    assert measuring.price(4) == 24 * 3 / whole
    assert measuring.price(5) == (3 * 8 + 24 * 3) / whole, "one update from the checkpoint of step 4"
    assert measuring.price(1) == (3 * 8 + 24 * 3) / whole, "from the start"


class Measuring:
    """Measures at a price that is told; f_mem is what the step says."""

    size, newest, updates = 100, 10**6, 0

    def __init__(self, price):
        self.rows = {step: self.row(step, 100) for step in (0, 100, 200, 400)}
        self.price = lambda step: price

    @staticmethod
    def row(step, num_samples):
        return {"f_mem": min(1.0, step / 1000), "num_samples": num_samples}

    def measure(self, step):
        known = self.rows.get(step, {"num_samples": 0})["num_samples"]
        self.rows[step] = self.row(step, known + self.size)
        return self.rows[step]


@pytest.mark.parametrize(("price", "sets"), [(0.6, 0), (0.5, 1), (0.2, 2)])
def test_no_more_is_spent_than_the_budget(price, sets):
    reader = refine._reader(None, "mem", refine.Levels(mem=0.15))
    found = refine._refine(Measuring(price), reader, precision=0.001, budget=0.5)
    assert (found.sets, found.reached) == (sets, False)
    assert found.cost == pytest.approx(price * sets)


def test_states_that_were_made_go_on_bit_for_bit(finished_run, tmp_path):
    """Step 5 reached from step 3 that was reached from 2 is step 5 reached from 4."""
    fewer = tmp_path / finished_run.name
    shutil.copytree(finished_run, fewer, symlinks=True)
    (fewer / "checkpoints/step-00000004.ckpt").unlink()
    states = refine._Measuring(fewer, tmp_path / "a"), refine._Measuring(finished_run, tmp_path / "b")
    weights = [torch.load(each._state(5), weights_only=True)["state_dict"] for each in states if each._state(3)]
    assert [each.updates for each in states] == [1 + 2, 1 + 1]
    assert all(torch.equal(*both) for both in zip(*(each.values() for each in weights), strict=True))
