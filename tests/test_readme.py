"""README keeps its word: its program runs, and what it names is there."""

import re

from conftest import ROOT

from diffmem import compare
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


def test_files_that_are_named_exist():
    named = re.findall(r"(?<![\w/.])(?:\.github|configs|diffmem|sbatch|tests|tools)/[\w./-]*\w", README)
    assert len(named) > 30
    assert [name for name in named if not (ROOT / name).exists() and not (ROOT / "diffmem" / name).exists()] == []
