"""Grid files: what is a line, which lines are refused, and how the tool makes them."""

import subprocess
import sys

import make_grid
import pytest
import submit
from hypothesis import given
from hypothesis import strategies as st
from small_run import ROOT

from diffmem.errors import ConfigError
from diffmem.jobs.grid import find_task, read_grid

CONFIG = str(ROOT / "configs/digits/unet.yaml")


@given(st.lists(st.sampled_from(["", "  ", "# note", "#", "run"]), min_size=1))
def test_tasks_are_the_lines_that_count(tmp_path_factory, kinds):
    lines = [f"--seed={place}" if kind == "run" else kind for place, kind in enumerate(kinds)]
    path = tmp_path_factory.mktemp("grid") / "g.txt"
    path.write_text("\n".join(lines))
    wanted = [place for place, kind in enumerate(kinds) if kind == "run"]
    if not wanted:
        with pytest.raises(ConfigError, match="no run"):
            read_grid(path)
        return
    tasks = read_grid(path)
    assert [task.arguments for task in tasks] == [[f"--seed={place}"] for place in wanted]
    assert [task.line for task in tasks] == [place + 1 for place in wanted]
    assert [find_task(tasks, str(number)) for number in range(1, len(tasks) + 1)] == tasks


@pytest.mark.parametrize(
    ("line", "got"),
    [
        ("--seed=0 data.n=4", "'data.n=4'"),
        ("--seed", "--seed without a value"),
        ("--help", "--help without a value"),
        ("--seed= --data.n=4", "--seed without a value"),
        ("--seed=0 --data.n=4 --seed=1", "--seed twice"),
        ("--study='a b", "no closing quotation"),
        ("--config nowhere.yaml", "nowhere.yaml, no such file"),
        (f"--seed=0 --config {CONFIG}", "after --seed"),
        ("--data.n=4 --seed=7", "the run of line 1 again"),
    ],
)
def test_a_malformed_line_is_refused_by_its_number(tmp_path, line, got):
    path = tmp_path / "g.txt"
    path.write_text(f"--seed=7 --data.n=4\n# two\n{line}\n")
    with pytest.raises(ConfigError, match="line 3") as error:
        read_grid(path)
    assert got in str(error.value)


def test_a_grid_of_another_editor_is_the_same_grid(tmp_path):
    """With a byte order mark and Windows's ends of lines."""
    path = tmp_path / "g.txt"
    path.write_bytes("\ufeff--seed=7 --data.n=4\r\n\r\n--seed=8 --data.n=4\r\n".encode())
    assert [task.arguments for task in read_grid(path)] == [["--seed=7", "--data.n=4"], ["--seed=8", "--data.n=4"]]


def test_a_file_that_is_no_text_is_no_grid(tmp_path):
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"PK\xff\xfe")
    with pytest.raises(ConfigError, match="got no text, expected a grid"):
        read_grid(path)


def test_quotes_reach_the_run_as_a_shell_would_pass_them(tmp_path):
    path = tmp_path / "g.txt"
    path.write_text(f"--config {CONFIG} --study='a b' '--evaluation.steps=[2, 4]' --seed 3\n")
    (task,) = read_grid(path)
    assert task.arguments == ["--config", CONFIG, "--study=a b", "--evaluation.steps=[2, 4]", "--seed", "3"]
    assert [str(each) for each in task.configs] == [CONFIG]


@pytest.mark.parametrize("number", ["0", "3", "-1", "x"])
def test_a_task_outside_the_grid_is_refused(tmp_path, number):
    path = tmp_path / "g.txt"
    path.write_text("--seed=0\n--seed=1\n")
    with pytest.raises(ConfigError, match="1 to 2"):
        find_task(read_grid(path), number)


def test_a_grid_is_the_product_of_its_lists_and_readable_as_is(tmp_path):
    options = ["--data.n=32,64", f"--config={CONFIG}", "--seed=0..2", "--trainer.max_steps=20*n", "--x.steps=[2,4]"]
    lines = make_grid.grid_lines(options)
    assert len(lines) == len(set(lines)) == 6
    assert lines[0] == f"--config {CONFIG} --data.n=32 --seed=0 --trainer.max_steps=640 '--x.steps=[2,4]'"
    assert lines[-1] == f"--config {CONFIG} --data.n=64 --seed=2 --trainer.max_steps=1280 '--x.steps=[2,4]'"
    path = tmp_path / "g.txt"
    path.write_text("\n".join(lines))
    assert len(read_grid(path)) == 6


@given(
    st.integers(1, 10**6), st.sampled_from(["20*n", "n//3+1", "max(1000, n**2)", "-n+5", "round(n/7)", "min(n,512)"])
)
def test_arithmetic_is_that_of_python(n, text):
    assert make_grid.evaluate(text, {"n": n}) == str(eval(text, {"n": n}))


