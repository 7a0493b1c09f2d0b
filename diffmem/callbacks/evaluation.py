"""Scheduled evaluation: samples are made once and every measurement reads them."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import ClassVar

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from diffmem import ranks, rng
from diffmem.callbacks.calls import before_each_call
from diffmem.callbacks.contract import Images, described, require_of_model
from diffmem.callbacks.observer import EvaluationObserver, Row, Snapshot, view_folder
from diffmem.callbacks.updates import UpdateCallback
from diffmem.callbacks.views import View, Weights, check_labels, check_view, labels_of_samples, weights_in_place
from diffmem.data.subset import SubsetData
from diffmem.diffusion.sampling import check_sampling_steps, make_sampler
from diffmem.errors import ConfigError, DataError, DivergenceError, parameters_of, require_at_least
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
        first_sample: Number of the noise that the first sample starts from; later sets of samples have others.
        identity: Columns of every row that identify the run, such as n, optimizer and seed.
        seconds: Wall time of the evaluations since training (re)started.
        share_sampled: Part of the samples of the evaluation in progress that is drawn, in [0, 1].

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
        require_at_least(1, "evaluation", num_samples=num_samples, batch_size=batch_size)
        with parameters_of("evaluation", num_steps="sampling_steps"):
            self.sampler = make_sampler(sampler, sampling_steps)
        self.views = {view.name: view for view in (View(), *(views or ()))}
        if len(self.views) <= len(views or ()):
            names = [view.name or "the default view, which is always there" for view in views or ()]
            raise ConfigError(
                "evaluation.views", got=", ".join(names), expected="different views", remedy="set --evaluation.views"
            )
        with parameters_of("evaluation.views", weight="guidance"):
            self._guidance = {name: view.make_guidance() for name, view in self.views.items()}
            self._samplers = {name: view.make_sampler(sampler, sampling_steps) for name, view in self.views.items()}
        if budget is not None and not 0 < budget < 1:
            raise ConfigError(
                "evaluation.budget",
                got=budget,
                expected="a share of the wall time between 0 and 1, or null",
                remedy="set --evaluation.budget, e.g. 0.3",
            )
        scheduled_steps(steps, max_steps=1)
        self.steps, self.num_samples, self.batch_size = steps, num_samples, batch_size
        self.seed, self.budget = seed, budget
        self._is_checked = False
        self.first_sample = 0
        self.identity: Row = {}
        self.seconds = self.share_sampled = 0.0
        self._start = self._latest = 0.0
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
        data: Images = trainer.datamodule  # type: ignore[attr-defined]
        rows = self.measure_views(trainer, pl_module, data, trainer.global_step, Path(trainer.default_root_dir))
        if trainer.is_global_zero:
            for name, row in rows.items():
                put_row(table_path(trainer, name), row)
        row = rows[""]
        for observer in _observers(trainer):
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
        num_samples = self._num_samples_of(model)
        if num_samples:
            require_of_model(model, "schedule", "sample")
            for name, sampler in self._samplers.items():
                with parameters_of(f"evaluation.views {name}" if name else "evaluation", num_steps="sampling_steps"):
                    check_sampling_steps(sampler.num_steps, model.schedule)
            on_a_node = num_samples / trainer.num_nodes * data.sample_size * 4
            require_memory("num_samples", num_samples, on_a_node, "evaluation")
            calls = num_samples * sum(sampler.num_steps for sampler in self._samplers.values())
            require_calls("num_samples", num_samples, calls, "evaluation")
        for view in self.views.values():
            check_view(view, model, trainer.callbacks)  # type: ignore[attr-defined]
        check_labels(model, data)
        for observer in _observers(trainer):
            observer.check(data, num_samples, model)

    def _num_samples_of(self, model: pl.LightningModule) -> int:
        return self.num_samples if hasattr(model, "sample") else 0

    def measure(self, trainer: pl.Trainer, pl_module: pl.LightningModule, data: Images, step: int, folder: Path) -> Row:
        """The row of the model's present weights, those of ``step``, in the default view. A collective."""
        return self.measure_views(trainer, pl_module, data, step, folder, [""])[""]

    def measure_views(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        data: Images,
        step: int,
        folder: Path,
        names: Iterable[str] | None = None,
    ) -> dict[str, Row]:
        """The rows of ``step`` in the views of these names, or in all. A collective: every rank takes part.

        What needs no samples is measured once for all views of the same weights.
        """
        rows: dict[str, Row] = {}
        of_weights: dict[tuple[Weights, EvaluationObserver], Row] = {}
        with evaluating(trainer, pl_module):
            for name in self.views if names is None else names:
                view = self.views[name]
                with weights_in_place(view, pl_module, trainer.callbacks):  # type: ignore[attr-defined]
                    rows[name] = self._measure_view(trainer, pl_module, data, step, folder, view, of_weights)
        return rows

    def _measure_view(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        data: Images,
        step: int,
        folder: Path,
        view: View,
        of_weights: dict[tuple[Weights, EvaluationObserver], Row],
    ) -> Row:
        observers, num_samples = _observers(trainer), self._num_samples_of(pl_module)
        row: dict[str, float | int | str | None] = {
            **self._row_start(trainer, data, step),
            "num_samples": num_samples,
            "sampler": self.sampler.name if num_samples else None,
            **(pl_module.columns(step) if hasattr(pl_module, "columns") else {}),
        }
        numbers = ranks.share(num_samples)

        def announce() -> None:
            for observer in observers:
                observer.on_sampling(trainer, pl_module)

        samples = self.sample(pl_module, numbers, data.train_images.shape[1:], announce, view.name)
        snapshot = Snapshot(
            step=step,
            samples=self._finite(step, samples),
            numbers=numbers,
            num_samples=num_samples,
            model=pl_module,
            data=data,
            folder=folder,
            view=view.name,
            labels=labels_of_samples(pl_module, numbers),
        )
        # one process can stop at any call of the network; several only where all of them call it
        with before_each_call(pl_module, announce if ranks.rank_and_world()[1] == 1 else None):
            for observer in observers:
                if not observer.needs_samples:
                    key = (view.weights, observer)
                    if key not in of_weights:
                        of_weights[key] = observer.measure(snapshot)
                    row.update(of_weights[key])
                elif num_samples:
                    row.update(observer.measure(snapshot))
        return {**row, **self.identity, **self._columns(view)}

    def _columns(self, view: View) -> dict[str, float | int | str]:
        """What tells the views of a run from each other; nothing where there is one."""
        if len(self.views) == 1:
            return {}
        setting = {"setting": f"{self.identity['setting']}-{view.name}"} if view.name and self.identity else {}
        return {**setting, **view.columns(self._samplers[view.name])}

    def sample(
        self,
        pl_module: pl.LightningModule,
        numbers: range,
        shape: tuple[int, ...],
        announce: Callable[[], None] = lambda: None,
        view: str = "",
    ) -> Tensor:
        """Samples number ``numbers``, (len(numbers), \\*shape); ``announce`` is called equally often on every rank.

        It is called before each batch, and before each call of the network for a batch that every rank has.
        """
        found = [torch.empty(0, *shape, device=pl_module.device)]
        world_size = ranks.rank_and_world()[1]
        smallest_share, rest = divmod(self._num_samples_of(pl_module), world_size)
        of_all = range(0, max(smallest_share + min(rest, 1), len(numbers)), self.batch_size)
        sampler = self._samplers[view]
        for start in of_all:
            self.share_sampled = start / of_all.stop
            announce()
            if batch := numbers[start : start + self.batch_size]:
                a_call = len(batch) / of_all.stop / sampler.num_steps
                noise = partial(self._noise, batch, tuple(shape), pl_module.device)
                labels = labels_of_samples(pl_module, batch)
                told = {} if labels is None else {"labels": labels, "guidance": self._guidance[view]}
                announced = world_size == 1 or start < smallest_share
                with before_each_call(pl_module, partial(self._step, a_call, announce) if announced else None):
                    found.append(pl_module.sample(noise(), sampler, noise, **told).float())
        return torch.cat(found)

    def _step(self, share: float, announce: Callable[[], None]) -> None:
        """One more step of the sampler is begun, ``share`` of all that are drawn."""
        self.share_sampled = min(self.share_sampled + share, 1.0)
        announce()

    def _noise(self, numbers: range, shape: tuple[int, ...], device: torch.device, index: int | None = None) -> Tensor:
        """What samples number ``numbers`` start from, or what a stochastic step that leaves ``index`` adds to them."""
        numbers = range(self.first_sample + numbers.start, self.first_sample + numbers.stop)
        return rng.normals(self.seed, "sample" if index is None else f"sample/{index}", numbers, shape).to(device)

    @staticmethod
    def _finite(step: int, samples: Tensor) -> Tensor:
        if ranks.any_rank(not samples.isfinite().all(), samples.device):
            raise DivergenceError(step, "samples that are not finite")
        return samples

    def _row_start(self, trainer: pl.Trainer, data: Images, step: int) -> dict[str, float | int]:
        batch_size = data.batch_size * trainer.accumulate_grad_batches
        images_seen = step * batch_size
        return {
            "step": step,
            "images_seen": images_seen,
            "epochs": images_seen / len(data.train_images),
            "batch_size": batch_size,
            "num_test": len(data.test_images),
        }


