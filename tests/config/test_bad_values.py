"""Each of a set of bad values of each key works or is refused in one line, before anything is written.

The keys are those of the signatures: of Lightning's ``Trainer``, of every callback that has a group, of the data and
networks. Optimizers and schedules: ``test_rehearsal.py``. What is parsed, made, checked and, where it is taken, used
for a step is each class on its own, for a whole command line takes a second. The last of the bad values is one that no
machine has room for.
"""

import inspect
import itertools
import logging
import warnings

import lightning.pytorch as pl
import pytest
import torch
from bad_values import HUGE, parsed_values, parser_of
from hand_made import snapshot
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from small_run import SMALL

from diffmem import data, networks
from diffmem.callbacks import GROUPS, EvaluationObserver
from diffmem.config.parser import CLI, MAKING_ERRORS
from diffmem.config.refusals import check_config
from diffmem.config.rehearsal import check_size
from diffmem.errors import UserError, as_user_error


def assert_one_line(error, key):
    assert "\n" not in str(error)
    assert str(error).count("; ") >= 1, f"{key}: {error} has no remedy"


@pytest.fixture(scope="module")
def small_cli():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["diffmem"])
        cli = CLI([*SMALL, "--run_root=/nowhere"])
    cli.datamodule.setup("fit")
    return cli


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_refuses_what_it_cannot_use(group, small_cli, tmp_path):
    made = None
    parser, keys = parser_of(group, GROUPS[group])
    images = torch.rand(12, 1, 4, 4)
    for key, value, namespace in parsed_values(parser, keys):
        try:
            made = parser.instantiate_classes(namespace)[group]
            if isinstance(made, EvaluationObserver):
                made.check(small_cli.datamodule, 24, small_cli.model)
        except UserError as error:
            assert_one_line(error, key)
            assert key.rpartition(".")[2] in str(error) or group in str(error), error
            continue
        needs_more = group in ("scores", "likelihood", "losses", "fid")  # a model, a law or weights
        if value != HUGE and isinstance(made, EvaluationObserver) and not needs_more:
            made.measure(snapshot(images[:5] + 0.01, images[:6], images[6:], tmp_path))


class Linear(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch, batch_idx):
        return self.layer(batch).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Endless:
    """Batches without an end and a length, as those of a run."""

    def __iter__(self):
        return itertools.repeat(torch.ones(1, 2))


def test_an_option_of_the_trainer_works_or_is_refused(small_cli, tmp_path):
    usual = {"max_steps": 2, "accelerator": "cpu", "devices": 1, "logger": False, "enable_checkpointing": False,
             "enable_progress_bar": False, "enable_model_summary": False, "default_root_dir": None}  # fmt: skip
    parser, keys = parser_of("trainer", pl.Trainer, **usual)
    taken = []
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for key, value, namespace in parsed_values(parser, keys):
        config, options = small_cli.config.clone(), namespace["trainer"]
        config[key] = options[key.partition(".")[2]]
        try:
            check_config(config)
        except UserError as error:
            assert_one_line(error, key)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                trainer = pl.Trainer(**{**vars(options), "default_root_dir": tmp_path})
            except MAKING_ERRORS as error:
                assert isinstance(error, MisconfigurationException) or str(error), f"{key}={value} is refused unsaid"
                continue
            except MemoryError as error:
                assert as_user_error(error)
                continue
            if key in ("trainer.devices", "trainer.num_nodes", "trainer.logger"):
                continue
            trainer.fit(Linear(), Endless())
            assert trainer.global_step == 2, f"{key}={value} ends at step {trainer.global_step}"
            taken.append((key, value))
    assert len(taken) > 40
    assert {("trainer.max_epochs", "0"), ("trainer.limit_train_batches", "0")}.isdisjoint(taken)


@pytest.mark.parametrize("name", ["Digits", "Patches", "SymmetricMixture"])
def test_data_refuse_what_they_cannot_give(name):
    parser, keys = parser_of("data", getattr(data, name), n=4, num_test=4)
    for key, _, namespace in parsed_values(parser, keys):
        try:
            made = parser.instantiate_classes(namespace)["data"]
            made.check()
            made.setup("fit")
        except UserError as error:
            assert_one_line(error, key)
            continue
        batch = next(iter(made.train_dataloader()))
        assert len(made.transfer_batch_to_device(batch, torch.device("cpu"), 0).images) == made.batch_size


@pytest.mark.parametrize("name", networks.__all__)
def test_a_network_refuses_what_it_cannot_be(name):
    cls = getattr(networks, name)
    known = {"dim": 4, "width": 8, "base_channels": 8, "t": 0.1}
    defaults = {key: value for key, value in known.items() if key in inspect.signature(cls).parameters}
    parser, keys = parser_of("network", cls, **defaults)
    for key, value, namespace in parsed_values(parser, keys):
        try:
            check_size({"class_path": f"diffmem.networks.{name}", "init_args": vars(namespace["network"])})
            parser.instantiate_classes(namespace)
        except UserError as error:
            assert "\n" not in str(error)
        except MAKING_ERRORS as error:  # of torch's layers: the command line says which section it is of
            assert str(error), f"{key}={value} is refused unsaid"
