import errno
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffmem.errors import DataError
from diffmem.files import (
    folders_with,
    locked,
    put_row,
    put_rows,
    read_numbers,
    read_table,
    values_of,
    write_atomic,
    write_table,
)


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_floats_come_back_bit_for_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    write_table(path, [{"step": k, "x": x} for k, x in enumerate(values)])
    assert all(math.copysign(1, float(row["x"])) == math.copysign(1, x) and float(row["x"]) == x
               for row, x in zip(read_table(path), values, strict=True))  # fmt: skip


@given(st.lists(st.integers(0, 20)))
def test_no_step_stands_twice_and_steps_ascend(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    for number, step in enumerate(steps):
        put_row(path, {"step": step, "number": number})
    rows = read_table(path)
    assert [int(row["step"]) for row in rows] == sorted(set(steps))
    latest = {step: number for number, step in enumerate(steps)}
    assert {int(row["step"]): int(row["number"]) for row in rows} == latest


def test_a_line_cut_short_is_left_out(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("step,x\n1,2\n2,")
    assert read_table(path) == [{"step": "1", "x": "2"}]


def test_a_line_of_another_length_is_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("step,x\n1,2,3\n")
    with pytest.raises(DataError, match="line 2"):
        read_table(path)


@pytest.mark.parametrize(
    ("contents", "what"),
    [
        (b"x\n1\n", "column step: got no such column"),
        (b"step,x\nmany,1\n", "column step: got 'many', expected a whole number"),
        (b"step,x\n\xff,1\n", "expected a table in UTF-8"),
    ],
)
def test_what_is_no_table_of_steps_is_named(tmp_path, contents, what):
    path = tmp_path / "t.csv"
    path.write_bytes(contents)
    with pytest.raises(DataError, match=what):
        put_row(path, {"step": 3})
    assert path.read_bytes() == contents


@pytest.mark.parametrize("contents", [b"x\n1\n", b"step,x\nmany,1\n"])
def test_several_rows_of_a_step_are_put_into_such_a_table_alone(tmp_path, contents):
    path = tmp_path / "t.csv"
    for step in (3, 1, 3):
        put_rows(path, step, [{"step": step, "x": step}, {"step": step, "x": -step}])
    assert [(row["step"], row["x"]) for row in read_table(path)] == [("1", "1"), ("1", "-1"), ("3", "3"), ("3", "-3")]
    path.write_bytes(contents)
    with pytest.raises(DataError, match="column step"):
        put_rows(path, 3, [{"step": 3}])
    assert path.read_bytes() == contents


def test_a_byte_order_mark_is_no_column(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbfstep,x\r\n1,2\r\n")
    put_row(path, {"step": 3, "x": 4})
    assert path.read_text() == "step,x\n1,2\n3,4\n"


def test_processes_that_share_a_table_lose_no_row(tmp_path):
    code = (
        "import sys; from pathlib import Path; from diffmem.files import locked, put_row\n"
        "for step in range(int(sys.argv[2]), 60, 3):\n"
        "    with locked(Path(sys.argv[1]) / '.lock', wait=True):\n"
        "        put_row(Path(sys.argv[1]) / 't.csv', {'step': step, 'word': chr(246)})\n"
    )
    environment = {**os.environ, "PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(first)], env=environment) for first in range(3)]
    assert [each.wait() for each in writers] == [0, 0, 0]
    assert read_table(tmp_path / "t.csv") == [{"step": str(step), "word": "ö"} for step in range(60)]


def test_numbers_are_read_or_the_field_that_has_none_is_named(tmp_path):
    path = tmp_path / "t.csv"
    assert read_numbers(path, ("a",)) == []
    path.write_text("a,b,word\n1,0.1,x\n2,,y\n")
    assert read_numbers(path, ("a",)) == [(1,), (2,)]
    (first, second) = read_numbers(path, ("a",), ("b", "later"))
    assert first[:2] == (1, 0.1) and second[0] == 2
    assert all(math.isnan(each) for each in (first[2], *second[1:]))
    for needed, optional, where in (
        (("b",), (), "line 3 column b: got ''"),
        (("c",), (), "line 2 column c: got no such column"),
        (("a",), ("word",), "line 2 column word: got 'x'"),
    ):
        with pytest.raises(DataError, match=re.escape(where)):
            read_numbers(path, needed, optional)


def test_a_folder_that_a_link_leads_back_to_is_found_once(tmp_path):
    (tmp_path / "b/run").mkdir(parents=True)
    (tmp_path / "b/run/status.json").touch()
    (tmp_path / "b/run/up").symlink_to(tmp_path)
    (tmp_path / "a").symlink_to(tmp_path / "b")
    assert list(folders_with("status.json", tmp_path)) == [tmp_path / "a/run"]


def test_a_held_lock_is_refused_or_waited_for(tmp_path):
    with locked(tmp_path / ".lock", wait=False), pytest.raises(BlockingIOError), locked(tmp_path / ".lock", wait=False):
        pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, number):
    monkeypatch.setattr("fcntl.flock", lambda *_: (_ for _ in ()).throw(OSError(number, "No locks")))
    with pytest.warns(UserWarning, match="one process at a time"), locked(tmp_path / ".lock", wait=False):
        pass


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    write_atomic(path, "old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path], "and nothing else"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder in which no file can be made")
def test_a_lock_that_cannot_be_made_is_not_waited_for():
    with pytest.raises(OSError), locked(Path("/proc/.lock"), wait=True):
        pass


def test_a_lock_is_let_go(tmp_path):
    for _ in range(2):
        with locked(tmp_path / ".lock", wait=False):
            pass


def test_a_lock_that_cannot_be_had_for_another_reason_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("fcntl.flock", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="Input/output"), locked(tmp_path / ".lock", wait=False):
        pass


def test_fields_are_whole_numbers_or_numbers_or_text():
    large = 2**60 + 1  # not a float
    assert values_of([str(large), "", "-3"]) == [large, None, -3] and isinstance(values_of(["7"])[0], int)
    assert values_of(["1", "0.1", ""]) == [1.0, 0.1, None]
    assert values_of(["12e45678"], text=True) == ["12e45678"] and values_of(["1", "adam"]) == ["1", "adam"]
