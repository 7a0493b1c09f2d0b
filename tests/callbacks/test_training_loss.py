"""The columns of metrics.csv, on a run of a few updates by hand."""

from types import SimpleNamespace

import pytest
import torch
from hand_made import trainer

from diffmem.callbacks import TrainingLoss, training_loss
from diffmem.callbacks.training_loss import metrics_path
from diffmem.errors import DivergenceError
from diffmem.files import read_table

MODULE = SimpleNamespace(device=torch.device("cpu"))


def train(monkeypatch, folder, losses, accumulated, every_n_steps=2, max_steps=5):
    """Rows of updates of 1 s, half of it evaluation, from the second row on another rate."""
    clock, evaluating = [10.0], [3.0]
    monkeypatch.setattr(training_loss.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(training_loss, "seconds_evaluating", lambda _: evaluating[0])
    group = {"lr": 0.1}
    run = trainer(folder, max_steps=max_steps, accumulate_grad_batches=accumulated, world_size=1,
                  optimizers=[SimpleNamespace(param_groups=[group])])  # fmt: skip
    callback = TrainingLoss(every_n_steps)
    callback.on_train_start(run, MODULE)
    for number, loss in enumerate(losses, start=1):
        run.global_step, group["lr"] = number // accumulated, 0.1 if number < 5 else 0.05
        clock[0] += 1 / accumulated
        evaluating[0] += 0.5 / accumulated
        callback.on_train_batch_end(run, MODULE, {"loss": torch.tensor(loss / accumulated)}, None, number)
    return [{name: float(value) for name, value in row.items()} for row in read_table(metrics_path(run))]


def test_rows_are_means_since_the_row_before_with_the_rate_and_the_time(monkeypatch, tmp_path):
    rows = train(monkeypatch, tmp_path, [1.0, 3.0, 5.0, 6.0, 9.0], accumulated=1)
    assert rows == [
        {"step": 2, "loss": 2.0, "lr": 0.1, "seconds": 2.0, "seconds_evaluating": 1.0},
        {"step": 4, "loss": 5.5, "lr": 0.1, "seconds": 2.0, "seconds_evaluating": 1.0},
        {"step": 5, "loss": 9.0, "lr": 0.05, "seconds": 1.0, "seconds_evaluating": 0.5},
    ]


def test_the_loss_of_accumulated_batches_is_their_mean(monkeypatch, tmp_path):
    rows = train(monkeypatch, tmp_path, [1.0, 3.0, 5.0, 7.0], accumulated=2, max_steps=2)
    assert [(row["step"], row["loss"]) for row in rows] == [(2, 4.0)]


def test_a_loss_that_is_no_number_ends_the_run_and_its_update_is_named(monkeypatch, tmp_path):
    with pytest.raises(DivergenceError, match="step 3"):
        train(monkeypatch, tmp_path, [1.0, 2.0, float("nan"), 4.0, 5.0], accumulated=1, every_n_steps=4)


def test_losses_of_a_resumed_run_are_replaced_in_one_step(tmp_path, monkeypatch):
    path, written = tmp_path / "metrics.csv", []
    path.write_text("step,loss\n2,0.5\n4,0.4\n")
    trainer = SimpleNamespace(default_root_dir=tmp_path, global_step=2, max_steps=6, is_global_zero=True, callbacks=[])
    monkeypatch.setattr(training_loss, "write_table", lambda path, rows: written.append((path.exists(), rows)))
    training_loss.TrainingLoss().on_train_start(trainer, SimpleNamespace(device=torch.device("cpu")))
    assert written == [(True, [{"step": "2", "loss": "0.5"}])]
