"""Stopping in the generalization window: after the samples are good, before they are copies."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import lightning.pytorch as pl

from diffmem.analysis.clocks import clocks_are_known
from diffmem.analysis.runs import read_run
from diffmem.analysis.scaling import Prediction, predict
from diffmem.analysis.timescales import MEMORIZATION_LEVEL, is_below_one_sample, tau_mem
from diffmem.analysis.window import PLATEAU_FACTOR, Rule, Window, check_rule, generalization_window
from diffmem.callbacks.checkpoint import save_checkpoint
from diffmem.callbacks.evaluation import Evaluation
from diffmem.callbacks.observer import EvaluationObserver, Row
from diffmem.callbacks.tables import table_path
from diffmem.data.subset import SubsetData
from diffmem.errors import ConfigError, DataError, parameters_of, require_one_of
from diffmem.files import read_table, write_atomic
from diffmem.roles import Role

CHECKPOINT, REPORT = "generalization.ckpt", "generalization.json"


class EarlyStopping(EvaluationObserver):
    """Keeps the best checkpoint of the generalization window and, where asked to, stops when memorization begins.

    ``checkpoints/generalization.ckpt`` is the best one so far, ``generalization.json`` says which step it is and why;
    the rule is that of :func:`diffmem.analysis.window.generalization_window`. It reads the rows of the evaluations
    alone, so that a resumed run decides as an uninterrupted one.

    Args:
        mode: None: off; ``"mark"``: keep the checkpoint and train on; ``"stop"``: end training at the onset.
        rule: ``"f_mem"`` or ``"loss_split"``, which needs no samples; ``"clocks"``: end training when τ_gen and τ_mem
            are both known, with intervals that have two ends, and keep the checkpoint that ``"f_mem"`` keeps. A study
            then needs no ``max_steps`` for every n.
        level: Threshold at which the rule declares the onset, for ``"clocks"`` the level c of τ_mem (0.01); None for
            its default.
        quality_level: Largest FID or Fréchet distance that counts as good, as the level of τ_gen; None for no bound,
            except for ``"clocks"``, which needs one.
        plateau_factor: Largest ratio to the best quality that counts as equally good.
        previous: Finished runs of the same setting at other n; from two on, τ_mem of this run is predicted, at f_mem of
            1%, or at ``level`` with ``"clocks"``.

    Raises:
        ConfigError: An unknown mode or rule, a level that is not positive, a factor below 1, or a single previous run;
            before training: the rule f_mem for a model that cannot sample.
        DataError: Before training: previous runs that cannot be read or predict nothing.
    """

    role: ClassVar[Role] = "operation"

    def __init__(
        self,
        mode: Literal["mark", "stop"] | None = None,
        rule: Rule | Literal["clocks"] = "f_mem",
        level: float | None = None,
        quality_level: float | None = None,
        plateau_factor: float = PLATEAU_FACTOR,
        previous: list[str] | None = None,
    ) -> None:
        require_one_of((None, "mark", "stop"), "early_stopping.mode", mode)
        self.ends_when_known = rule == "clocks"
        if self.ends_when_known and quality_level is None:
            raise ConfigError(
                "early_stopping.quality_level",
                got="null with the rule clocks",
                expected="the quality at τ_gen, above 0",
                remedy="set --early_stopping.quality_level, e.g. 2",
            )
        self.rule: Rule = "f_mem" if rule == "clocks" else rule
        with parameters_of("early_stopping"):
            check_rule(self.rule, level, plateau_factor, quality_level)
        self.mem_level = level if self.ends_when_known and level is not None else MEMORIZATION_LEVEL
        self.level = None if self.ends_when_known else level
        if previous is not None and len(previous) < 2:
            raise ConfigError(
                "early_stopping.previous", got=previous, expected="at least two runs", remedy="name another run"
            )
        self.mode = mode
        self.quality_level, self.plateau_factor = quality_level, plateau_factor
        self.previous = previous or []
        self.prediction: Prediction | None = None
        self.window: Window | None = None
        self._rows: list[Row] = []

    def check(self, data: SubsetData, num_samples: int, model: pl.LightningModule) -> None:
        if self.mode is None:
            return
        if self.rule == "f_mem" and num_samples == 0:
            raise ConfigError(
                "early_stopping.rule",
                got="f_mem or clocks for a model that cannot sample",
                expected="a rule without samples",
                remedy="set --early_stopping.rule=loss_split",
            )
        if self.ends_when_known and is_below_one_sample(self.mem_level, num_samples):
            raise ConfigError(
                "early_stopping.level",
                got=f"{self.mem_level:g} with {num_samples} samples, less than one of them",
                expected="a level of one sample at least",
                remedy="raise --early_stopping.level or --evaluation.num_samples",
            )
        if self.previous:
            predict_from(self.previous, data.n, level=self.mem_level)

    @property
    def needs_quality(self) -> bool:
        return self.mode is not None and self.ends_when_known

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.mode is None:
            return
        rows = read_table(table_path(trainer)) if trainer.global_step else []  # step 0 begins a new table
        self._rows = [row for row in rows if int(row["step"]) <= trainer.global_step]
        if self.previous:
            n, setting = len(trainer.datamodule.train_images), _setting(trainer)  # type: ignore[attr-defined]
            self.prediction = predict_from(self.previous, n, setting, self.mem_level)
            predicted = f"at step {self.prediction}, from {len(self.previous)} runs"
            self._say(trainer, f"f_mem ≥ {100 * self.mem_level:g}% is predicted {predicted}")
        if self._rows:
            self._decide(trainer)
            if self.window and self.window.best == trainer.global_step:  # its checkpoint may have been cut off
                self._save(trainer)

    def on_row(self, trainer: pl.Trainer, row: Row) -> None:
        if self.mode is None:
            return
        self._rows.append(row)
        self._decide(trainer)
        if self.window and self.window.best == row["step"]:
            self._save(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.window is not None:
            self._say(trainer, self.window.reason)

    def _decide(self, trainer: pl.Trainer) -> None:
        self.window = generalization_window(self._rows, self.rule, self.level, self.quality_level, self.plateau_factor)
        if self.mode == "stop":
            trainer.should_stop |= self._has_ended()
        if trainer.is_global_zero:
            report = {**vars(self.window), "rule": self.rule, "prediction": self.prediction and vars(self.prediction)}
            write_atomic(Path(trainer.default_root_dir) / REPORT, json.dumps(report, indent=2) + "\n")
        if self.window.best is None and trainer.is_global_zero:
            _checkpoint(trainer).unlink(missing_ok=True)

    def _has_ended(self) -> bool:
        if self.ends_when_known:
            assert self.quality_level is not None
            return clocks_are_known(self._rows, self.quality_level, self.mem_level)
        return self.window is not None and self.window.onset is not None

    @staticmethod
    def _save(trainer: pl.Trainer) -> None:
        save_checkpoint(trainer, trainer.lightning_module, _checkpoint(trainer))

    @staticmethod
    def _say(trainer: pl.Trainer, sentence: str) -> None:
        if trainer.is_global_zero:
            print(f"early stopping: {sentence}", flush=True)


def _checkpoint(trainer: pl.Trainer) -> Path:
    return Path(trainer.default_root_dir) / "checkpoints" / CHECKPOINT


def _setting(trainer: pl.Trainer) -> object:
    """That of the run, where the command line has named it."""
    identities = [each.identity for each in trainer.callbacks if isinstance(each, Evaluation)]  # type: ignore[attr-defined]
    return next((identity.get("setting") for identity in identities), None)


def predict_from(
    runs: Sequence[str | Path], n: int, setting: object = None, level: float = MEMORIZATION_LEVEL
) -> Prediction:
    """τ_mem at ``n`` training images from finished runs at other n, with a prediction interval.

    Args:
        runs: Folders of runs.
        n: Number of training images.
        setting: What their column ``setting`` must say; None for any, the same in all.
        level: f_mem at τ_mem.

    Raises:
        DataError: A run cannot be read, the runs are of different settings, or they do not predict anything.
    """
    found = [read_run(Path(each)) for each in runs]
    settings = {run.identity.get("setting") for run in found} | ({setting} if setting is not None else set())
    if len(settings) > 1:
        raise DataError(
            "early_stopping.previous",
            got=f"runs of {len(settings)} settings",
            expected="runs that differ from this one in n, index, seed and length alone",
            remedy="name runs of this model and optimizer at other n",
        )
    estimates = [tau_mem(run.column("step"), run.column("f_mem"), run.num_samples, level=level) for run in found]
    return predict([run.n for run in found], estimates, n)