@pytest.mark.parametrize(
    "text", ["n", "SGD", "log:10:100", "configs/n-1/unet.yaml", "0.5", "1e-3", "[n]", "n()", "a.n"]
)
def test_what_is_no_arithmetic_stays_as_it_is(text):
    assert make_grid.evaluate(text, {"n": 32}) == text


@pytest.mark.parametrize("text", ["20*m", "n*__import__('os')", "n*'a'", "2*n/0", "n*(1,)", "min(n)"])
def test_products_that_cannot_be_worked_out_are_refused(text):
    with pytest.raises(ConfigError, match="arithmetic"):
        make_grid.evaluate(text, {"n": 32})


@pytest.mark.parametrize("text", ["n**n**2", "9**n**9*n", "n**0.5**-99*n", "(-n)**0.5", "n*10**30", "2.0**n**3"])
def test_numbers_beyond_all_use_are_refused_at_once(text):
    with pytest.raises(ConfigError, match="arithmetic"):
        make_grid.evaluate(text, {"n": 999_999})


@pytest.mark.parametrize("options", [["--seed=0..3000000"], ["--seed=0..999", "--data.n=1..999"]])
def test_a_grid_beyond_all_use_is_refused_at_once(options):
    with pytest.raises(ConfigError, match="expected at most 100,000 runs"):
        make_grid.grid_lines(options)


def test_names_of_studies_are_no_arithmetic_and_names_of_two_options_are_nobodys():
    for name in ("--study=lr-n", "--wandb.group=n-lr", "--data.path=n/lr"):
        assert make_grid.grid_lines(["--data.n=32", "--optimizer.lr=0.1", name])[0].endswith(name)
    with pytest.raises(ConfigError, match="arithmetic"):
        make_grid.grid_lines(["--data.batch_size=32", "--losses.batch_size=512", "--trainer.max_steps=10*batch_size"])


def test_an_option_without_values_is_refused():
    with pytest.raises(ConfigError, match="--seed"):
        make_grid.grid_lines(["--data.n=4", "--seed"])


@pytest.mark.parametrize(
    ("values", "what"),
    [("2..0", "ascending"), ("1,1", "each run once"), *((each, "whole numbers") for each in ("0...2", "0..", "-1..2"))],
)
def test_a_list_that_counts_down_or_repeats_or_is_no_range_is_refused(values, what):
    with pytest.raises(ConfigError, match=what):
        make_grid.grid_lines([f"--seed={values}"])


def test_the_array_follows_from_the_grid(tmp_path):
    path = tmp_path / "g.txt"
    path.write_text("".join(f"--seed={seed}\n" for seed in range(7)))
    tasks = read_grid(path)
    command = submit.command(tasks, None, 3, ["--partition=gpu"])
    assert command[:5] == ["sbatch", "--array=1-7%3", "--job-name=g", "--output=logs/g/%a.log", "--partition=gpu"]
    assert command[-1] == str(path)
    assert str(tasks[3].log()) == "logs/g/4.log"
    assert submit.command(tasks, "1-2,7", None, [])[1] == "--array=1-2,7"
    with pytest.raises(ConfigError, match="--at-once: got 0"):
        submit.command(tasks, None, 0, [])
    for chosen, options in (
        ("8", []),
        ("a", []),
        ("", []),
        ("1,3-2", []),
        (None, ["--array=1-3"]),
        (None, ["-o", "x"]),
        (None, ["-a3"]),
        (None, ["-Jname"]),
    ):
        with pytest.raises(ConfigError):
            submit.command(tasks, chosen, None, options)


def test_a_dry_run_shows_the_runs_that_would_be_submitted(tmp_path, capsys):
    path = tmp_path / "g.txt"
    path.write_text("".join(f"--seed={seed}\n" for seed in range(5)))
    assert submit.main([str(path), "--tasks", "1-2,4", "--dry-run"]) == 0
    _, *runs = capsys.readouterr().out.splitlines()
    assert [line.rpartition("=")[2] for line in runs] == ["0", "1", "3"]


def test_where_no_task_has_failed_none_is_submitted(tmp_path, capsys):
    path = tmp_path / "g.txt"
    path.write_text("--seed=0\n")
    for none in (["--tasks"], ["--tasks", ""]):  # what $(python -m diffmem.status grid.txt --failed) leaves
        assert submit.main([str(path), *none]) == 0
        assert "no task to submit" in capsys.readouterr().out


def test_nothing_is_submitted_from_a_malformed_grid(tmp_path):
    path = tmp_path / "g.txt"
    path.write_text("--seed=0\n--seed\n")
    sbatch = tmp_path / "sbatch"
    sbatch.write_text(f"#!/bin/sh\ntouch {tmp_path}/submitted\n")
    sbatch.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "tools/submit.py"), str(path)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "line 2" in done.stderr
    assert not (tmp_path / "submitted").exists()
