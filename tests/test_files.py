import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffmem.errors import DataError
from diffmem.files import put_row, read_table, write_atomic, write_table


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


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    write_atomic(path, "old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
