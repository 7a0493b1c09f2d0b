"""What each measure costs: python tools/measure_costs.py RUN [--key=value …]

The run's newest checkpoint is measured twice with its own samples; the second time is printed, for what is computed
once a run is then known. Seconds are those of the processor, so that other processes do not count; a share of the run
is that of its updates, timed beside them, and of as many evaluations as its table has. Keys switch measures on, such as
--copying.tests=[c_t,authenticity,calibrated_l2] --prdc.k=5.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from diffmem.callbacks.checkpoint import newest_checkpoint
from diffmem.callbacks.measurement import evaluating
from diffmem.callbacks.observer import EvaluationObserver, Snapshot
from diffmem.command_line import Parser, exit_code_of
from diffmem.errors import EXIT_DONE, CheckpointError
from diffmem.files import read_table
from diffmem.revisit.reopen import ReopenedRun

_UPDATES = 20
_SHARED = ("train_neighbors", "heldout_neighbors", "null_neighbors")


def costs_of(run: ReopenedRun) -> dict[str, float]:
    """Seconds of each part of an evaluation: the samples, their neighbours, which are shared, and each observer."""
    found: dict[str, float] = {}

    def timed(name: str, what: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = what()
        found[name] = time.process_time() - start
        return result

    drawn, view = run.evaluation.samples, run.evaluation.views[""]
    num, shape = drawn.num, tuple(run.data.train_images.shape[1:])
    with tempfile.TemporaryDirectory() as folder, evaluating(run.trainer, run.model):
        for _ in range(2):
            samples = timed("samples", lambda: drawn.draw(run.model, range(num), shape, view))
            snapshot = Snapshot(run.step or 0, samples, range(num), num, run.model, run.data, Path(folder))
            timed("neighbours", lambda shown=snapshot: [getattr(shown, name) for name in _SHARED])
            for callback in run.trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(callback, EvaluationObserver):
                    timed(type(callback).__name__, lambda of=callback, shown=snapshot: of.measure(shown))
    return found


def seconds_of_update(run: ReopenedRun) -> float:
    """Of one update: forward, backward and the optimizer's step."""
    given = run.model.configure_optimizers()
    optimizer = given if isinstance(given, torch.optim.Optimizer) else given[0][0]
    batches = iter(run.data.train_dataloader())
    start = 0.0
    for number in range(-2, _UPDATES):
        start = time.process_time() if number == 0 else start
        batch = run.data.transfer_batch_to_device(next(batches), run.model.device, 0)
        run.model.training_step(batch, 0).backward()
        optimizer.step()
        optimizer.zero_grad()
    return (time.process_time() - start) / _UPDATES


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code."""
    parser = Parser(prog="python tools/measure_costs.py", description="What each measure costs.", allow_abbrev=False)
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="folder of the run")
    options, overrides = parser.parse_known_args(args)
    return exit_code_of(lambda: _main(options, overrides))


def _main(options: argparse.Namespace, overrides: list[str]) -> int:
    run = ReopenedRun(options.run, overrides)
    newest = newest_checkpoint(options.run)
    if newest is None:
        raise CheckpointError(
            str(options.run),
            got="no checkpoint",
            expected="at least one",
            remedy="train the run with diffmem.fit first",
        )
    step = run.load(newest)
    costs = costs_of(run)
    evaluations, update = len(read_table(options.run / "evaluations.csv")), seconds_of_update(run)
    whole = sum(costs.values())
    total = evaluations * whole + step * update
    print(f"{step} updates of {update * 1000:.1f} ms, {evaluations} evaluations of {whole:.2f} s")
    print(f"{'':20} {'seconds':>8} {'of an evaluation':>17} {'of the run':>11}")
    for name, seconds in sorted(costs.items(), key=lambda item: -item[1]):
        print(f"{name:20} {seconds:8.3f} {seconds / whole:17.1%} {seconds * evaluations / total:11.1%}")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
