"""The command line: from config files and overrides to a model, data and a trainer."""

import json
import logging
import sys
import warnings
from argparse import ArgumentError
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.accelerators import MPSAccelerator
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch.optim import Optimizer

from diffmem import rng
from diffmem.callbacks import GROUPS
from diffmem.config.explain import explain, user_error_behind
from diffmem.config.identify import identify
from diffmem.config.keys import Key, keys_of
from diffmem.config.refusals import check_config, warn_of_slow_precision
from diffmem.config.rehearsal import check_size, rehearse
from diffmem.errors import ConfigError, ParameterError
from diffmem.jobs import launch
from diffmem.runs.identity import RunIdentity
from diffmem.shipped import with_shipped_configs

_LINKS = {
    "seed": ("model.init_args.seed", "data.init_args.seed", "evaluation.seed", "losses.seed", "scores.seed"),
    "memorization.threshold": ("pictures.threshold", "per_class.threshold", "hits.threshold"),
    "memorization.features": ("ratios.features", "hits.features", "copying.features", "prdc.features"),
    "model.init_args.num_steps": ("model.init_args.network.init_args.num_steps",),
}

_TRAINER_DEFAULTS: dict[str, Any] = {
    "devices": 1,  # networks this small gain more from a run on each GPU than from one on all
    "max_epochs": -1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "use_distributed_sampler": False,
}


#: What the constructors of a config's classes raise where they cannot use a value.
MAKING_ERRORS = (ValueError, TypeError, RuntimeError, ArithmeticError, ImportError, KeyError, MisconfigurationException)

_DESCRIPTION = (
    "Train one run and measure it: --config FILE [--config FILE …] [--key=value …]. The keys below are those of the "
    "run and its measurements; --model.help DDPM, --data.help Digits, --optimizer.help Adam, … show those of a class."
)


