"""The numbers of the progress line."""

import re

import pytest
import torch
from hand_made import trainer

from diffmem.callbacks import ProgressReport, progress


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


def lines(capsys):
    return [line for line in capsys.readouterr().out.splitlines() if line]


def test_a_line_says_step_loss_rate_and_time_left_and_a_row_its_measurements(clock, capsys):
    """From step 4 on, two updates a second; two batches an update."""
    report = ProgressReport(every_n_steps=3)
    run = trainer(step=4, max_steps=250, accumulate_grad_batches=2)
    report.on_train_start(run, None)
    report.on_row(run, {"step": 4, "f_mem": 0.256, "f_mem_null": 0.1, "frechet_pixels": 12.34, "fid_train": 1.0})
    for run.global_step in (5, 6, 7):
        clock[0] += 0.5
        report.on_train_batch_end(run, None, {"loss": torch.tensor(0.1 * run.global_step)}, None, 0)
    assert lines(capsys) == [
        "step 4: f_mem 25.6% · frechet_pixels 12.3",
        "step 6/250 · loss 1.2000 · 2.0 it/s · 2:02 left",
    ]


def test_a_long_evaluation_says_how_far_it_is(clock, capsys, monkeypatch):
    monkeypatch.setattr(progress, "share_sampled", lambda _: (clock[0] - 100) / 100)
    report, run = ProgressReport(), trainer(step=7, max_steps=10)
    report.on_train_start(run, None)
    for _ in range(8):
        clock[0] += 10
        report.on_sampling(run, None)
    assert lines(capsys) == [f"step 7: evaluation, {share}% of the samples drawn" for share in (30, 60)]


def test_the_last_update_has_a_line_and_the_end_the_share_of_the_evaluations(clock, capsys, monkeypatch):
    monkeypatch.setattr(progress, "seconds_evaluating", lambda _: 15.0)
    report, run = ProgressReport(every_n_steps=1000), trainer(max_steps=10)
    report.on_train_start(run, None)
    run.global_step, clock[0] = 10, 160.0
    report.on_train_batch_end(run, None, {"loss": torch.tensor(1.0)}, None, 0)
    report.on_train_end(run, None)
    last, end = lines(capsys)
    assert re.match(r"step 10/10 · loss 1\.0000 · 0\.2 it/s · 0:00 left$", last)
    assert end == "1:00, 25% of it for evaluations"


def test_hours_are_hours():
    assert [progress._duration(seconds) for seconds in (59.6, 3599, 3661)] == ["1:00", "59:59", "1:01:01"]
