"""What an optimizer or a schedule cannot do is known before a run."""

import inspect
import logging
import warnings

import lightning.pytorch as pl
import pytest
import torch
from bad_values import parsed_values, parser_of

from diffmem.config.parser import CLI, MAKING_ERRORS
from diffmem.config.rehearsal import check_size, rehearse
from diffmem.data import SymmetricMixture
from diffmem.errors import ConfigError
from diffmem.models import DDPM
from diffmem.networks import ResidualMLP

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
#: What no command line gives: functions, and schedules in schedules.
CODE = ("LambdaLR", "MultiplicativeLR", "ChainedScheduler", "SequentialLR")
STEPS = 3


def of(name, **arguments):
    return {"class_path": f"torch.optim.{name}", "init_args": arguments}


class Trained(DDPM):
    """The smallest network, with an optimizer and a schedule made as the command line makes them."""

    def __init__(self, optimizer, scheduler=None):
        super().__init__(ResidualMLP(dim=2, width=4, dropout=0.0))
        self.made = optimizer(self.network.parameters())
        self.schedule_made = scheduler and scheduler(self.made)

    def configure_optimizers(self):
        return CLI.configure_optimizers(self, self.made, self.schedule_made)


@pytest.fixture(scope="module")
def points():
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    data = SymmetricMixture(n=4, num_test=2, dimension=2)
    data.setup()
    return data


def assert_trains_or_is_refused(points, folder, chosen, scheduler=None):
    """Whether it trains: all updates of a run, or the refusal in one line, which comes before a run."""
    try:
        rehearse(chosen, scheduler, STEPS)
    except ConfigError as error:
        assert "\n" not in str(error)
        return False
    try:
        model = Trained(*(made and part(made) for made in (chosen, scheduler)))
    except MAKING_ERRORS as error:  # which the command line says in one line, of its key
        assert str(error)
        return False
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(max_steps=STEPS, accelerator="cpu", devices=1, default_root_dir=folder, **quiet)
    trainer.fit(model, datamodule=points)
    assert trainer.global_step == STEPS
    return True


def part(chosen):
    """``chosen`` but for what it is an optimizer or a schedule of."""
    cls = getattr(torch.optim.lr_scheduler, name_of(chosen), None) or getattr(torch.optim, name_of(chosen))
    return lambda of: cls(of, **chosen["init_args"])


def name_of(chosen):
    return chosen["class_path"].rpartition(".")[2]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_value_of_an_optimizer_trains_or_is_refused_before_a_run(name, points, tmp_path):
    trains = assert_trains_or_is_refused(points, tmp_path, of(name, lr=0.01))
    assert trains == (name not in ("SparseAdam", "Muon"))  # dense gradients; biases
    parser, keys = parser_of("optimizer", getattr(torch.optim, name), skip=["params"], lr=0.01)
    assert "optimizer.lr" in keys
    for _, _, namespace in parsed_values(parser, keys):
        assert_trains_or_is_refused(points, tmp_path, of(name, **vars(namespace["optimizer"])))
    assert not assert_trains_or_is_refused(points, tmp_path, of(name, lr=-1.0))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in SCHEDULES if name not in CODE])
def test_every_value_of_a_schedule_trains_or_is_refused_before_a_run(name, points, tmp_path):
    needed = {"gamma": 0.5, "step_size": 2, "milestones": [2], "T_0": 2, "T_max": 2, "total_steps": 4,
              "total_iters": 2, "max_lr": 0.1, "base_lr": 0.01}  # fmt: skip
    cls = getattr(torch.optim.lr_scheduler, name)
    known = {key: needed[key] for key in inspect.signature(cls).parameters if key in needed}
    sgd = of("SGD", lr=0.01, momentum=0.5)
    assert assert_trains_or_is_refused(points, tmp_path, sgd, of(f"lr_scheduler.{name}", **known))
    parser, keys = parser_of("schedule", cls, skip=["optimizer"], **known)
    assert keys
    for _, _, namespace in parsed_values(parser, keys):
        assert_trains_or_is_refused(points, tmp_path, sgd, of(f"lr_scheduler.{name}", **vars(namespace["schedule"])))


@pytest.mark.parametrize(
    ("optimizer", "scheduler", "what"),
    [
        (of("SparseAdam", lr=0.1), None, "optimizer: got SparseAdam.*dense gradients"),
        (of("Adam", lr=0.1, weight_decay=-1), None, "optimizer: got Adam.*Invalid weight_decay"),
        (of("SGD", lr=0.1), of("lr_scheduler.StepLR", step_size=0), "lr_scheduler: got StepLR"),
        (
            of("SGD", lr=0.1),
            of("lr_scheduler.ConstantLR", factor=0, total_iters=5),
            "lr_scheduler: got ConstantLR, which fails .float division by zero.",
        ),
        (
            of("SGD", lr=0.1),
            of("lr_scheduler.OneCycleLR", max_lr=0.1, total_steps=2),
            "OneCycleLR, which fails .2 steps, and trainer.max_steps is 6.",
        ),
        (of("SGD", lr=0.1), of("lr_scheduler.LambdaLR", lr_lambda=lambda step: -step), "learning rate of -"),
    ],
)
def test_the_refusal_names_the_key(optimizer, scheduler, what):
    with pytest.raises(ConfigError, match=what):
        rehearse(optimizer, scheduler, max_steps=6)


def test_many_losses_an_update_are_said():
    with pytest.warns(UserWarning, match="LBFGS computes the loss up to 20 times an update"):
        rehearse(of("LBFGS", lr=0.1), None, STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rehearse(of("SGD", lr=0.1), None, STEPS)


def test_a_network_is_counted_without_room_for_it_and_draws_nothing():
    state = torch.get_rng_state()
    check_size({"class_path": "diffmem.networks.UNet", "init_args": {"base_channels": 32}})
    check_size({"class_path": "diffmem.networks.UNet", "init_args": {"base_channels": 7}})  # refused when it is made
    check_size({"class_path": "mine.Net", "init_args": {}})  # which may do anything when it is made
    check_size(None)
    with pytest.raises(ConfigError, match=r"model\.network: got [\d,]+ weights, which takes at least"):
        check_size({"class_path": "diffmem.networks.UNet", "init_args": {"base_channels": 16_000}})
    assert torch.equal(torch.get_rng_state(), state)