class CLI(LightningCLI):
    """Parses the command line and makes ``model``, ``datamodule`` and ``trainer``.

    Args:
        args: Command-line arguments; None for those of the process.

    Attributes:
        identity: What names the run.
        keys: Every key with its value and role.
        plain_config: The complete config as plain values.

    Raises:
        ConfigError: The command line or a config file cannot be parsed, or a value cannot be used.
        SystemExit: Help or the config was asked for and has been printed (code 0).
    """

    identity: RunIdentity
    keys: list[Key]
    plain_config: dict[str, Any]

    def __init__(self, args: list[str] | None = None) -> None:
        _quiet()
        super().__init__(
            pl.LightningModule,
            pl.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,  # it raises when a run is resumed
            trainer_defaults=_TRAINER_DEFAULTS,
            # plain "omegaconf" resolves each file's interpolations on its own
            parser_kwargs={
                "prog": "python -m diffmem.fit",
                "description": _DESCRIPTION,
                "parser_mode": "omegaconf+",
                "exit_on_error": False,
                "allow_abbrev": False,
            },
            args=args,
            run=False,
            load_from_checkpoint_support=False,
        )

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--seed", type=int, default=0, help="Seed of every random number of the run.")
        parser.add_argument("--run_root", type=str, default="runs", help="Folder that holds the runs of all studies.")
        parser.add_argument(
            "--adopt", type=str, help="Folder of a run of an earlier version with the same training, to go on with."
        )
        parser.add_argument("--study", type=str, default="study", help="Name of the study, a folder in run_root.")
        parser.add_argument(
            "--overwrite",
            type=bool,
            default=False,
            help="Whether to empty the run's folder and train anew.",
        )
        parser.add_argument(
            "--threads", type=int, help="CPU threads of each process, which change numbers by rounding; null: all."
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        for group, callback in GROUPS.items():
            parser.add_lightning_class_args(callback, group)
        for source, targets in _LINKS.items():
            for target in targets:
                parser.link_arguments(source, target)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        self._arguments = with_shipped_configs(sys.argv[1:] if args is None else args)
        _refuse_linked_keys(self._arguments)
        try:
            super().parse_arguments(parser, self._arguments)
        except (ArgumentError, ValueError) as error:
            cause: Exception = error
        else:
            return
        keys = [key for key, _ in parser.get_defaults().items()]
        raise user_error_behind(cause) or explain(cause, self._arguments, keys)

    def instantiate_classes(self) -> None:
        rehearse(self.config["optimizer"], self.config.get("lr_scheduler"), self.config["trainer"]["max_steps"])
        check_size(self.config["model"]["init_args"].get("network"))
        try:
            super().instantiate_classes()
        except MAKING_ERRORS as error:
            cause: Exception = error
        else:
            return
        error = user_error_behind(cause)
        # of the classes that a config names, the network alone knows of no config
        raise (
            error.under("model.network")
            if isinstance(error, ParameterError)
            else error or explain(cause, self._arguments, ())
        )

    @staticmethod
    def configure_optimizers(
        lightning_module: pl.LightningModule, optimizer: Optimizer, lr_scheduler: Any = None
    ) -> Any:
        """The rate changes with every update: the one epoch of a run never ends."""
        if lr_scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": lr_scheduler, "interval": "step"}}

    def _set_seed(self) -> None:
        rng.seed_global(self.config["seed"], "weights")

    def before_instantiate_classes(self) -> None:
        check_config(self.config)
        if self.config["threads"] is not None:
            torch.set_num_threads(self.config["threads"])
        plain = self.parser.dump(self.config, format="json", skip_none=False)
        self.plain_config = json.loads(plain)
        self.keys = list(keys_of(self.plain_config, GROUPS))
        self.identity = identify(self.plain_config)

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        plugins = self.config_init["trainer"]["plugins"] or []
        plugins = [*(plugins if isinstance(plugins, list) else [plugins]), launch.environment()]
        if self.config_init["trainer"]["accelerator"] == "auto" and MPSAccelerator.is_available():
            kwargs["accelerator"] = "cpu"
        try:
            trainer = super().instantiate_trainer(default_root_dir=self.folder, plugins=plugins, **kwargs)
        except MAKING_ERRORS as error:
            got, expected = " ".join(str(error).split()).rstrip("."), "options that Lightning takes"
            raise ConfigError("trainer", got=got, expected=expected, remedy="change --trainer.…") from error
        warn_of_slow_precision(trainer)
        self.config_init["checkpoint"].run = self.identity.config_hash
        evaluation, wandb = self.config_init["evaluation"], self.config_init["wandb"]
        num_parameters = sum(parameter.numel() for parameter in self.model.parameters())
        row = {**self.identity.row, **_data_columns(self.datamodule)}
        evaluation.identity = {**row, "num_parameters": num_parameters}
        wandb.config = {**self.plain_config, "identity": row}
        return trainer

    @property
    def folder(self) -> Path:
        """The run's folder, ``RUN_ROOT/<study>/<name>``."""
        return Path(self.config["run_root"]) / self.identity.study / self.identity.name


def _data_columns(data: pl.LightningDataModule) -> dict[str, str | int]:
    """The identity columns of data with labels, and of a held-out set other than the first."""
    labels, test_index = getattr(data, "labels", None), getattr(data, "test_index", 0)
    told = {"labels": labels.name} if labels and labels.kind != "none" else {}
    return {**told, **({"test_index": test_index} if test_index else {})}


def _refuse_linked_keys(args: list[str]) -> None:
    """The parser would overwrite such a key without a word."""
    given = {arg.partition("=")[0].lstrip("-").replace(".init_args", "") for arg in args if arg.startswith("--")}
    for source, targets in _LINKS.items():
        for target in (each.replace(".init_args", "") for each in targets):
            if target in given:
                key = source.replace(".init_args", "")
                raise ConfigError(target, got="a value", expected=f"none, for it follows {key}", remedy=f"set --{key}")


def _quiet() -> None:
    """Lightning's greetings, and its advice on workers, epochs and arguments, which does not apply here."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*callbacks used to create the checkpoint need to be provided.*",
        ".*dataloader is not resumable.*",
        ".*is deprecated, use.*treespec.*",
        ".*args parameter is intended to run from within Python.*",
        ".*`srun` command is available.*",
    ):
        warnings.filterwarnings("ignore", message)
    warnings.formatwarning = _in_one_line


def _in_one_line(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: Any = None) -> str:
    """A warning of diffmem's own as its errors are; another one with the place it comes from."""
    where = "diffmem" if Path(__file__).parent.parent in Path(filename).parents else f"{filename}:{lineno}"
    return f"{where}: warning: {message}\n"
