"""What an optimizer or a schedule cannot do is known before a run."""

import inspect
import warnings

import pytest
import torch

from diffmem.config.rehearsal import rehearse
from diffmem.errors import ConfigError

OPTIMIZERS = sorted(
    name
    for name, member in vars(torch.optim).items()
    if inspect.isclass(member) and issubclass(member, torch.optim.Optimizer) and member is not torch.optim.Optimizer
)
SCHEDULES = sorted(
    name
    for name, member in vars(torch.optim.lr_scheduler).items()
    if inspect.isclass(member)
    and issubclass(member, torch.optim.lr_scheduler.LRScheduler)
    and name not in ("LRScheduler", "_LRScheduler", "ReduceLROnPlateau")
)
BAD = (-1, 0, -0.5, float("nan"), float("inf"), "x", "", [], {}, None, [-1, 2])


def outcome(optimizer, scheduler=None):
    """The refusal in one line, or None."""
    try:
        rehearse(optimizer, scheduler)
    except ConfigError as error:
        assert "\n" not in str(error)
        return str(error)
    return None


def of(name, **arguments):
    return {"class_path": f"torch.optim.{name}", "init_args": arguments}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_value_of_an_optimizer_works_or_is_refused(name):
    usual = outcome(of(name, lr=0.01))
    assert (usual is None) == (name != "SparseAdam"), usual
    parameters = list(inspect.signature(getattr(torch.optim, name)).parameters)[1:]
    for parameter in parameters:
        for value in BAD:
            outcome(of(name, **{"lr": 0.01, parameter: value}))
    assert outcome(of(name, lr=-1)) is not None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_value_of_a_schedule_works_or_is_refused(name):
    needed = {"gamma": 0.5, "step_size": 2, "milestones": [2], "T_0": 2, "T_max": 5, "total_steps": 9,
              "lr_lambda": lambda step: 1.0, "max_lr": 0.1, "base_lr": 0.01}  # fmt: skip
    signature = inspect.signature(getattr(torch.optim.lr_scheduler, name)).parameters
    parameters = [each for each in signature if each not in ("optimizer", "verbose")]
    known = {each: needed[each] for each in parameters if each in needed}
    for parameter in parameters:
        for value in BAD:
            outcome(of("SGD", lr=0.01), of(f"lr_scheduler.{name}", **{**known, parameter: value}))
    composed = name in ("ChainedScheduler", "SequentialLR")
    assert composed or outcome(of("SGD", lr=0.01), of(f"lr_scheduler.{name}", **known)) is None


@pytest.mark.parametrize(
    ("optimizer", "scheduler", "what"),
    [
        (of("SparseAdam", lr=0.1), None, "optimizer: got SparseAdam.*dense gradients"),
        (of("Adam", lr=0.1, weight_decay=-1), None, "optimizer: got Adam.*Invalid weight_decay"),
        (of("SGD", lr=0.1), of("lr_scheduler.StepLR", step_size=0), "lr_scheduler: got StepLR"),
        (of("SGD", lr=0.1), of("lr_scheduler.LambdaLR", lr_lambda=lambda step: -step), "learning rate of -"),
    ],
)
def test_the_refusal_names_the_key(optimizer, scheduler, what):
    with pytest.raises(ConfigError, match=what):
        rehearse(optimizer, scheduler)


def test_many_losses_an_update_are_said():
    with pytest.warns(UserWarning, match="LBFGS computes the loss up to 20 times an update"):
        rehearse(of("LBFGS", lr=0.1), None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rehearse(of("SGD", lr=0.1), None)
