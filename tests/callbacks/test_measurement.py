"""The state in which a model is measured."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from diffmem.callbacks import Evaluation, EvaluationObserver
from diffmem.callbacks.measurement import Measurement, RunAtStep, evaluating
from diffmem.errors import DivergenceError

TRAINER = SimpleNamespace(
    strategy=SimpleNamespace(precision_plugin=SimpleNamespace(forward_context=nullcontext)),
    callbacks=[],
    accumulate_grad_batches=1,
)


def test_no_gradient_outlives_its_update_into_an_evaluation():
    """With CUDA graphs its memory is the next call's, and reading it, as the end of a run does, an error."""
    module = torch.nn.Linear(2, 2)
    module(torch.ones(2)).sum().backward()
    with evaluating(TRAINER, module):
        assert all(each.grad is None for each in module.parameters())


def test_every_module_gets_its_own_mode_back():
    module = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Dropout().eval())
    with pytest.raises(KeyError), evaluating(TRAINER, module):
        assert not any(each.training for each in module.modules())
        assert not torch.is_grad_enabled()
        raise KeyError
    assert [each.training for each in module.modules()] == [True, True, False]


class Broken(torch.nn.Module):
    device = torch.device("cpu")

    def sample(self, x, sampler, noise):
        return torch.where(x > 0, x, torch.nan)


def test_samples_that_are_no_numbers_end_a_run_and_name_the_step():
    data = SimpleNamespace(train_images=torch.zeros(4, 2), test_images=torch.zeros(4, 2), batch_size=4)
    evaluation = Evaluation(num_samples=3, sampling_steps=2)
    with pytest.raises(DivergenceError, match="7"):
        Measurement(RunAtStep(TRAINER, Broken(), data, 7, None), evaluation.samples).row(evaluation.views[""])


def test_what_reads_samples_is_not_asked_where_there_are_none():
    class Reads(EvaluationObserver):
        needs_samples = True

        def measure(self, snapshot):
            raise AssertionError

    module = torch.nn.Linear(2, 2)
    module.device = torch.device("cpu")
    data = SimpleNamespace(train_images=torch.zeros(4, 2), test_images=torch.zeros(4, 2), batch_size=4)
    trainer = SimpleNamespace(**{**vars(TRAINER), "callbacks": [Reads()]})
    row = Evaluation().measure(RunAtStep(trainer, module, data, 7, None))
    assert (row["step"], row["num_samples"], row["sampler"]) == (7, 0, None)


def test_a_further_set_of_samples_asks_those_who_read_them_alone():
    class Column(EvaluationObserver):
        def __init__(self, needs_samples):
            self.needs_samples = needs_samples

        def measure(self, snapshot):
            return {f"reads {self.needs_samples}": len(snapshot.samples)}

    data = SimpleNamespace(train_images=torch.zeros(4, 2), test_images=torch.zeros(4, 2), batch_size=4)
    model, trainer = Broken(), SimpleNamespace(**{**vars(TRAINER), "callbacks": [Column(True), Column(False)]})
    model.sample = lambda x, sampler, noise: x
    at, evaluation = RunAtStep(trainer, model, data, 7, None), Evaluation(num_samples=3, sampling_steps=2)
    rows = evaluation.measure(at), evaluation.measure(at, samples_only=True)
    assert [{key for key in row if "reads" in key} for row in rows] == [{"reads True", "reads False"}, {"reads True"}]