def seconds_evaluating(trainer: pl.Trainer) -> float:
    """Wall time that evaluations have taken since training (re)started."""
    return sum(each.seconds for each in trainer.callbacks if isinstance(each, Evaluation))


def share_sampled(trainer: pl.Trainer) -> float:
    """Part of the samples of the evaluation in progress that is drawn, in [0, 1]."""
    return max((each.share_sampled for each in trainer.callbacks if isinstance(each, Evaluation)), default=0.0)


def tables_of(trainer: pl.Trainer) -> list[Path]:
    """Where the rows of a run are: its own table, those of its observers, those of its views."""
    folder = Path(trainer.default_root_dir)
    further = (folder / name for observer in _observers(trainer) for name in observer.tables)
    return [table_path(trainer), *further, *folder.glob("views/*/*.csv")]


def _observers(trainer: pl.Trainer) -> list[EvaluationObserver]:
    return [each for each in trainer.callbacks if isinstance(each, EvaluationObserver)]


def table_path(trainer: pl.Trainer, view: str = "") -> Path:
    """The ``evaluations.csv`` of the run, or of the view of this name."""
    return view_folder(Path(trainer.default_root_dir), view) / "evaluations.csv"


@contextmanager
def evaluating(trainer: pl.Trainer, module: nn.Module) -> Iterator[None]:
    """Eval mode without gradients in the trainer's precision; each submodule's own mode comes back after."""
    modes = {each: each.training for each in module.modules()}
    module.eval()
    module.zero_grad()  # used up, and with CUDA graphs in memory that the network's next call takes
    try:
        # not inference_mode, after which a compiled network cannot be trained (pytorch issue 135892)
        with torch.no_grad(), trainer.strategy.precision_plugin.forward_context():
            yield
    finally:
        for each, training in modes.items():
            each.training = training
