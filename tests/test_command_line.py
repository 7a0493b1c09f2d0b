"""What a shell sees of any command."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from diffmem import command_line, regions, twins
from diffmem.command_line import Parser, exit_code_of, require_folder
from diffmem.errors import ConfigError, DataError
from diffmem.files import writing


def test_a_user_error_is_one_line_and_has_its_code(capsys):
    def command():
        raise DataError("file", got="none", expected="one", remedy="make it")

    assert exit_code_of(command) == 3
    assert capsys.readouterr().err == "diffmem: file: got none, expected one; make it\n"


def test_what_the_machine_refuses_is_one_line_and_has_a_code_of_its_own(capsys):
    def command():
        raise OSError(28, "No space left on device", "runs/a/evaluations.csv")

    assert exit_code_of(command) == 74
    assert capsys.readouterr().err.startswith("diffmem: runs/a/evaluations.csv: got no space left on device, expected")


def write_to_a_full_device(path):
    with writing(path) as partial:
        partial.symlink_to("/dev/full")
        partial.write_text("text")


@pytest.mark.parametrize(
    ("refused", "shown"),
    [
        (lambda: torch.empty(10**14), "memory: got no room for 4e+14 bytes more, expected room for a batch"),
        (lambda: np.empty(10**14), "memory: got no room for 728 TiB more, expected room for a batch"),
        (lambda: bytearray(10**15), "memory: got no room, expected room for a batch"),
    ],
)
def test_a_lack_of_memory_is_one_line_that_names_what_to_lower(capsys, refused, shown):
    assert exit_code_of(refused) == 74
    error = capsys.readouterr().err
    assert error.startswith(f"diffmem: {shown}")
    assert error.count("\n") == 1
    assert "lower --evaluation.batch_size" in error


def test_a_gpu_without_memory_is_named(capsys):
    def command():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of …")

    assert exit_code_of(command) == 74
    assert capsys.readouterr().err.startswith("diffmem: GPU: got no room for 20 GiB more")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
def test_a_full_disk_names_the_file(tmp_path, capsys):
    assert exit_code_of(lambda: write_to_a_full_device(tmp_path / "evaluations.csv")) == 74
    assert capsys.readouterr().err.startswith(f"diffmem: {tmp_path}/evaluations.csv: got no space left on device")
    assert not list(tmp_path.iterdir())


def test_what_nobody_foresaw_shows_where_and_is_not_taken_for_a_diverged_run(capsys):
    assert exit_code_of(lambda: 1 // 0) == 70
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.endswith("diffmem: unexpected ZeroDivisionError: integer division or modulo by zero; see above\n")


def test_a_mistake_on_the_command_line_is_one_line(capsys):
    with pytest.raises(SystemExit) as leave:
        Parser(prog="tool").parse_args(["--no-such-option"])
    assert leave.value.code == 2
    assert capsys.readouterr().err == "diffmem: unrecognized arguments: --no-such-option; see tool --help\n"


COMMAND = "import sys; from diffmem.command_line import exit_code_of; sys.exit(exit_code_of(lambda: print(TEXT) or 0))"


def test_a_reader_that_has_seen_enough_is_no_error():
    code = COMMAND.replace("TEXT", "'line\\n' * 100_000")
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141, "a run that its reader left has not ended well"


def test_a_second_ctrl_c_ends_at_once():
    code = (
        "import os, signal, time; from diffmem.jobs import signals; signals.listen()\n"
        "for _ in range(2): os.kill(os.getpid(), signal.SIGINT); time.sleep(0.5)\n"
        "time.sleep(60)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr.strip()) == (130, "stopping and saving; Ctrl-C again to end at once")


def test_letters_that_a_locale_lacks_are_replaced():
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-c", COMMAND.replace("TEXT", "chr(964) + chr(246)")]
    result = subprocess.run(command, env=environment, capture_output=True)
    assert (result.returncode, result.stdout.decode("latin-1"), result.stderr) == (0, "?ö\n", b"")


@pytest.mark.parametrize("out", ["", "new", "new/deep"])
def test_a_folder_that_is_there_or_can_be_made_is_taken_and_not_made(tmp_path, out):
    require_folder(tmp_path / out)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [twins.main, regions.main])
@pytest.mark.parametrize("out", ["file", "file/deep"])
def test_a_folder_that_cannot_be_made_is_refused_before_the_runs_are_looked_at(tmp_path, capsys, command, out):
    (tmp_path / "file").touch()
    assert command(["no-run", "no-run", f"--out={tmp_path / out}"]) == 2
    assert "(Not a directory), expected a folder to write in; set --out" in capsys.readouterr().err


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(ConfigError, match="Permission denied"):
        require_folder(tmp_path / "new")


def test_a_full_disk_is_no_bad_option(tmp_path):
    for number, raised in ((errno.ENOSPC, OSError), (errno.EACCES, ConfigError)):
        with pytest.raises(raised), command_line.writing(tmp_path, "a folder"):
            raise OSError(number, os.strerror(number))
