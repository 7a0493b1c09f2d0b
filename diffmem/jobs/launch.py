"""How the processes of a run were started, and whether that is what its config asks for."""

import os
import signal
import subprocess
import sys

import lightning.pytorch as pl
from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from diffmem.errors import ConfigError


def environment() -> ClusterEnvironment:
    """That of ``torchrun``, of ``srun``, or of a process on its own that starts the other ranks itself.

    Raises:
        ConfigError: Tasks of ``srun`` whose distribution over the nodes is not known.
    """
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if not _in_srun():
        return LightningEnvironment()
    tasks = int(os.environ["SLURM_STEP_NUM_TASKS"])
    if tasks > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
        raise ConfigError(
            "srun",
            got=f"--ntasks={tasks}",
            expected="the tasks of each node",
            remedy=f"use --nodes={os.environ.get('SLURM_NNODES', 1)} --ntasks-per-node, one task a GPU",
        )
    return SLURMEnvironment(auto_requeue=False)


def check_launch(trainer: pl.Trainer) -> None:
    """Refuse a number of processes other than the number of ranks: they would wait for each other, or train alone.

    Raises:
        ConfigError: If it is another number.
    """
    devices, nodes = trainer.num_devices, trainer.num_nodes
    got, remedy = None, ""
    if TorchElasticEnvironment.detect():
        processes, per_node = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
        if (processes, per_node) != (devices * nodes, devices):
            got = f"{processes} processes of torchrun, {per_node} on a node"
            remedy = f"use torchrun --nnodes={nodes} --nproc-per-node={devices}"
    elif _in_srun():
        tasks, hosts = int(os.environ["SLURM_STEP_NUM_TASKS"]), int(os.environ["SLURM_STEP_NUM_NODES"])
        if (tasks, hosts) != (devices * nodes, nodes):
            got = f"{tasks} tasks of srun on {hosts} nodes"
            remedy = f"use srun --nodes={nodes} --ntasks-per-node={devices}"
    elif "SLURM_JOB_ID" in os.environ and devices * nodes > 1:
        got, remedy = "one process in a SLURM job", f"use srun --nodes={nodes} --ntasks-per-node={devices}"
    elif nodes > 1 and "MASTER_ADDR" not in os.environ:
        got, remedy = "one process", f"start it with srun or torchrun --nnodes={nodes} --nproc-per-node={devices}"
    if got:
        raise ConfigError(
            "trainer.devices, trainer.num_nodes",
            got=got,
            expected=f"{devices} × {nodes}",
            remedy=f"{remedy}, or set --trainer.devices and --trainer.num_nodes",
        )


def _in_srun() -> bool:
    return "SLURM_STEP_ID" in os.environ and "SLURM_PROCID" in os.environ


def requeue_job() -> None:
    """Put this SLURM job, or task of a job array, back in the queue. Outside SLURM there is nothing to do."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", "") or str(error)
        print(f"diffmem: job {job} was not requeued ({reason.strip()}); submit it again", file=sys.stderr, flush=True)


def end_other_ranks(trainer: pl.Trainer) -> None:
    """End the ranks that this process has started: after an error here they would wait for it."""
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _SubprocessScriptLauncher):
        launcher.kill(signal.SIGKILL)
