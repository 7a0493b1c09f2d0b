"""From run folders with known times to the table and figures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_runs import Truth, evaluations, log_steps, write_run, write_study

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.figures import curves, phase_diagram, write_figures
from diffmem.analysis.ladder import ladder_row
from diffmem.analysis.phase import Phase
from diffmem.analysis.report import (
    console_text,
    csv_row,
    ladder_lines,
    law_lines,
    rule_lines,
    write_csv,
    write_ladder,
    write_markdown,
)
from diffmem.analysis.runs import read_runs, run_of_table
from diffmem.errors import ConfigError

STEPS = log_steps(30_000)
SGD = {"optimizer": "SGD", "lr": 0.01, "setting": "sgd"}
SLOW = Truth(prefactor=400, gen=5000)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    write_study(root, (64, 128, 256, 1024), (0, 1), steps=STEPS)
    write_study(root, (64, 128, 256, 1024), (0,), SLOW, steps=STEPS, **SGD)
    return compare(read_runs([root]), Rules(num_draws=300))


def test_every_time_of_the_table_is_the_true_one(comparison):
    for cell in comparison.cells:
        truth = Truth() if cell.group == "Adam" else SLOW
        gen, mem = cell.times["gen"], cell.times["mem"]
        assert gen.low * 0.95 <= truth.tau_gen(comparison.quality_level) <= gen.high * 1.05
        if cell.n < 1024:
            assert mem.low * 0.95 <= truth.tau_mem(cell.n) <= mem.high * 1.05
            assert cell.gap.low <= mem.value - gen.value <= cell.gap.high
            assert cell.ratio.value == pytest.approx(mem.value / gen.value)


def test_errors_of_a_run_are_those_of_the_run_and_not_of_its_folder(comparison, tmp_path):
    """A copied table has the same interval; runs of two seeds err independently."""
    first, second = (each for each in comparison.groups[0].cells[0].runs)
    folder = write_run(tmp_path / "elsewhere", evaluations(64, 0, steps=STEPS))
    (again,) = compare(read_runs([folder]), Rules(num_draws=300)).groups[0].runs
    draws = [each.times["mem"].draws_low for each in (first, second, again)]
    assert (draws[0] == draws[2]).all()
    ranks = [np.argsort(np.argsort(each)) for each in draws]
    assert abs(np.corrcoef(ranks[0], ranks[1])[0, 1]) < 0.9


def test_the_ratio_is_of_the_runs_that_have_both_times():
    """One of two seeds is good from the first evaluation on, and copies ten times as late: it has no ratio."""
    early = evaluations(64, 1, Truth(prefactor=1000, gen=1.0), STEPS)
    runs = [run_of_table("usual", evaluations(64, 0, steps=STEPS)), run_of_table("early", early)]
    (cell,) = compare(runs, Rules(quality_level=6.0, num_draws=200)).cells
    usual = next(each for each in cell.runs if each.run.name == "usual").times
    assert cell.times["mem"].value > 2 * usual["mem"].value
    assert cell.ratio.value == pytest.approx(usual["mem"].value / usual["gen"].value)
    assert cell.gap.value == pytest.approx(usual["mem"].value - usual["gen"].value)


def test_runs_that_do_not_memorize_are_censored(comparison):
    rows = {(cell.group, cell.n): csv_row(comparison, cell) for cell in comparison.cells}
    row = rows["SGD", 1024]
    assert row["censored"] is True
    assert row["tau_mem"] == row["tau_mem_high"] == "> 30000"
    assert str(row["gap"]).startswith("> ")
    assert rows["SGD", 64]["censored"] is False


def test_laws_are_those_of_the_runs(comparison):
    for group in comparison.groups:
        assert group.laws["mem"].low <= 1 <= group.laws["mem"].high
        assert group.laws["gen"].low <= 0 <= group.laws["gen"].high
    assert comparison.groups[0].collapse.exponent == pytest.approx(1, abs=0.15)


def test_the_run_that_sets_the_level_is_named(comparison):
    lowest = {each.run.name: each.run.column("frechet_pixels").min() for g in comparison.groups for each in g.runs}
    assert comparison.quality_level == 2 * max(lowest.values())
    assert max(lowest, key=lowest.get) in comparison.level_note
    assert comparison.level_warning == ""


def test_runs_of_one_name_are_told_apart():
    runs = [run_of_table("s0", evaluations(n, 0, Truth(floor=floor))) for n, floor in ((64, 9.0), (128, 1.0))]
    for order in (runs, runs[::-1]):
        found = compare(order, Rules(num_draws=200))
        assert found.quality_level == 2 * runs[0].column("frechet_pixels").min()


def test_the_warning_stands_wherever_the_number_does(tmp_path):
    runs = [run_of_table(f"n{n}", evaluations(n, 0, steps=STEPS[STEPS <= 1000])) for n in (64, 128, 256)]
    found = compare(runs, Rules(num_draws=200))
    assert "no run's frechet_pixels has levelled off" in found.level_warning
    assert console_text(found).count(found.level_warning) == 4  # rule, table, law, ladder
    assert csv_row(found, found.cells[0])["quality_warning"] == found.level_warning
    write_markdown(found, tmp_path / "comparison.md")
    assert (tmp_path / "comparison.md").read_text().count("has levelled off") == 4


def test_the_rules_stand_beside_the_numbers(comparison):
    text = console_text(comparison)
    for stated in (
        "f_mem ≥ 0.01",
        f"q = {comparison.quality_level:.3g}",
        "Student t, 1 degree of",
        "One run in a cell",
    ):
        assert stated in text


@pytest.mark.parametrize(
    "rule", [{"clock": "days"}, {"mem_level": 1.0}, {"quality_level": 0.0}, {"confidence": 95}, {"num_draws": 3}]
)
def test_a_rule_that_is_none_is_refused_by_name(rule):
    (name,) = rule
    with pytest.raises(ConfigError, match=f"{name}: got"):
        Rules(**rule)


def test_the_clock_changes_the_unit_alone():
    runs = [run_of_table(f"n{n}", evaluations(n, 0, steps=STEPS)) for n in (64, 128, 256)]
    updates, images = (compare(runs, Rules(clock=clock, num_draws=200)) for clock in ("updates", "images"))
    for cell, other in zip(updates.cells, images.cells, strict=True):
        assert other.times["mem"].value == pytest.approx(64 * cell.times["mem"].value)
        assert other.ratio.value == pytest.approx(cell.ratio.value)


def test_a_curve_that_is_refused_is_noted_with_its_reason():
    early = evaluations(64, 0, Truth(prefactor=0.1), steps=STEPS)
    runs = [run_of_table("early", early), run_of_table("usual", evaluations(128, 0, steps=STEPS))]
    found = compare(runs, Rules(num_draws=200))
    (cell, _) = found.cells
    assert cell.times["mem"] is None
    assert cell.gap is None
    assert any(note.startswith("early: τ_mem refused") for note in found.notes)
    assert csv_row(found, cell)["tau_mem"] is None


def test_one_run_has_a_tau_gen_with_a_level_from_elsewhere_alone(tmp_path):
    (run,) = [run_of_table("alone", evaluations(64, 0, steps=STEPS))]
    found = compare([run], Rules(num_draws=200))
    (cell,) = found.cells
    assert cell.times["gen"] is None
    assert cell.times["mem"].value == pytest.approx(Truth().tau_mem(64), rel=0.3)
    assert "set a quality level" in rule_lines(found)[2]
    assert {path.name for path in write_figures(found, tmp_path)} == {"curves.png", "timescales.png"}
    found = compare([run], Rules(quality_level=6.0, num_draws=200))
    assert found.cells[0].times["gen"].value == pytest.approx(Truth().tau_gen(6.0), rel=0.2)
    assert all("no exponent" in line or "collapse" in line for line in law_lines(found))


def test_missing_columns_cost_their_interval_and_are_noted():
    tables = [evaluations(n, 0, steps=STEPS)[["step", "f_mem", "frechet_pixels", "n", "optimizer"]] for n in (64, 128)]
    found = compare([run_of_table(f"n{len(t)}", t) for t in tables[:1]] + [run_of_table("b", tables[1])], Rules())
    assert sum("spacing of evaluations alone" in note for note in found.notes) == 2
    assert found.cells[0].times["overfit"] is None
    assert found.phases == []


def test_chance_is_noted():
    runs = [run_of_table(str(n), evaluations(n, 0, steps=STEPS).assign(f_mem_null=0.03)) for n in (64, 128)]
    assert any("f_mem_null reaches 3.00%" in note for note in compare(runs, Rules(num_draws=200)).notes)


def test_an_interval_that_too_few_samples_leave_open_is_noted():
    runs = [run_of_table(str(n), evaluations(n, 0, steps=STEPS, num_samples=200)) for n in (64, 128)]
    assert any("num_samples = 200 cannot exclude" in note for note in compare(runs, Rules(num_draws=200)).notes)


def test_phases_come_from_the_law_of_smaller_n():
    runs = [run_of_table(f"n{n}", evaluations(n, 0, steps=log_steps(100_000))) for n in (64, 128, 256, 512)]
    never = evaluations(1024, 0, Truth(prefactor=1e9), steps=log_steps(10_000_000))
    found = compare([*runs, run_of_table("n1024", never)], Rules(num_draws=200))
    phases = {point.n: point.phase for point in found.phases}
    assert phases[512] is Phase.TRAINING_TIME
    assert phases[1024] is Phase.ARCHITECTURE
    assert found.groups[0].laws["mem"].num_censored == 0
    assert any("left out of the law of τ_mem at n = 1024" in note for note in found.notes)


def test_a_run_of_one_evaluation_has_a_table_and_no_figure(tmp_path):
    found = compare([run_of_table("begun", evaluations(64, 0, steps=[0]))], Rules(num_draws=200))
    (tmp_path / "gap.png").write_text("of another comparison")
    assert write_figures(found, tmp_path) == []
    assert not (tmp_path / "gap.png").exists()
    assert csv_row(found, found.cells[0])["tau_mem"] is None


def bent_study(bend):
    """Runs at n = 32 … 256 whose α of τ_mem is 1 between the first two and grows by ``bend`` with each doubling."""
    runs, prefactor = [], 10.0
    for k, n in enumerate((32, 64, 128, 256)):
        tables = [evaluations(n, seed, Truth(prefactor), STEPS, index=seed) for seed in (0, 1)]
        runs += [run_of_table(f"{n}, {seed}", table) for seed, table in enumerate(tables)]
        prefactor *= 2 ** (bend * (k + 1))
    return runs


@pytest.mark.parametrize("bend", [0, 0.5])
def test_times_that_are_no_power_law_are_called_so(bend):
    found = compare(bent_study(bend), Rules(num_draws=200))
    row = next(row for row in map(ladder_row, found.groups[0].ladder) if row["criterion"] == "f_mem ≥ 1%")
    assert row["bend_low"] <= bend <= row["bend_high"] and row["bend"] == pytest.approx(bend, abs=0.2)
    text = str(found.groups[0].laws["mem"].bend)
    for lines, name in ((law_lines(found), f"by {text} with"), (ladder_lines(found), f"{text} at f_mem ≥ 1%")):
        assert any("no power law over these n" in line and name in line for line in lines) == (bend > 0)


@pytest.mark.parametrize(("bend", "phase"), [(0, Phase.ARCHITECTURE), (0.5, Phase.UNDECIDED)])
def test_no_architecture_is_told_from_times_that_are_no_power_law(bend, phase):
    runs = bent_study(bend)
    law = compare(runs, Rules(num_draws=200)).groups[0].laws["mem"]
    assert law.predict(512).high < STEPS[-1]
    never = run_of_table("512, 0", evaluations(512, 0, Truth(1e9), STEPS))
    assert compare([*runs, never], Rules(num_draws=200)).groups[0].phases[512] is phase


def test_written_files(comparison, tmp_path):
    write_csv(comparison, tmp_path / "comparison.csv")
    table = pd.read_csv(tmp_path / "comparison.csv")
    expected = "group n seeds tau_gen tau_gen_low tau_gen_high tau_mem tau_mem_low tau_mem_high gap ratio censored"
    assert list(table.columns)[:12] == expected.split()
    assert list(zip(table["group"], table["n"], strict=True)) == [(c.group, c.n) for c in comparison.cells]
    assert float(table["tau_mem"][0]) == comparison.cells[0].times["mem"].value
    write_ladder(comparison, tmp_path / "ladder.csv")
    rungs = pd.read_csv(tmp_path / "ladder.csv").set_index(["group", "criterion"])
    assert rungs.loc[("Adam", "f_mem ≥ 1%"), "exponent"] == comparison.groups[0].laws["mem"].exponent
    figures = write_figures(comparison, tmp_path)
    assert [path.name for path in figures] == ["curves.png", "collapse.png", "timescales.png", "ladder.png", "gap.png"]
    write_markdown(comparison, tmp_path / "comparison.md", figures)
    text = (tmp_path / "comparison.md").read_text()
    assert all(f"]({path.name})" in text for path in figures)
    assert comparison.level_note in text


def test_the_phase_diagram_needs_two_sizes_of_network(tmp_path, comparison):
    for p, prefactor in ((100_000, 200), (400_000, 50)):
        for n in (64, 128, 256):
            table = evaluations(n, 0, Truth(prefactor=prefactor, gen=500), STEPS, num_parameters=p, setting=str(p))
            write_run(tmp_path / str(p), table)
    found = compare(read_runs([tmp_path]), Rules(by=("num_parameters",), num_draws=200))
    assert [group.name for group in found.groups] == ["p = 100000", "p = 400000"]
    assert phase_diagram(found) is not None
    assert phase_diagram(comparison) is None


MNIST = Path(__file__).parent / "mnist_sgd"


def test_curves_show_what_was_measured():
    runs = read_runs([MNIST])
    panels = curves(compare(runs, Rules())).axes
    for ax, columns in zip(panels, (["f_mem"], ["frechet_pixels"], ["loss_train", "loss_test"]), strict=True):
        drawn = [tuple(line.get_ydata()) for line in ax.lines]
        for run in runs:
            assert all(tuple(run.column(each)[run.clock("updates") > 0]) in drawn for each in columns)


def test_without_losses_curves_have_no_panel_for_them():
    runs = read_runs([MNIST])
    for run in runs:
        run.table.drop(columns=["loss_train", "loss_test"], inplace=True)
    assert len(curves(compare(runs, Rules())).axes) == 2


def test_the_table_of_mnist_is_what_its_runs_say():
    readme = (Path(__file__).parent / "mnist_sgd/README.md").read_text(encoding="utf-8")
    for run in read_runs([MNIST]):
        rows = run.table.set_index("step")
        early, late = (rows.frechet_pixels[step] for step in (46416, 56234))
        losses = f"{rows.loss_train[56234]:.4f}, {rows.loss_test[56234]:.4f}"
        assert f"| {run.n:,} | {early:.{0 if early > 10 else 1}f}, {late:.1f} " in readme and losses in readme
        assert rows.f_mem.iloc[-1] * 1024 == (1 if run.n == 256 else 0)
