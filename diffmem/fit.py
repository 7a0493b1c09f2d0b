"""``python -m diffmem.fit --config A.yaml [--config B.yaml …] [--key=value …]``: train one run and measure it.

Exit codes: 0 done, 1 diverged, 2 bad config, 3 bad data, 75 stopped by a signal. The same command again resumes.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffmem import startup
from diffmem.command_line import exit_code_of
from diffmem.errors import EXIT_DONE, EXIT_REQUEUE, ConfigError
from diffmem.jobs import signals

if TYPE_CHECKING:
    from diffmem.config.parser import CLI
    from diffmem.runs.identity import RunIdentity


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code."""
    from diffmem.config.parser import CLI  # seconds of imports, in which a signal must not be lost

    return exit_code_of(lambda: _fit(CLI(args)))


def _fit(cli: CLI) -> int:
    from lightning.pytorch.utilities.rank_zero import rank_zero_only

    from diffmem.callbacks.checkpoint import newest_checkpoint
    from diffmem.callbacks.provenance import check_same_images
    from diffmem.files import write_atomic
    from diffmem.jobs import launch
    from diffmem.runs.continuation import check_extension, is_finished
    from diffmem.runs.identity import check_protocol, locked
    from diffmem.runs.state import RunState, write_state

    trainer, data, folder = cli.trainer, cli.datamodule, cli.folder
    first_rank = rank_zero_only.rank == 0
    launch.check_launch(trainer)
    data.check(trainer.num_devices * trainer.num_nodes)
    cli.config_init["evaluation"].check(trainer, cli.model, data)
    if first_rank:
        _adopt(cli)
    check_same_images(folder, data)
    check_extension(folder, cli.plain_config)
    if is_finished(folder, cli.plain_config):
        if first_rank:
            _announce(folder, "finished before, nothing to do; a larger --trainer.max_steps goes on")
        return EXIT_DONE
    check_protocol(folder, cli.identity)
    if first_rank:
        _announce(folder)
    with locked(folder) if first_rank else contextlib.nullcontext():
        checkpoint = newest_checkpoint(folder / "checkpoints")
        if first_rank:
            print(_beginning(folder, checkpoint), flush=True)
            (folder / "checkpoints").mkdir(exist_ok=True)
            write_atomic(folder / "config.yaml", cli.parser.dump(cli.config, skip_none=False))
            cli.identity.write(folder)
            write_state(RunState("starting", folder))
        try:
            trainer.fit(cli.model, datamodule=data, ckpt_path=checkpoint)
        except signals.StopRequested as stop:
            # the code of rank 0 is the run's
            return _stopped(folder, stop) if first_rank else EXIT_DONE
        except BaseException:
            launch.end_other_ranks(trainer)
            raise
        if first_rank:
            print(summary(folder))
    return EXIT_DONE


def _adopt(cli: CLI) -> None:
    """Take over the run of an earlier version that was named, or name one that would be trained a second time."""
    from diffmem.config.identify import identify_known
    from diffmem.runs.adoption import adopt, find_earlier

    def identify(config: Mapping[str, Any]) -> RunIdentity:
        return identify_known(config, cli.plain_config)

    if cli.config["adopt"]:
        if not cli.folder.joinpath("identity.json").exists():
            adopt(Path(cli.config["adopt"]), cli.folder, cli.identity, identify)
        return
    if cli.folder.joinpath("config.yaml").exists():
        return
    earlier = find_earlier(cli.folder, cli.identity, identify)
    if earlier is not None:
        raise ConfigError(
            "run",
            got=f"the same training in {earlier}, of an earlier version",
            expected="one run of each training",
            remedy=f"add --adopt={earlier} to go on with it, or --study=NAME to train it again",
        )


def _announce(folder: Path, *remarks: str) -> None:
    """The folder has a line of its own, by which those who read the log find it."""
    print(f"run {folder}", *remarks, sep="\n", flush=True)


def _beginning(folder: Path, checkpoint: Path | None) -> str:
    if checkpoint is not None:
        return f"resuming from {checkpoint.name}"
    again = (folder / "config.yaml").exists()
    return "stopped before its first checkpoint, starting again" if again else "starting"


def _stopped(folder: Path, stop: signals.StopRequested) -> int:
    from diffmem.jobs.launch import requeue_job

    print(f"stopped: {folder}; run the same command again to resume", flush=True)
    if stop.requeue:
        requeue_job()
    return EXIT_REQUEUE


def summary(folder: Path) -> str:
    """What a person wants to know at the end of a run."""
    from diffmem.files import read_table

    row = read_table(folder / "evaluations.csv")[-1]
    lines = [f"done: {folder}"]
    if "f_mem" in row:
        f_mem, low, high = (float(row[key]) for key in ("f_mem", "f_mem_low", "f_mem_high"))
        lines.append(f"  f_mem {f_mem:.1%} (95%: {low:.1%} to {high:.1%}) after {row['step']} steps, n = {row['n']}")
    names = {"fid": "FID", "frechet_pixels": "Fréchet distance", "loss_train": "L_train", "loss_test": "L_test"}
    lines.append("  " + ", ".join(f"{name} {float(row[key]):.3g}" for key, name in names.items() if row.get(key)))
    pictures = " · pictures: samples/" if (folder / "samples").exists() else ""
    lines.append(f"  curves: evaluations.csv, metrics.csv{pictures} · weights: checkpoints/last.ckpt")
    lines.append(
        f"  a page of it: python -m diffmem.report {folder} · compare runs: python -m diffmem.compare {folder.parent}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    signals.listen()
    startup.load("diffmem.config.parser")
    sys.exit(main())
