"""What an optimizer or a schedule cannot do, and how large a network would be, is known before a run."""

import contextlib
import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch

from diffmem.errors import ConfigError
from diffmem.limits import require_memory

_STEPS = 3
_SCHEDULED_STEPS = 10_000  # of a schedule alone, which takes microseconds a step
_MOST_LOSSES = 1000


def rehearse(optimizer: Mapping[str, Any], scheduler: Mapping[str, Any] | None, max_steps: int) -> None:
    """Make the optimizer and the schedule of a config anew and take some steps with them.

    Args:
        optimizer: ``class_path`` and ``init_args``.
        scheduler: The same of the schedule; None without one.
        max_steps: Number of updates of the run.

    Raises:
        ConfigError: A step fails, or gives a learning rate that is negative or no number; or the schedule ends before
            the run does.
    """
    device = "cuda" if optimizer["init_args"].get("capturable") and torch.cuda.is_available() else "cpu"
    weights = [torch.nn.Parameter(torch.ones(size, 3, device=device)) for size in (2, 4, 5)]
    calls = 0

    def closure() -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > _MOST_LOSSES:
            raise ValueError(f"more than {_MOST_LOSSES} losses in {_STEPS} updates")
        for weight in weights:
            weight.grad = None
        loss = torch.stack([weight.square().sum() for weight in weights]).sum()
        loss.backward()
        return loss

    key, made = "optimizer", optimizer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            rehearsed = _class(optimizer)(weights, **optimizer["init_args"])
            if scheduler:
                key, made = "lr_scheduler", scheduler
                schedule = _class(scheduler)(rehearsed, **scheduler["init_args"])
                end = getattr(schedule, "total_steps", max_steps)
                if end < max_steps:
                    raise ValueError(f"{end} steps, and trainer.max_steps is {max_steps}")
            for step in range(min(max_steps, _SCHEDULED_STEPS) if scheduler else _STEPS):
                if step < _STEPS:
                    key, made = "optimizer", optimizer
                    rehearsed.step(closure)
                if scheduler:
                    key, made = "lr_scheduler", scheduler
                    schedule.step()
                rates = [float(group["lr"]) for group in rehearsed.param_groups]
                if not all(math.isfinite(rate) and rate >= 0 for rate in rates):
                    raise ValueError(f"a learning rate of {min(rates):g} at step {step + 1}")
        except Exception as error:  # whatever it is, a run would meet it
            name, reason = made["class_path"].rpartition(".")[2], " ".join(str(error).split()) or type(error).__name__
            raise ConfigError(
                key, got=f"{name}, which fails ({reason})", expected="one that can train", remedy=f"change --{key}"
            ) from error
    if calls > _STEPS:
        name, times = (
            optimizer["class_path"].rpartition(".")[2],
            optimizer["init_args"].get("max_iter", calls // _STEPS),
        )
        warnings.warn(
            f"{name} computes the loss up to {times} times an update: its updates take as much longer", stacklevel=1
        )


def check_size(network: Mapping[str, Any] | None) -> None:
    """Count the weights of a network of diffmem's own, tables among them, without room for them.

    Args:
        network: ``class_path`` and ``init_args``; None where a model has none.

    Raises:
        ConfigError: Its weights and their gradients do not fit into this machine's memory.
    """
    if network is None or not network["class_path"].startswith("diffmem.networks."):
        return
    num_weights = 0
    with contextlib.suppress(Exception), torch.random.fork_rng(devices=[]), torch.device("meta"):
        made = _class(network)(**network["init_args"])  # what it refuses is said when it is made
        num_weights = sum(each.numel() for each in (*made.parameters(), *made.buffers()))
    got, remedy = f"{num_weights:,} weights", "make --model.network smaller"
    require_memory("network", got, 2 * 4 * num_weights, "model", remedy)


def _class(chosen: Mapping[str, Any]) -> Any:
    module, _, name = chosen["class_path"].rpartition(".")
    return getattr(__import__(module, fromlist=[name]), name)
