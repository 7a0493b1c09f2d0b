"""``python -m diffmem.compare`` as its users meet it."""

import shlex
import subprocess
import sys

import pandas as pd
import pytest
from small_run import ROOT
from synthetic_runs import evaluations, log_steps, write_run, write_study

from diffmem import compare, report

STEPS = log_steps(10_000)


def call(*arguments, capsys):
    try:
        code = compare.main([*map(str, arguments)])
    except SystemExit as leave:
        code = leave.code
    output = capsys.readouterr()
    return code, output.out, output.err


def test_a_comparison_prints_its_table_and_writes_its_files(tmp_path, capsys):
    write_study(tmp_path / "runs", (32, 64, 128), steps=STEPS)
    write_study(tmp_path / "runs", (32, 64, 128), steps=STEPS, optimizer="SGD", setting="sgd")
    out = tmp_path / "out"
    code, text, _ = call(tmp_path / "runs", "--by", "optimizer", "--out", out, "--draws", 200, capsys=capsys)
    assert code == 0
    table = pd.read_csv(out / "comparison.csv")
    assert list(zip(table["group"], table["n"], strict=True)) == [
        (g, n) for g in ("Adam", "SGD") for n in (32, 64, 128)
    ]
    assert "| Adam " in text
    assert {"comparison.md", "curves.png", "timescales.png", "gap.png"} <= {path.name for path in out.iterdir()}


def test_a_range_of_n_leaves_the_other_runs_out(tmp_path, capsys):
    write_study(tmp_path / "runs", (32, 64, 128, 256), steps=STEPS)
    for text, kept in (("64..", [64, 128, 256]), ("..64", [32, 64]), ("64..128", [64, 128]), ("64", [64])):
        code, shown, _ = call(tmp_path / "runs", "--n", text, "--out", tmp_path / text, capsys=capsys)
        assert code == 0 and f"--n {text}" in shown, "and the page of it does the same"
        assert pd.read_csv(tmp_path / text / "comparison.csv")["n"].tolist() == kept
    for text, reason in (
        ("512..", "some of n = 32, 64, 128, 256"),
        ("64,128", "LEAST..MOST"),
        ("..", "LEAST..MOST"),
        ("", "LEAST..MOST"),
    ):
        code, _, error = call(tmp_path / "runs", "--n", text, "--out", tmp_path / "none", capsys=capsys)
        assert code == 2 and reason in error and error.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_more_groups_than_can_be_told_apart_are_not_drawn(tmp_path, capsys):
    for number in range(15):
        write_run(tmp_path / f"runs/{number}", evaluations(64, 0, steps=STEPS, study=f"s{number}"))
        if number in (13, 14):
            _, text, _ = call(tmp_path / "runs", "--by", "study", "--out", tmp_path / "out", capsys=capsys)
            assert (tmp_path / "out/curves.png").exists() == ("No figures: 15 groups" not in text) == (number == 13)


def mixed(root):
    write_study(root, (32,), steps=STEPS)
    write_study(root, (64,), steps=STEPS, setting="other", lr=0.01)


def malformed(root):
    root.mkdir()
    (root / "evaluations.csv").write_text("step,f_mem,n\n0,0\n10,0,64\n")


def without_f_mem(root):
    write_run(root, evaluations(32, 0, steps=STEPS).drop(columns="f_mem"))


@pytest.mark.parametrize(
    ("make", "code", "reason"),
    [
        (lambda root: None, 3, "no such folder"),
        (lambda root: root.mkdir(), 3, "no evaluations.csv"),
        (malformed, 3, "line 2: got 2 fields"),
        (without_f_mem, 3, "column f_mem"),
        (mixed, 3, "differ in lr"),
    ],
)
def test_a_mistake_ends_in_one_line(make, code, reason, tmp_path, capsys):
    make(tmp_path / "runs")
    found, _, error = call(tmp_path / "runs", "--out", tmp_path / "out", capsys=capsys)
    assert found == code
    assert reason in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


MNIST = str(ROOT / "tests/analysis/mnist_sgd")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "RUN_OR_ROOT"),
        ([MNIST, "--clock", "days"], "days"),
        ([MNIST, "--confidence", "95"], "--confidence"),
        ([MNIST, "--draws", "3"], "--draws"),
        ([MNIST, "--draws", "1000000000000"], "--draws"),
        ([MNIST, "--wandb", "project"], "ENTITY/PROJECT"),
        (["wandb:project"], "ENTITY/PROJECT"),
        ([MNIST, "--by", ""], "--by: got '', which"),
        ([MNIST, "--against", "lr=1", "--per-class"], "--per-class: got it beside --against"),
        ([MNIST, "--against", "lr=1", "--wandb", "me/mine"], "--wandb: got it beside --against"),
        ([MNIST, "--against", "lr=1", "--by", "lr"], "--by: got it beside --against"),
    ],
)
def test_a_wrong_argument_ends_in_one_line(arguments, reason, capsys):
    code, _, error = call(*arguments, capsys=capsys)
    assert code == 2
    assert reason in error
    assert error.count("\n") == 1


def test_classes_that_there_are_not_are_said_before_anything_is_written(tmp_path, capsys):
    write_study(tmp_path / "runs", (64, 128), steps=STEPS)
    command = [tmp_path / "runs", "--per-class", "--draws", 200, "--out", tmp_path / "out"]
    code, text, error = call(*command, capsys=capsys)
    assert (code, text) == (3, "") and "per_class.csv: got no such table" in error
    assert not (tmp_path / "out").exists()


def test_reading_a_run_needs_neither_torch_nor_wandb():
    """Importing takes 2 s for torch and half a second for wandb, so neither may creep in."""
    script = (
        "import sys; from diffmem.compare import parser; parser(); light = set(sys.modules);"
        "import diffmem.analysis.comparison, diffmem.analysis.figures, diffmem.analysis.report, diffmem.analysis.runs;"
        "print(sorted({'pandas', 'matplotlib', 'scipy', 'numpy'} & light), {'torch', 'wandb'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] set()"


def test_the_page_it_names_follows_the_same_rules(tmp_path, capsys):
    write_study(tmp_path / "my runs", sizes=(64, 128))
    options = ["--by", "optimizer,n", "--mem-level", "0.02", "--draws", "100"]
    _, text, _ = call(tmp_path / "my runs", *options, "--out", tmp_path / "out", capsys=capsys)
    (line,) = [line for line in text.splitlines() if "diffmem.report" in line]
    words = shlex.split(line.partition("diffmem.report ")[2])
    assert words == [str(tmp_path / "my runs"), *options]
    assert report.main([*words, "--out", str(tmp_path / "page.html")]) == 0
