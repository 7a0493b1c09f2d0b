"""README keeps its word: its program runs, and what it names is there."""

import re

from small_run import ROOT

from diffmem import compare
from diffmem.analysis.comparison import Rules
from diffmem.analysis.comparison import compare as compare_runs
from diffmem.analysis.report import table_rows
from diffmem.analysis.runs import read_runs
from diffmem.files import read_table

README = (ROOT / "README.md").read_text()


def test_the_callbacks_work_in_a_lightning_project_of_ones_own(tmp_path, monkeypatch):
    (program,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for max_steps in (3, 2):  # again in the same folder: another run, of which nothing is mixed with the first
        exec(program.replace("max_steps=1000", f"max_steps={max_steps}"), {})
        rows = read_table(tmp_path / "mine/evaluations.csv")
        assert [row["step"] for row in rows] == ["0", str(max_steps)]
        assert {"f_mem", "frechet_pixels", "loss_test"} <= rows[0].keys()
    assert compare.main(["mine", "--out", "comparison"]) == 0


def test_the_table_of_the_study_is_what_its_command_prints():
    comparison = compare_runs(read_runs([ROOT / "tests/analysis/digits_sgd_adam"]), Rules())
    rows = [row[:7] for row in table_rows(comparison)]  # without τ_overfit
    assert len(rows) == 10
    assert [row for row in rows if f"| {' | '.join(row)} |" not in README] == []
    laws = [group.laws[name].interval_text.replace("-", "−") for group in comparison.groups for name in ("gen", "mem")]
    assert [law for law in laws if law not in README] == []


def test_files_that_are_named_exist():
    named = re.findall(r"(?<![\w/.])(?:\.github|configs|diffmem|sbatch|tests|tools)/[\w./-]*\w", README)
    assert len(named) > 30
    assert [name for name in named if not (ROOT / name).exists() and not (ROOT / "diffmem" / name).exists()] == []
