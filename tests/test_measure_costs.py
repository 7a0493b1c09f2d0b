"""Costs on a clock that is told what each part takes."""

import shutil

import measure_costs
import pytest

from diffmem.callbacks import Losses, Memorization, observer
from diffmem.callbacks.generated import GeneratedSamples
from diffmem.models import DDPM
from diffmem.revisit.reopen import ReopenedRun, saved_steps

#: Seconds of a call, after those before it have taken 100.
SECONDS = {"sample": 10.0, "neighbours": 0.5, "memorization": 2.0, "losses": 3.0, "update": 0.25}
#: Calls that come before what is measured: a first evaluation, two updates.
FIRST = {"sample": 1, "neighbours": 3, "memorization": 1, "losses": 1, "update": 2}


@pytest.fixture
def clock(monkeypatch):
    now, calls = [0.0], dict.fromkeys(SECONDS, 0)
    monkeypatch.setattr(measure_costs.time, "process_time", lambda: now[0])

    def takes(name, owner, attribute):
        original = getattr(owner, attribute)

        def call(*arguments, **keywords):
            calls[name] += 1
            now[0] += SECONDS[name] if calls[name] > FIRST[name] else 100
            return original(*arguments, **keywords)

        monkeypatch.setattr(owner, attribute, call)

    takes("sample", GeneratedSamples, "draw")
    takes("neighbours", observer, "nearest_over_versions")
    takes("memorization", Memorization, "measure")
    takes("losses", Losses, "measure")
    takes("update", DDPM, "training_step")
    return now


def test_each_part_has_its_own_time_without_what_is_done_once_a_run(finished_run, clock):
    run = ReopenedRun(finished_run)
    run.load(saved_steps(finished_run)[6])
    costs = measure_costs.costs_of(run)
    known = {"samples": 10, "neighbours": 1.5, "Memorization": 2, "Losses": 3}
    assert costs == {**dict.fromkeys(costs, 0), **known}, "neighbours are no cost of the first who asks for them"
    assert {"Ratios", "Hits", "Frechet", "PRDC", "Copying"} <= set(costs)
    assert measure_costs.seconds_of_update(run) == 0.25, "the mean of twenty, after two that do not count"


def test_shares_are_those_of_an_evaluation_and_of_the_run(finished_run, clock, capsys):
    """Four evaluations of 16.5 seconds and six updates of a quarter."""
    assert measure_costs.main([str(finished_run), "--prdc.k=3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "6 updates of 250.0 ms, 4 evaluations of 16.50 s"
    shares = {line.split()[0]: line.split()[1:] for line in lines[2:]}
    assert list(shares)[:4] == ["samples", "Losses", "Memorization", "neighbours"], "the dearest first"
    assert shares["samples"] == ["10.000", f"{10 / 16.5:.1%}", f"{40 / 67.5:.1%}"]
    assert shares["neighbours"] == ["1.500", f"{1.5 / 16.5:.1%}", f"{6 / 67.5:.1%}"]
    assert shares["PRDC"][0] == "0.000"


def test_a_measure_that_is_switched_on_is_timed(finished_run, monkeypatch):
    from diffmem.callbacks import prdc

    called = []
    original = prdc.prdc
    monkeypatch.setattr(prdc, "prdc", lambda *arguments: called.append(arguments[2]) or original(*arguments))
    monkeypatch.setattr(measure_costs, "_UPDATES", 1)
    assert measure_costs.main([str(finished_run), "--prdc.k=3"]) == 0
    assert called == [3, 3]


def test_the_run_stays_as_it_is_and_one_without_weights_is_refused(finished_run, tmp_path, capsys):
    copy = shutil.copytree(finished_run, tmp_path / "root/digits" / finished_run.name)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert measure_costs.main([str(copy)]) == 0
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    shutil.rmtree(copy / "checkpoints")
    capsys.readouterr()
    assert measure_costs.main([str(copy)]) == 3
    assert "no checkpoint" in capsys.readouterr().err
