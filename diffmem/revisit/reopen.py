"""The model, the data and the measurements of a run's folder, on one device."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import lightning.pytorch as pl
import yaml
from torch import Tensor

from diffmem.callbacks.checkpoint import newest_checkpoint, read_checkpoint
from diffmem.callbacks.early_stopping import CHECKPOINT as GENERALIZATION
from diffmem.callbacks.evaluation import Evaluation
from diffmem.callbacks.generated import GeneratedSamples
from diffmem.callbacks.measurement import RunAtStep, evaluating
from diffmem.callbacks.observer import Row
from diffmem.callbacks.provenance import check_same_images, environment, read_record, warn_of_rounding
from diffmem.callbacks.views import weights_in_place
from diffmem.config.earlier import in_present_words
from diffmem.config.keys import Key
from diffmem.config.parser import CLI
from diffmem.config.trust import reading_config_of, trusting
from diffmem.errors import CheckpointError, ConfigError, require_one_of
from diffmem.files import is_whole
from diffmem.limits import require_memory
from diffmem.roles import role_of
from diffmem.runs.saved import saved_steps

_ON_ONE_DEVICE = ("--trainer.devices=1", "--trainer.num_nodes=1", "--trainer.strategy=auto")


class ReopenedRun:
    """A run whose weights can be loaded, measured and sampled from; nothing in its folder changes.

    Args:
        folder: The run's folder.
        overrides: ``--key=value`` for keys of measurements.
        max_steps: Length of a training that is to be repeated; None for that of the run.

    Attributes:
        folder: The run's folder.
        cli: The command line that made it.
        trainer: Its callbacks are those that measure.
        model: The module, on the trainer's device.
        data: The data module, set up.
        evaluation: What measures.
        step: Number of updates behind the loaded weights; None before the first :meth:`load`.

    Raises:
        ConfigError: A key that shapes the training, or a value that cannot be used.
        DataError: The folder is no run, or its images are others.
    """

    def __init__(self, folder: Path, overrides: Sequence[str] = (), max_steps: int | None = None) -> None:
        for override in overrides:
            _check_form(override)
        length = () if max_steps is None else (f"--trainer.max_steps={max_steps}",)
        self.folder = folder
        with reading_config_of(folder) as config, _in_present_words(config) as path:
            self.cli = CLI(["--config", str(path), *overrides, *length, *_ON_ONE_DEVICE])
        for override in overrides:
            _check_role(override, self.cli.keys)
        self.trainer, self.model, self.data = self.cli.trainer, self.cli.model, self.cli.datamodule
        self.evaluation: Evaluation = self.cli.config_init["evaluation"]
        self.trainer.callbacks = [each for each in self.trainer.callbacks if _takes_part(each)]
        self.step: int | None = None
        fid = self.cli.config_init["fid"]
        fid.cache = fid.cache or str(folder.parent.parent / ".cache" / "fid")
        starts = read_record(folder).get("starts", [])
        if starts:
            warn_of_rounding("measured again,", starts[-1], environment(self.trainer))
        self.data.check()
        check_same_images(folder, self.data)
        self.evaluation.check(self.trainer, self.model, self.data)
        self.data.setup()
        self.model.to(self.trainer.strategy.root_device)

    def load(self, checkpoint: Path) -> int:
        """Take the weights of ``checkpoint``, and the state of what measures; returns its step."""
        state = read_checkpoint(checkpoint, self.model, self.cli.identity.config_hash)
        self.model.load_state_dict(state["state_dict"])
        for callback in self.trainer.callbacks:
            if callback.state_key in state.get("callbacks", {}):
                callback.load_state_dict(state["callbacks"][callback.state_key])
        self.step = int(state["global_step"])
        return self.step

    def measure(self, step: int, folder: Path, samples_only: bool = False) -> Row:
        """The row of the present weights, those of ``step``, or what samples say of them.

        Measurements keep their own files in ``folder``.
        """
        return self.evaluation.measure(RunAtStep(self.trainer, self.model, self.data, step, folder), samples_only)

    def measure_views(self, step: int, folder: Path) -> dict[str, Row]:
        """The same in every view of the run, by name; "" is the default one."""
        return self.evaluation.measure_views(RunAtStep(self.trainer, self.model, self.data, step, folder))

    def require_sampling(self) -> None:
        """Refuse a model of one diffusion time.

        Raises:
            ConfigError: It cannot sample.
        """
        if not hasattr(self.model, "sample"):
            raise ConfigError(
                "RUN_DIR",
                got=f"{self.folder}, a model that cannot sample",
                expected="one that can",
                remedy="give another run",
            )

    def sample(self, num: int, seed: int = 0, view: str = "") -> Tensor:
        """Samples (num, \\*) in the units of the source, for images those of [0, 1], not clamped.

        Sample i starts from noise i of ``seed``: those of the run's seed are the samples of its evaluations. That of a
        conditional model has label i mod K.

        Raises:
            ConfigError: The model cannot sample, the run has no view of this name, or more samples than memory.
        """
        self.require_sampling()
        if view and len(self.evaluation.views) == 1:
            raise ConfigError("view", got=view, expected="none, for this run has no views", remedy="leave --view out")
        require_one_of(self.evaluation.views, "view", view)
        require_memory("num", num, num * self.data.mean.numel() * 4)
        samples = GeneratedSamples(num, self.evaluation.samples.batch_size, seed)
        shape = tuple(self.data.train_images.shape[1:])
        prepared = self.evaluation.views[view]
        with (
            evaluating(self.trainer, self.model),
            weights_in_place(prepared.view, self.model, self.trainer.callbacks),
        ):
            drawn = samples.draw(self.model, range(num), shape, prepared)
        return self.data.to_unit(drawn.float())


def load_run(folder: str | Path, step: int | str = "last", trust: bool = False) -> ReopenedRun:
    """A trained run, ready to sample: ``load_run(folder).sample(64)``.

    Weights are read without unpickling anything else. The model is ``.model`` (in eval mode), the data ``.data``, with
    the training mean ``.data.mean`` and ``.data.to_unit`` back to the pixel range.

    Args:
        folder: The run's folder.
        step: ``"last"``, ``"generalization"`` (what early stopping kept), or a saved step.
        trust: Whether its config may name classes from outside diffmem, torch and lightning.

    Raises:
        ConfigError: It names such a class, and is not trusted.
        DataError: No run, no such checkpoint, or other images than the run's.
    """
    with trusting(trust):
        run = ReopenedRun(Path(folder))
    (path,) = named_checkpoints(Path(folder), [str(step)])
    run.load(path)
    run.model.eval()
    return run


def named_checkpoints(folder: Path, names: Sequence[str]) -> list[Path]:
    """Whole checkpoints of the run ``folder``: ``"last"``, ``"generalization"``, a saved step, or ``"all"`` of these.

    Raises:
        CheckpointError: There is none, none of that name, or it is damaged.
    """
    known: dict[str, Path] = {str(step): path for step, path in saved_steps(folder).items()}
    names = list(known) if list(names) == ["all"] else names
    newest = newest_checkpoint(folder)
    if newest is None:
        raise CheckpointError(
            str(folder / "checkpoints"),
            got="no checkpoint",
            expected="at least one",
            remedy="train the run with diffmem.fit first",
        )
    known["last"] = newest
    if (folder / "checkpoints" / GENERALIZATION).is_file():
        known["generalization"] = folder / "checkpoints" / GENERALIZATION
    for name in names:
        if name not in known:
            raise CheckpointError(
                "checkpoint",
                got=name or "''",
                expected=f"some of {', '.join(known)}",
                remedy="choose one of them; diffmem.evaluate --at reaches any other step",
            )
        if not is_whole(known[name]):
            raise CheckpointError(
                str(known[name]), got="a damaged file", expected="a whole checkpoint", remedy="leave its step out"
            )
    return [known[name] for name in names]


@contextmanager
def _in_present_words(config: Path) -> Iterator[Path]:
    """The file itself, or where an earlier version wrote it, one that this version reads."""
    try:
        written = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        yield config  # the parser says what is wrong with it
        return
    present = in_present_words(written) if isinstance(written, dict) else written
    if present == written:
        yield config
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / config.name
        path.write_text(yaml.safe_dump(present), encoding="utf-8")
        yield path


def _takes_part(callback: pl.Callback) -> bool:
    """Whether ``callback`` measures or takes part in training; the others keep and show a run."""
    return role_of(type(callback), "", "measurement") != "operation" and not isinstance(callback, Evaluation)


def _check_form(override: str) -> None:
    dashes, equals = override.startswith("--"), "=" in override
    if not (dashes and equals):
        remedy = f"write --{override}" if equals else f"write {override}=VALUE" if dashes else "leave it out"
        got = "no value" if dashes else "a word without --"
        raise ConfigError(override, got=got, expected="--key=value", remedy=remedy)


def _check_role(override: str, keys: Sequence[Key]) -> None:
    """Refuse a key that shapes the training, or that no measurement reads."""
    name = override.lstrip("-").partition("=")[0].replace(".init_args", "")
    changed = [key for key in keys if key.name == name or key.name.startswith(f"{name}.")]
    if not changed or not {key.role for key in changed} <= {"location", "protocol", "measurement"}:
        groups = {key.name.partition(".")[0] for key in keys if key.role in ("protocol", "measurement")}
        raise ConfigError(
            name,
            got="a key that changes more than the measurements, or none of them",
            expected=f"a measurement's key, of {', '.join(sorted(groups))}",
            remedy="train another run with diffmem.fit, or leave it out",
        )
