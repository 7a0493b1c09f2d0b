"""What diffmem.status says of runs, and a grid run on this machine (the runs themselves are stand-ins)."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
import run_grid
from rich.console import Console
from small_run import ROOT

from diffmem import status
from diffmem.errors import DataError
from diffmem.jobs.grid import Task, read_grid
from diffmem.jobs.tasks import state_of_task
from diffmem.runs.state import RunState, state_of_run, write_state


@pytest.fixture
def tasks(tmp_path) -> list[Task]:
    path = tmp_path / "g.txt"
    path.write_text("--seed=0\n--seed=1\n--seed=2\n--seed=3\n")
    return read_grid(path)


def rewrite(folder, **changes):
    path = folder / "status.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_state_comes_back_as_it_was_written(tmp_path):
    run = RunState("running", tmp_path, step=50, max_steps=100, steps_per_second=5.0, f_mem=0.25)
    write_state(run)
    found = state_of_run(tmp_path)
    assert replace(found, updated=0.0, host=None, pid=None) == run
    assert found.pid == os.getpid()
    assert found.seconds_left == pytest.approx(10)
    for rate in (0.0, 1e-320):
        assert RunState("running", tmp_path, step=50, max_steps=100, steps_per_second=rate).seconds_left is None


def test_the_views_of_a_run_are_shown_with_their_newest_f_mem(tmp_path, capsys):
    write_state(RunState("done", tmp_path / "a-run", step=2, max_steps=2, f_mem=0.25))
    write_state(RunState("done", tmp_path / "plain", step=2, max_steps=2, f_mem=0.25))
    for name, text in {
        "average0.99": "step,f_mem\n1,0.5\n2,0.125\n",
        "guidance3": "step,f_mem\n1,0.0625\n",
        "broken": "step,f_mem\n1\n",
        "empty": "",
    }.items():
        (tmp_path / "a-run/views" / name).mkdir(parents=True)
        (tmp_path / "a-run/views" / name / "evaluations.csv").write_text(text)
    assert status.main([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("f_mem in views: average0.99 12.5%, guidance3 6.2%") == printed.count("f_mem in views") == 1


def test_a_run_whose_process_is_gone_has_died(tmp_path):
    write_state(RunState("running", tmp_path))
    gone = subprocess.Popen(["true"])
    gone.wait()
    rewrite(tmp_path, pid=gone.pid)
    assert state_of_run(tmp_path).state == "died"
    rewrite(tmp_path, host="another machine")
    assert state_of_run(tmp_path).state == "running"
    rewrite(tmp_path, updated=time.time() - 3600)
    assert state_of_run(tmp_path).reason == "no sign of life for 60 minutes"
    rewrite(tmp_path, host=socket.gethostname(), pid=os.getpid())
    assert state_of_run(tmp_path).state == "running", "alive, though silent: compiling, say"
    rewrite(tmp_path, state="done")
    assert state_of_run(tmp_path).state == "done"


def test_a_damaged_status_is_named(tmp_path):
    (tmp_path / "status.json").write_text("{")
    with pytest.raises(DataError, match=r"status\.json"):
        state_of_run(tmp_path)


@pytest.mark.parametrize(
    "odd",
    [
        {"step": "seven"},
        {"state": "[red]odd"},
        {"f_mem": [1]},
        {"updated": "now"},
        {"pid": True},
        {"reason": 3},
        {"x": 1},
    ],
    ids=str,
)
def test_an_odd_status_hides_no_other_run(tmp_path, capsys, odd):
    for name in "ab":
        (tmp_path / name).mkdir()
        write_state(RunState("done", tmp_path / name, 7, 9))
    rewrite(tmp_path / "a", **odd)
    assert status.main([str(tmp_path)]) == 0
    assert "1 failed, 1 done" in capsys.readouterr().out


def test_a_reason_is_shown_as_it_is_written_and_moves_no_cursor(tmp_path, capsys):
    write_state(RunState("failed", tmp_path, 7, 9, reason="[red]full[/] [/bold] \x1b[2J"))
    assert status.main([str(tmp_path)]) == 0
    assert "[red]full[/] [/bold] \ufffd[2J" in capsys.readouterr().out


def test_a_linked_study_is_found(tmp_path, capsys):
    (tmp_path / "elsewhere/run").mkdir(parents=True)
    write_state(RunState("done", tmp_path / "elsewhere/run", 7, 9))
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/study").symlink_to(tmp_path / "elsewhere")
    assert status.main([str(tmp_path / "runs")]) == 0
    assert "study/run" in capsys.readouterr().out


def test_a_task_is_what_its_last_attempt_says(tmp_path, tasks):
    first, second, third, fourth = tasks
    folder = tmp_path / "runs: all" / "a"
    folder.mkdir(parents=True)
    write_state(RunState("done", folder, step=9, max_steps=9))
    logs = {
        first: f"{first.header}\nTraceback\nexit 1\n{first.header}\nrun {folder}\nresuming from step-9.ckpt\nexit 0\n",
        second: f"{second.header}\ndiffmem: data.n: got 1, expected more; set --data.n\nexit 2\n",
        third: "task 3 of g.txt: --seed=9\nexit 0\n",  # the line was another one then
        fourth: f"{fourth.header}\n",
    }
    for task, text in logs.items():
        task.log(tmp_path / "logs").parent.mkdir(parents=True, exist_ok=True)
        task.log(tmp_path / "logs").write_text(text)
    states = [state_of_task(task, tmp_path / "logs") for task in tasks]
    assert [each.state for each in states] == ["done", "failed", "waiting", "starting"]
    assert states[0].folder == folder
    assert states[1].reason == "data.n: got 1, expected more; set --data.n"
    os.utime(fourth.log(tmp_path / "logs"), (0, 0))
    assert state_of_task(fourth, tmp_path / "logs").state == "died"


@pytest.mark.parametrize(
    ("before", "code", "after"),
    [
        ("requeued", 3, "failed"),
        ("requeued", 75, "requeued"),
        ("running", 2, "running"),
        ("done", 3, "done"),
        ("died", 3, "failed"),
        ("died", -9, "died"),
    ],
)
def test_an_attempt_that_failed_before_it_wrote_a_status_says_why(tmp_path, tasks, before, code, after):
    write_state(RunState("running" if before == "died" else before, tmp_path / "a", step=5, max_steps=9))
    if before == "died":
        rewrite(tmp_path / "a", pid=2**22 - 1)
    log = tasks[0].log(tmp_path / "logs")
    log.parent.mkdir(parents=True)
    log.write_text(f"{tasks[0].header}\nrun {tmp_path / 'a'}\ndiffmem: x.ckpt: got a damaged file\nexit {code}\n")
    found = state_of_task(tasks[0], tmp_path / "logs")
    assert (found.state, found.step, found.folder) == (after, 5, tmp_path / "a")
    assert (found.reason == "x.ckpt: got a damaged file") == (after == "failed")


def test_a_queue_knows_what_files_cannot(tmp_path, tasks, monkeypatch, capsys):
    ends = {1: "died", 2: "requeued", 3: "requeued", 4: "failed"}
    for number, state in ends.items():
        folder = tmp_path / f"run{number}"
        folder.mkdir()
        write_state(RunState("running" if state == "died" else state, folder))
        rewrite(folder, pid=2**22 - 1)
        log = tasks[number - 1].log(tmp_path / "logs")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"{tasks[number - 1].header}\nrun {folder}\n")
    squeue = tmp_path / "squeue"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    command = [str(tasks[0].grid), "--logs", str(tmp_path / "logs")]

    def failed(script: str) -> str:
        squeue.write_text(f"#!/bin/sh\n{script}\n")
        squeue.chmod(0o755)
        status.main([*command, "--failed"])
        return capsys.readouterr().out.strip()

    assert failed("exit 1") == "1,4", "no SLURM"
    answer = f"echo '1|PD|{tmp_path}\n2|CG|{tmp_path}\n3|PD|/elsewhere\n4|CG|{tmp_path}'"
    assert failed(answer) == "3,4", "1 is to start again, 3 was cancelled, 4 is about to end"
    status.main(command)
    assert "not in SLURM's queue" in capsys.readouterr().out


def test_the_command_shows_every_run_and_needs_no_torch(tmp_path):
    for name, state in (("a", "done"), ("b", "failed")):
        (tmp_path / name).mkdir()
        write_state(
            RunState(state, tmp_path / name, 7, 9, 2.0, 0.5, reason="[full] disk" if state == "failed" else None)
        )
    command = [sys.executable, "-X", "importtime", "-m", "diffmem.status", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert "1 done, 1 failed" in done.stdout
    assert "7/9" in done.stdout
    assert "50.0%" in done.stdout
    assert "[full] disk" in done.stdout
    assert not {"torch", "lightning", "pandas"} & {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def test_studies_are_told_apart_and_a_file_that_cannot_be_read_hides_no_run(tmp_path, tasks, capsys):
    for study in ("first", "second"):
        (tmp_path / study / "run").mkdir(parents=True)
        write_state(RunState("done", tmp_path / study / "run", 7, 9))
    (tmp_path / "second/run/status.json").write_text("{")
    assert status.main([str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "1 done, 1 failed" in shown
    assert {"first/run", "second/run"} <= set(shown.split())
    assert "│" not in shown, "plain where it is piped"
    log = tasks[0].log(tmp_path / "logs")
    log.parent.mkdir(parents=True)
    log.write_text(f"{tasks[0].header}\nrun {tmp_path / 'second/run'}\n")
    assert [run.state for _, _, run in status.states(tasks[0].grid, tmp_path / "logs")][:2] == ["failed", "waiting"]


def test_a_folder_without_runs_is_refused(tmp_path, capsys):
    assert status.main([str(tmp_path)]) == 3
    assert "got no runs" in capsys.readouterr().err
    assert status.main([str(tmp_path / "nowhere")]) == 3
    assert "got no such file or folder" in capsys.readouterr().err


STAND_IN = """
import pathlib, signal, sys, time
log = pathlib.Path(sys.argv[1])
log.open("a").write(f"{sys.argv[2]} begins\\n")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
time.sleep(float(sys.argv[3]))
log.open("a").write(f"{sys.argv[2]} ends\\n")
sys.exit(int(sys.argv[4]))
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Replaces the runs by processes that note when they begin and end."""

    def install(seconds: float, codes: dict[int, int]) -> None:
        def command(task: Task) -> list[str]:
            code = str(codes.get(task.number, 0))
            return [sys.executable, "-c", STAND_IN, str(tmp_path / "events"), str(task.number), str(seconds), code]

        monkeypatch.setattr(Task, "command", property(command))

    return install


def run(tasks: list[Task], tmp_path, jobs: int) -> tuple[int, str]:
    with (tmp_path / "report").open("w") as report:
        console = Console(file=report, width=200)
        code = run_grid.GridRunner(tasks, jobs, tmp_path / "logs", console).run()
    return code, (tmp_path / "report").read_text()


@pytest.mark.parametrize(("jobs", "threads"), [(2, "4"), (3, "2"), (20, "1")])
def test_runs_share_the_cores_for_numbers_depend_on_their_threads(tmp_path, tasks, monkeypatch, jobs, threads):
    monkeypatch.setattr(run_grid, "_num_cores", lambda: 8)
    show = "import os; print('threads', os.environ['OMP_NUM_THREADS'])"
    monkeypatch.setattr(Task, "command", property(lambda _: [sys.executable, "-c", show]))
    assert run(tasks[:1], tmp_path, jobs)[0] == 0
    assert f"threads {threads}" in tasks[0].log(tmp_path / "logs").read_text().splitlines()


def test_a_failed_run_stops_no_other_and_is_named(tmp_path, tasks, stand_in):
    stand_in(0.3, {2: 1})
    code, report = run(tasks, tmp_path, jobs=2)
    assert code == 1
    assert "failed: task 2;" in report
    events = (tmp_path / "events").read_text().split("\n")[:-1]
    assert sorted(events) == sorted(f"{number} {what}" for number in range(1, 5) for what in ("begins", "ends"))
    together = [
        sum(1 if each.endswith("begins") else -1 for each in events[: place + 1]) for place in range(len(events))
    ]
    assert max(together) == 2
    assert "exit 1" in tasks[1].log(tmp_path / "logs").read_text()


def test_a_run_that_was_stopped_from_elsewhere_is_not_called_done(tmp_path, tasks, stand_in):
    stand_in(0.1, {2: 75})
    code, report = run(tasks, tmp_path, jobs=2)
    assert code == 130 and "stopped from elsewhere: task 2;" in report and "all runs are done" not in report


def test_ctrl_c_lets_the_runs_stop_and_starts_no_more(tmp_path, tasks, stand_in):
    stand_in(60, {})

    def interrupt() -> None:
        while not (tmp_path / "events").exists() or (tmp_path / "events").read_text().count("begins") < 2:
            time.sleep(0.05)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    began = time.monotonic()
    code, report = run(tasks, tmp_path, jobs=2)
    assert code == 130
    assert time.monotonic() - began < 20
    assert (tmp_path / "events").read_text().count("begins") == 2
    assert "run the same command again to resume" in report
    assert "exit 75" in tasks[0].log(tmp_path / "logs").read_text()


def test_a_signal_at_the_very_start_of_a_run_stops_it(tmp_path, tasks, stand_in, monkeypatch):
    stand_in(60, {})
    original = subprocess.Popen

    def interrupted(*arguments, **options):
        process = original(*arguments, **options)
        os.kill(os.getpid(), signal.SIGINT)
        return process

    monkeypatch.setattr(run_grid.subprocess, "Popen", interrupted)
    began = time.monotonic()
    assert run(tasks[:1], tmp_path, jobs=1)[0] == 130
    assert time.monotonic() - began < 20


def test_what_is_done_is_left_alone_until_its_config_changes(tmp_path, stand_in):
    config, folder = tmp_path / "c.yaml", tmp_path / "run"
    config.write_text("seed: 0\n")
    folder.mkdir()
    grid = tmp_path / "g.txt"
    grid.write_text(f"--config {config}\n")
    (task,) = read_grid(grid)
    task.log(tmp_path / "logs").parent.mkdir(parents=True)
    task.log(tmp_path / "logs").write_text(f"{task.header}\nrun {folder}\nexit 0\n")
    write_state(RunState("done", folder))
    stand_in(0, {})
    os.utime(config, (0, 0))
    assert run([task], tmp_path, jobs=1)[0] == 0
    assert not (tmp_path / "events").exists()
    os.utime(config, None)
    rewrite(folder, updated=time.time() - 60)
    assert run([task], tmp_path, jobs=1)[0] == 0
    assert (tmp_path / "events").exists()


def test_runs_spread_over_the_gpus(tmp_path, monkeypatch):
    grid = tmp_path / "g.txt"
    grid.write_text("--seed=0\n--seed=1\n--seed=2 --trainer.devices=2\n--seed=3 --trainer.devices=1\n")
    code = "import os, time; print('sees', os.environ['CUDA_VISIBLE_DEVICES'], flush=True); time.sleep(1)"
    monkeypatch.setattr(Task, "command", property(lambda _: [sys.executable, "-c", code]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    tasks = read_grid(grid)
    assert run(tasks, tmp_path, jobs=4)[0] == 0
    logs = [task.log(tmp_path / "logs").read_text() for task in tasks]
    assert ["sees 2\n" in logs[0], "sees 5\n" in logs[1], "sees 2,5\n" in logs[2], "sees 2\n" in logs[3]] == [True] * 4


def test_gpus_are_those_that_nvidia_smi_lists(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_grid.visible_gpus() == []
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: x)'\necho '  MIG 1g'\necho 'GPU 1: B (UUID: y)'\n")
    program.chmod(0o755)
    assert run_grid.visible_gpus() == ["0", "1"]
