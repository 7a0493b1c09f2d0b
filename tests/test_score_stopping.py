"""Verdicts on runs whose course is written by hand."""

import pytest
import score_stopping
from small_run import ROOT

from diffmem.errors import DataError
from diffmem.files import write_table

STEPS = [0, 100, 200, 400, 800, 1600]
#: L_test turns at 200 and is more than 25% above its minimum at 800; copies from 800 on; good from 200 on.
CURVES = {
    "loss_train": [1.0, 0.8, 0.6, 0.5, 0.4, 0.3],
    "loss_test": [1.0, 0.8, 0.7, 0.75, 0.95, 1.2],
    "f_mem": [0, 0, 0, 0.001, 0.03, 0.2],
    "frechet_pixels": [100.0, 9.0, 1.5, 1.2, 1.1, 1.0],
}


def rows(**changed):
    curves = {**CURVES, **changed}
    curves["f_mem_low"] = [0.8 * each for each in curves["f_mem"]]
    return [{"step": str(step), **{k: str(v[i]) for k, v in curves.items()}} for i, step in enumerate(STEPS)]


def test_the_kept_step_is_judged_by_images_that_the_rule_has_not_seen():
    found = score_stopping.score(rows(), rows(frechet_pixels=[100, 9, 1.3, 1.9, 1.1, 1.0]), 2.0)
    assert (found.onset, found.kept, found.verdict) == (800, 400, "kept in the window")
    assert found.quality == 1.9 and found.to_best == pytest.approx(1.9 / 1.3)
    assert (found.f_mem_onset, found.f_mem_kept) == (0.03, 0.001)


@pytest.mark.parametrize(
    ("seen", "unseen", "verdict"),
    [
        ({}, {"frechet_pixels": [100, 9, 2.1, 2.1, 1.1, 1.0]}, "kept bad samples"),
        ({"f_mem": [0, 0, 0.05, 0.1, 0.3, 0.4]}, {"f_mem": [0, 0, 0.05, 0.1, 0.3, 0.4]}, "kept copies"),
        ({"frechet_pixels": [100, 90, 80, 70, 60, 1]}, {}, "missed the window"),
        (
            {"frechet_pixels": [100, 90, 80, 70, 60, 1]},
            {"frechet_pixels": [99, 90, 80, 70, 1, 1]},
            "no window, and said so",
        ),
    ],
)
def test_verdicts(seen, unseen, verdict):
    assert score_stopping.score(rows(**seen), rows(**unseen), 2.0).verdict == verdict


def test_a_run_that_was_not_measured_again_is_refused_with_the_command(tmp_path, capsys):
    identity = {"n": 64, "optimizer": "Adam", "seed": 0, "study": "s"}
    write_table(tmp_path / "run/evaluations.csv", [{**row, **identity} for row in rows()])
    assert score_stopping.main([str(tmp_path)]) == 3
    assert "--at=scheduled --data.test_index=1" in capsys.readouterr().err
    write_table(tmp_path / "run/unseen.csv", rows())
    assert score_stopping.main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "| s, Adam" in out and "s, Adam: 1 of 1 well" in out
    write_table(tmp_path / "run/unseen.csv", rows()[1:])
    assert score_stopping.main([str(tmp_path)]) == 3


def test_tables_of_other_steps_are_refused():
    with pytest.raises(DataError, match="other steps"):
        score_stopping.score(rows(), rows()[:-1], 2.0)


@pytest.mark.parametrize(
    ("study", "quality_level", "expected"),
    [
        (
            "digits_atlas",
            2.0,
            dict.fromkeys(("digits-atlas, Adam, labels true", "digits-atlas, SGD"), ("3 of 3",) * 2)
            | {"digits-atlas, Adam": ("3 of 3", "1 of 3")},
        ),
        (
            "digits_conditional",
            5.0,
            {
                "digits-conditional, Adam": ("2 of 3",) * 2,
                "digits-conditional, Adam, labels true": ("3 of 3",) * 2,
            },
        ),
        (
            "patches_atlas",
            1.0,
            {"patches-atlas, Adam": ("3 of 3", "1 of 3"), "patches-atlas, SGD": ("3 of 3", "2 of 3")},
        ),
    ],
)
def test_the_verdicts_of_the_studies_are_those_of_the_readme(study, quality_level, expected, capsys):
    for place, rule in enumerate(("f_mem", "loss_split")):
        arguments = [str(ROOT / "tests/analysis" / study), "--rule", rule, "--quality-level", str(quality_level)]
        assert score_stopping.main(arguments) == 0
        out = capsys.readouterr().out
        for setting, well in expected.items():
            assert f"{setting}: {well[place]} well" in out


@pytest.mark.parametrize(
    ("study", "quality_level", "well"),
    [("digits_atlas", 1.5, 8), ("digits_atlas", 1.25, 7),
     ("patches_atlas", 0.7, 5), ("patches_atlas", 0.5, 3), ("patches_atlas", 2.0, 6),
     ("digits_conditional", 2.0, 5), ("digits_conditional", 3.0, 4), ("digits_conditional", 10.0, 6)],
)  # fmt: skip
def test_a_stricter_level_of_good_samples_makes_the_rule_miss_windows(study, quality_level, well, capsys):
    arguments = [str(ROOT / "tests/analysis" / study), "--rule", "f_mem", "--quality-level", str(quality_level)]
    assert score_stopping.main(arguments) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][2:]
    verdicts = [row.split(" | ")[-1].strip(" |") for row in rows]
    assert sum(verdict in score_stopping.GOOD for verdict in verdicts) == well
    assert {verdict for verdict in verdicts if verdict not in score_stopping.GOOD} <= {"missed the window"}
    ratios = [float(row.split(" | ")[-2]) for row in rows if "kept in the window" in row]
    assert max(ratios) <= (1.83 if study != "digits_conditional" else 3.45)
