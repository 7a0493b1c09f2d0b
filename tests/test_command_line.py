"""What a shell sees of any command."""

import os
import subprocess
import sys

import pytest

from diffmem.command_line import Parser, exit_code_of
from diffmem.errors import DataError


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
