"""``python -m diffmem.fit --config A.yaml [--config B.yaml …] [--key=value …]``: train one run and measure it.

Exit codes: 0 done, 1 diverged, 2 bad config, 3 bad data, 70 unexpected, 74 the machine refused (a full disk), 75
stopped by a signal. The same command again resumes.
"""

from __future__ import annotations

import contextlib
import shlex
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

    from diffmem.callbacks.checkpoint import newest_checkpoint, read_checkpoint
    from diffmem.callbacks.provenance import check_same_images, source_hashes, warn_of_changed_code
    from diffmem.callbacks.tables import tables_of
    from diffmem.files import write_atomic
    from diffmem.jobs import launch
    from diffmem.runs.continuation import check_checkpoints, check_extension, is_finished, warn_of_missing_rows
    from diffmem.runs.identity import check_protocol, locked
    from diffmem.runs.saved import saved_steps
    from diffmem.runs.state import RunState, state_of_run, write_state
    from diffmem.steps import scheduled_steps

    trainer, data, folder = cli.trainer, cli.datamodule, cli.folder
    first_rank = rank_zero_only.rank == 0
    launch.check_launch(trainer)
    data.check(trainer.num_devices * trainer.num_nodes)
    evaluation = cli.config_init["evaluation"]
    evaluation.check(trainer, cli.model, data)
    if first_rank:
        _adopt(cli)
    if cli.config["overwrite"]:
        _check_overwrite(trainer.num_devices * trainer.num_nodes)
        _empty(folder)
    check_same_images(folder, data)
    check_extension(folder, cli.plain_config)
    check_protocol(folder, cli.identity)
    if is_finished(folder, cli.plain_config):
        if first_rank:
            _announce(folder, "finished before, nothing to do; a larger --trainer.max_steps goes on")
            warn_of_changed_code(folder, source_hashes([cli.model, data, *trainer.callbacks]))
            if evaluation.budget is None:
                scheduled = scheduled_steps(evaluation.steps, trainer.max_steps)
                reached = max((state_of_run(folder).step or 0, *saved_steps(folder)))
                warn_of_missing_rows(folder, scheduled, reached + 1)
        return EXIT_DONE
    check_checkpoints(folder)
    if first_rank:
        _announce(folder)
    with locked(folder) if first_rank else contextlib.nullcontext():
        checkpoint = newest_checkpoint(folder)
        if checkpoint is not None:
            read_checkpoint(checkpoint, cli.model, cli.identity.config_hash)
        if first_rank:
            if checkpoint is None:
                for table in (*tables_of(trainer), folder / "metrics.csv"):
                    table.unlink(missing_ok=True)
            print(_beginning(folder, checkpoint), flush=True)
            (folder / "checkpoints").mkdir(exist_ok=True)
            write_atomic(folder / "config.yaml", cli.parser.dump(cli.config, skip_none=False))
            cli.identity.write(folder)
            write_state(RunState("starting", folder))
        try:
            trainer.fit(cli.model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
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


def _check_overwrite(num_ranks: int) -> None:
    if num_ranks > 1:
        raise ConfigError(
            "overwrite",
            got=f"true, on {num_ranks} ranks",
            expected="one process, before which nothing has looked into the folder",
            remedy="delete the run's folder by hand",
        )


def _empty(folder: Path) -> None:
    """Delete all of the run, its checkpoints first: what is left if this is cut short starts anew."""
    import os
    import shutil

    from diffmem.runs.identity import locked

    if not folder.exists() or int(os.environ.get("SLURM_RESTART_COUNT", "0")):  # requeued: it has been done
        return
    with locked(folder):
        for each in sorted(folder.iterdir(), key=lambda path: path.name != "checkpoints"):
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            elif each.name != ".lock":
                each.unlink()


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
    if row.get("f_mem"):
        f_mem, low, high = (float(row[key]) for key in ("f_mem", "f_mem_low", "f_mem_high"))
        lines.append(f"  f_mem {f_mem:.1%} (95%: {low:.1%} to {high:.1%}) after {row['step']} steps, n = {row['n']}")
    names = {"fid": "FID", "frechet_pixels": "Fréchet distance", "loss_train": "L_train", "loss_test": "L_test"}
    lines.append("  " + ", ".join(f"{name} {float(row[key]):.3g}" for key, name in names.items() if row.get(key)))
    pictures = " · pictures: samples/" if (folder / "samples").exists() else ""
    lines.append(f"  curves: evaluations.csv, metrics.csv{pictures} · weights: checkpoints/last.ckpt")
    run, study = shlex.quote(str(folder)), shlex.quote(str(folder.parent))
    lines.append(f"  a page of it: python -m diffmem.report {run} · compare runs: python -m diffmem.compare {study}")
    return "\n".join(lines)


if __name__ == "__main__":
    signals.listen()
    startup.load("diffmem.config.parser")
    sys.exit(main())
