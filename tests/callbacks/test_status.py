"""How old the status of a run may become."""

import json

import pytest
from hand_made import trainer

from diffmem.callbacks import Status, status


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(status.time, "time", lambda: now[0])
    return now


def test_it_is_renewed_within_an_evaluation_and_no_oftener_than_asked_for(clock, tmp_path):
    report, run = Status(every_seconds=10), trainer(tmp_path, step=4)
    written = []
    report.on_train_start(run, None)
    for _ in range(25):  # calls of the network, a second each
        (tmp_path / "status.json").unlink(missing_ok=True)
        clock[0] += 1
        report.on_sampling(run, None)
        if (tmp_path / "status.json").exists():
            found = json.loads((tmp_path / "status.json").read_text())
            written.append((clock[0] - 100, found["state"], found["step"]))
    assert written == [(10, "running", 4), (20, "running", 4)]


def test_a_reason_is_one_line_and_a_stop_is_none(clock, tmp_path):
    report, run = Status(), trainer(tmp_path, step=4)
    report.on_train_start(run, None)
    report.on_exception(run, None, RuntimeError("two\nlines"))
    found = json.loads((tmp_path / "status.json").read_text())
    assert (found["state"], found["reason"]) == ("failed", "RuntimeError: two lines")
    report.on_exception(run, None, status.StopRequested(requeue=False))
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "requeued"
