"""A SLURM of one node on 127.0.0.1, for tests; ``python tests/support/single_node.py FOLDER`` runs it until Ctrl-C.

Needs Debian's packages ``slurm-wlm`` and ``munge`` (or their like), but neither systemd nor cgroups.
"""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol")
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])

_CONF = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
MpiDefault=none
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1
JobRequeue=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=3600
KillWait=30
ReturnToService=2
PropagateResourceLimits=NONE
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why there can be no such SLURM here; None where there can."""
    lost = [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]
    if lost:
        return f"no {', '.join(lost)}: apt-get install slurm-wlm munge"
    return None if os.geteuid() == 0 else "slurmd runs jobs as root only"


@contextlib.contextmanager
def single_node(folder: Path, cpus: int = 2) -> Iterator[dict[str, str]]:
    """Run SLURM with its files in ``folder``; yields the environment for its commands."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)  # munged insists
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    conf = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    conf.write_text(_CONF.format(folder=folder, host=host, user=getpass.getuser(), cpus=cpus, ports=_free_ports(2)))
    environment = {**os.environ, "SLURM_CONF": str(conf), "PATH": _PATH}
    files = [f"--{name}={folder}/munge.{name}" for name in ("socket", "pid-file", "seed-file", "log-file")]
    with contextlib.ExitStack() as daemons:
        start = [
            ["munged", "--foreground", "--force", f"--key-file={key}", *files],
            ["slurmctld", "-D", "-f", str(conf)],
            ["slurmd", "-D", "-f", str(conf), "-N", host],
        ]
        for command in start:
            log = daemons.enter_context((folder / f"{command[0]}.log").open("ab"))
            daemon = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            daemons.callback(_end, daemon)
            if command[0] == "munged":
                _wait_until(lambda: (folder / "munge.socket").exists(), folder)
        _wait_until(lambda: _is_up(environment), folder)
        yield environment
        subprocess.run(["scancel", f"--user={getpass.getuser()}", "--signal=KILL", "--full"], env=environment)
        subprocess.run(["scancel", f"--user={getpass.getuser()}"], env=environment)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as sockets:
        opened = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in opened:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in opened]


def _is_up(environment: dict[str, str]) -> bool:
    command = ["sinfo", "--noheader", "--format=%T"]
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip() == "idle"


def _wait_until(condition, folder: Path, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"SLURM did not come up; see the logs in {folder}")
        time.sleep(0.2)


def _end(daemon: subprocess.Popen) -> None:
    daemon.terminate()
    try:
        daemon.wait(timeout=60)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    stop = (signal.SIGINT, signal.SIGTERM)
    with single_node(folder):
        signal.pthread_sigmask(signal.SIG_BLOCK, stop)
        print(f"export SLURM_CONF={folder}/slurm.conf", flush=True)
        signal.sigwait(stop)


if __name__ == "__main__":
    main()
