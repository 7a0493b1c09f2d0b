"""Scheduled evaluation: samples are made once and every measurement reads them."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import lightning.pytorch as pl
import torch

from diffmem import ranks
from diffmem.callbacks.contract import described, require_of_model
from diffmem.callbacks.generated import GeneratedSamples
from diffmem.callbacks.measurement import Measurement, RunAtStep, evaluating
from diffmem.callbacks.observer import Row, observers_of
from diffmem.callbacks.tables import table_path
from diffmem.callbacks.updates import UpdateCallback
from diffmem.callbacks.views import View, check_labels, check_view, prepare_views
from diffmem.data.subset import SubsetData
from diffmem.diffusion.sampling import check_sampling_steps
from diffmem.errors import ConfigError, DataError, parameters_of, require_at_least
from diffmem.files import put_row, read_steps
from diffmem.limits import require_calls, require_memory
from diffmem.roles import Role
from diffmem.runs.continuation import warn_of_missing_rows
from diffmem.steps import scheduled_steps


class Evaluation(UpdateCallback):
    """At scheduled steps, draws samples and writes one row of ``evaluations.csv``.

    The columns come from the trainer's :class:`EvaluationObserver`\\ s, and from the module where it has
    ``columns(step)``. A module without ``sample`` is measured without samples. Training does not notice: no global
    random state is touched and every submodule gets its mode back.

    Args:
        steps: Which steps; see :func:`diffmem.steps.scheduled_steps`. 0 and the last step always belong to them.
        num_samples: Number of samples, over all ranks.
        sampling_steps: Number of steps of the sampler.
        batch_size: Samples per network call.
        seed: Seed of the starting noise; sample i starts from noise i, at every step and whatever the batch or rank.
        sampler: ``"ddim"``, ``"ddim:ETA"`` with η in [0, 1], or ``"ddpm"``; see :mod:`diffmem.diffusion.sampling`. The
            noise of each step of sample i is its own as well. Sample i of a conditional model has label i mod K.
        views: Further ways of looking at every scheduled step, each with a table of its own in ``views/<name>``; None
            for the default view alone. All views start from the same noise.
        budget: Largest share of the wall time that evaluations may take, in (0, 1). Scheduled steps that would exceed
            it are skipped, except step 0 and the last: which rows exist then depends on the machine, what they say
            does not. None measures at every scheduled step.

    Attributes:
        samples: Draws the samples.
        views: The views by name, with what their samples are drawn by; "" is the default one.
        identity: Columns of every row that identify the run, such as n, optimizer and seed.
        seconds: Wall time of the evaluations since training (re)started.

    Raises:
        ConfigError: A count below 1, steps of an unknown form, a budget that is no share, or a trainer without
            ``max_steps``.
    """

    roles: ClassVar[dict[str, Role]] = {
        **dict.fromkeys(("num_samples", "sampler", "sampling_steps"), "protocol"),
        **dict.fromkeys(("steps", "budget"), "operation"),
    }

    def __init__(
        self,
        steps: str | list[int] = "log:10",
        num_samples: int = 1000,
        sampling_steps: int = 200,
        batch_size: int = 256,
        seed: int = 0,
        sampler: str = "ddim",
        views: list[View] | None = None,
        budget: float | None = None,
    ) -> None:
        self.samples = GeneratedSamples(num_samples, batch_size, seed)
        self.views = prepare_views(views or (), sampler, sampling_steps)
        if budget is not None and not 0 < budget < 1:
            raise ConfigError(
                "evaluation.budget",
                got=budget,
                expected="a share of the wall time between 0 and 1, or null",
                remedy="set --evaluation.budget, e.g. 0.3",
            )
        scheduled_steps(steps, max_steps=1)
        self.steps, self.budget = steps, budget
        self._is_checked = False
        self.identity: Row = {}
        self.seconds = self._start = self._latest = 0.0
        self._schedule: Sequence[int] = ()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        require_at_least(1, "trainer", max_steps=trainer.max_steps)
        if not self._is_checked:
            self.check(trainer, pl_module, described(trainer.datamodule))  # type: ignore[attr-defined]
        self._schedule = scheduled_steps(self.steps, trainer.max_steps)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Step 0, in a new table; or the step of a checkpoint whose evaluation was cut off."""
        super().on_train_start(trainer, pl_module)
        self.seconds, self._start, self._latest = 0.0, time.perf_counter(), 0.0
        step = trainer.global_step
        if step == 0 and table_path(trainer).exists():
            raise DataError(
                str(table_path(trainer)),
                got="the table of an earlier training",
                expected="a folder of its own for each training",
                remedy="give the Trainer another default_root_dir, or move that table and samples/ away",
            )
        if step > 0 and trainer.is_global_zero and self.budget is None:
            warn_of_missing_rows(Path(trainer.default_root_dir), self._schedule, step)
        if step == 0 or (step in self._schedule and not self._is_written(trainer)):
            self.evaluate(trainer, pl_module)

    def _is_written(self, trainer: pl.Trainer) -> bool:
        return all(trainer.global_step in read_steps(table_path(trainer, name)) for name in self.views)

    def on_update(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        step = trainer.global_step
        if step in self._schedule and (step == trainer.max_steps or self._affordable(pl_module.device)):
            self.evaluate(trainer, pl_module)

    def _affordable(self, device: torch.device) -> bool:
        """Whether one more evaluation like the latest stays within the budget, as rank 0 sees it. A collective."""
        if self.budget is None:
            return True
        elapsed = time.perf_counter() - self._start
        too_dear = self.seconds + self._latest > self.budget * (elapsed + self._latest)
        return not ranks.any_rank(too_dear and ranks.rank_and_world()[0] == 0, device)

    def evaluate(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> Row:
        """Measure all views now, write their rows and return that of the default view. A collective."""
        start = time.perf_counter()
        data, folder = trainer.datamodule, Path(trainer.default_root_dir)  # type: ignore[attr-defined]
        rows = self.measure_views(RunAtStep(trainer, pl_module, data, trainer.global_step, folder))
        if trainer.is_global_zero:
            for name, row in rows.items():
                put_row(table_path(trainer, name), row)
        row = rows[""]
        for observer in observers_of(trainer):
            observer.on_row(trainer, row)
        self._latest = time.perf_counter() - start
        self.seconds += self._latest
        return row

    def check(self, trainer: pl.Trainer, model: pl.LightningModule, data: SubsetData) -> None:
        """Refuse, before anything is written, what could not be measured.

        Raises:
            ConfigError: A model without what is read of it, more sampling steps than diffusion steps, or what an
                observer refuses.
        """
        self._is_checked = True
        scheduled_steps(self.steps, trainer.max_steps)
        num_samples = self.samples.num_of(model)
        if num_samples:
            require_of_model(model, "schedule", "sample")
            for each in self.views.values():
                with parameters_of(each.view.group, num_steps="sampling_steps"):
                    check_sampling_steps(each.sampler.num_steps, model.schedule)
            on_a_node = num_samples / trainer.num_nodes * data.sample_size * 4
            require_memory("num_samples", num_samples, on_a_node, "evaluation")
            calls = num_samples * sum(each.sampler.num_steps for each in self.views.values())
            require_calls("num_samples", num_samples, calls, "evaluation")
        for each in self.views.values():
            check_view(each.view, model, trainer.callbacks)  # type: ignore[attr-defined]
        check_labels(model, data)
        observers = observers_of(trainer)
        for observer in observers:
            observer.check(data, num_samples, model)
        if any(each.needs_quality for each in observers) and not any(each.measures_quality for each in observers):
            raise ConfigError(
                "early_stopping.rule",
                got="clocks without a measure of quality",
                expected="fid or a Fréchet distance, by which τ_gen is read",
                remedy="set --frechet.features=pixels or --fid.weights=FILE",
            )

    def measure(self, at: RunAtStep, samples_only: bool = False) -> Row:
        """The row of the run at a step in the default view, or what samples say of it. A collective."""
        return self.measure_views(at, [""], samples_only)[""]

    def measure_views(
        self, at: RunAtStep, names: Iterable[str] | None = None, samples_only: bool = False
    ) -> dict[str, Row]:
        """The rows in the views of these names, or in all. A collective: every rank takes part."""
        rows, measurement = {}, Measurement(at, self.samples, samples_only)
        with evaluating(at.trainer, at.model):
            for name in self.views if names is None else names:
                rows[name] = {**measurement.row(self.views[name]), **self.identity, **self._columns(name)}
        return rows

    def _columns(self, name: str) -> dict[str, float | int | str]:
        """What tells the views of a run from each other; nothing where there is one."""
        if len(self.views) == 1:
            return {}
        setting = {"setting": f"{self.identity['setting']}-{name}"} if name and "setting" in self.identity else {}
        return {**setting, **self.views[name].columns}


def seconds_evaluating(trainer: pl.Trainer) -> float:
    """Wall time that evaluations have taken since training (re)started."""
    return sum(each.seconds for each in trainer.callbacks if isinstance(each, Evaluation))


def share_sampled(trainer: pl.Trainer) -> float:
    """Part of the samples of the evaluation in progress that is drawn, in [0, 1]."""
    return max((each.samples.share_drawn for each in trainer.callbacks if isinstance(each, Evaluation)), default=0.0)
