"""What Lightning and the callbacks add to a training step: python tools/overhead.py --config … [--key=value …]

Trains the run in a scratch folder. After every block of steps the same network makes as many steps in a bare loop on the
same batches (with several ranks: one all-reduce of the gradients), so that both meet the same machine; prints their ratio.
"""  # noqa: E501

import copy
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from torch import nn

from diffmem import ranks
from diffmem.callbacks.updates import UpdateCallback
from diffmem.command_line import exit_code_of
from diffmem.config.parser import CLI
from diffmem.errors import ConfigError
from diffmem.jobs import signals

_BLOCK = 25


class BareLoop(UpdateCallback):
    """Times blocks of the trainer's steps and of bare steps in turn.

    Attributes:
        seconds: (trainer's, bare) seconds a step, for each pair of blocks.
    """

    def __init__(self) -> None:
        self.seconds: list[tuple[float, float]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        if any(module._compiled_call_impl for module in pl_module.modules()):  # a copy would not be compiled
            raise ConfigError("model.compile", got="a mode", expected="null here", remedy="leave --model.compile out")
        self._model = copy.deepcopy(pl_module)
        self._model.__dict__["_trainer"] = None
        (given,) = trainer.optimizers
        self._optimizer = type(given)(self._model.parameters(), **given.defaults)
        self._batches = iter(trainer.datamodule.train_dataloader())  # type: ignore[attr-defined]
        self._start = self._now(pl_module)

    def on_update(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step % _BLOCK:
            return
        middle = self._now(pl_module)
        for _ in range(_BLOCK):
            self._step(trainer)
        end = self._now(pl_module)
        self.seconds.append(((middle - self._start) / _BLOCK, (end - middle) / _BLOCK))
        self._start = self._now(pl_module)

    def _step(self, trainer: pl.Trainer) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        batch = data.transfer_batch_to_device(next(self._batches), self._model.device, 0)
        self._model.training_step(batch, 0).backward()
        if trainer.world_size > 1:
            _average_gradients(self._model)
        self._optimizer.step()
        self._optimizer.zero_grad()

    @staticmethod
    def _now(pl_module: pl.LightningModule) -> float:
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def _average_gradients(model: nn.Module) -> None:
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients]) / ranks.rank_and_world()[1]
    dist.all_reduce(flat)
    for gradient, mean in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


@contextmanager
def trained_in_scratch(arguments: list[str], *callbacks: pl.Callback) -> Iterator[CLI]:
    """The run of these arguments of ``diffmem.fit``, trained with further callbacks in a folder that goes away.

    Raises:
        UserError: The arguments make no run.
    """
    with tempfile.TemporaryDirectory() as scratch:
        cli = CLI([*arguments, f"--run_root={scratch}"])
        cli.trainer.callbacks.extend(callbacks)
        (cli.folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        cli.trainer.fit(cli.model, datamodule=cli.datamodule)
        yield cli


def measure(arguments: list[str]) -> list[tuple[float, float]]:
    """(trainer's, bare) seconds a step for pairs of blocks of 25 steps; the first pair warms up and is left out.

    Raises:
        ConfigError: A run of fewer than two blocks.
        UserError: The arguments make no run.
    """
    bare = BareLoop()
    with trained_in_scratch(arguments, bare) as cli:
        if len(bare.seconds) < 2:
            raise ConfigError(
                "trainer.max_steps",
                got=cli.trainer.max_steps,
                expected=f"at least {2 * _BLOCK}, of which the first {_BLOCK} warm up",
                remedy="set --trainer.max_steps",
            )
        return bare.seconds[1:]


def main(args: list[str] | None = None) -> int:
    return exit_code_of(lambda: _print_overhead(sys.argv[1:] if args is None else args))


def _print_overhead(args: list[str]) -> int:
    pairs = measure(args)
    rank, world_size = ranks.rank_and_world()
    if rank == 0:
        ratio = statistics.median(trained / alone for trained, alone in pairs)
        trained, alone = (statistics.median(times) * 1e3 for times in zip(*pairs, strict=True))
        print(f"{world_size} ranks, {len(pairs)} blocks of {_BLOCK} steps, medians:")
        print(f"trainer {trained:.2f} ms, bare loop {alone:.2f} ms a step; ratio {ratio:.3f}")
    return 0


if __name__ == "__main__":
    signals.listen()
    sys.exit(main())
