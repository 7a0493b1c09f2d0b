"""Launches that are not what the config asks for, and signals that come before anything else."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment
from small_run import ROOT

from diffmem.errors import ConfigError
from diffmem.jobs import launch

JOB = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "interactive"}


def step(tasks: int, nodes: int, per_node: int | None = None) -> dict[str, str]:
    """The environment of a process under ``srun``."""
    found = {
        **JOB,
        "SLURM_NTASKS": str(tasks),
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": str(tasks),
        "SLURM_STEP_NUM_NODES": str(nodes),
    }
    return found | ({"SLURM_NTASKS_PER_NODE": str(per_node)} if per_node else {})


def torchrun(world: int, local: int) -> dict[str, str]:
    return {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(local)}


@pytest.fixture
def launched(monkeypatch):
    def install(environment: dict[str, str]) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return install


@pytest.mark.parametrize(
    ("environment", "devices", "nodes", "kind"),
    [
        ({}, 1, 1, LightningEnvironment),
        ({}, 2, 1, LightningEnvironment),
        ({**JOB, "SLURM_NTASKS": "1"}, 1, 1, LightningEnvironment),
        (step(1, 1), 1, 1, SLURMEnvironment),
        (step(2, 1, 2), 2, 1, SLURMEnvironment),
        (step(4, 2, 2), 2, 2, SLURMEnvironment),
        (torchrun(2, 2), 2, 1, TorchElasticEnvironment),
        (torchrun(4, 2) | step(2, 2, 1), 2, 2, TorchElasticEnvironment),
    ],
)
def test_a_right_launch_is_taken_as_it_is(launched, environment, devices, nodes, kind):
    launched(environment)
    found = launch.environment()
    assert type(found) is kind
    launch.check_launch(SimpleNamespace(num_devices=devices, num_nodes=nodes))
    if kind is SLURMEnvironment:
        assert not found.auto_requeue


@pytest.mark.parametrize(
    ("environment", "devices", "nodes", "remedy"),
    [
        (JOB, 2, 1, "srun --nodes=1 --ntasks-per-node=2"),
        (step(2, 1, 2), 1, 1, "srun --nodes=1 --ntasks-per-node=1"),
        (step(1, 1), 2, 1, "srun --nodes=1 --ntasks-per-node=2"),
        (step(4, 1, 4), 2, 2, "srun --nodes=2 --ntasks-per-node=2"),
        (torchrun(2, 2), 1, 1, "torchrun --nnodes=1 --nproc-per-node=1"),
        (torchrun(4, 4), 2, 2, "torchrun --nnodes=2 --nproc-per-node=2"),
        ({}, 2, 2, "torchrun --nnodes=2"),
    ],
)
def test_a_wrong_launch_is_refused_with_the_remedy(launched, environment, devices, nodes, remedy):
    launched(environment)
    with pytest.raises(ConfigError) as error:
        launch.check_launch(SimpleNamespace(num_devices=devices, num_nodes=nodes))
    assert remedy in str(error.value)


def test_tasks_without_a_number_for_each_node_are_refused(launched):
    launched(step(2, 1))
    with pytest.raises(ConfigError, match="--ntasks-per-node"):
        launch.environment()


def test_a_job_is_requeued_by_its_own_name(launched, tmp_path, monkeypatch, capsys):
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    launch.requeue_job()
    assert not (tmp_path / "calls").exists()
    launched({"SLURM_JOB_ID": "12"})
    launch.requeue_job()
    launched({"SLURM_ARRAY_JOB_ID": "11", "SLURM_ARRAY_TASK_ID": "3"})
    launch.requeue_job()
    assert (tmp_path / "calls").read_text() == "requeue 12\nrequeue 11_3\n"
    scontrol.write_text("#!/bin/sh\necho no such job >&2\nexit 1\n")
    launch.requeue_job()
    assert "job 11_3 was not requeued (no such job); submit it again" in capsys.readouterr().err


def test_signals_are_heard_from_the_first_line_and_no_later_handler_runs():
    program = """
import os, signal, sys, time
from diffmem import fit
from diffmem.jobs import signals
assert "torch" not in sys.modules and "lightning" not in sys.modules
signals.listen()
os.kill(os.getpid(), signal.SIGTERM)
signal.signal(signal.SIGTERM, lambda *_: os._exit(9))
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.2)
assert signals.stop_requested() and not signals.requeue_requested()
os.kill(os.getpid(), signal.SIGUSR1)
time.sleep(0.2)
assert signals.requeue_requested()
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
