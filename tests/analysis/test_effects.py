"""Effects of changes whose true ratios are known, and what is said where a time was not reached."""

import json
import math

import pandas as pd
import pytest
from synthetic_runs import Truth, evaluations, log_steps, write_run

from diffmem import compare as command
from diffmem.analysis.comparable import columns_of_settings
from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.effects import effects_against
from diffmem.analysis.effects_table import table
from diffmem.analysis.factors import find_baseline, settings_of
from diffmem.analysis.forest import forest
from diffmem.analysis.runs import read_runs, run_of_table
from diffmem.errors import DataError

STEPS = log_steps(30_000)
BASELINE = {"optimizer": "AdamW", "optimizer.weight_decay": 0.0}
TRUTH = Truth(between_runs=0.5, quality_error=0.01)


def write(root, name, training, truth=TRUTH, lr=0.001, sizes=(64,), seeds=(0, 1, 2), steps=STEPS, **options):
    for n in sizes:
        for seed in seeds:
            table = evaluations(n, seed, truth, steps, num_samples=4000, index=seed, setting=name, lr=lr,
                                optimizer=training["optimizer"], **options)  # fmt: skip
            folder = write_run(root / name, table)
            record = {"schema": 1, "protocol": {}, "training": {**training, "seed": seed, "data.index": seed}}
            (folder / "identity.json").write_text(json.dumps(record))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Runs that differ by much between seeds; each change multiplies the times of every one by the same."""
    root = tmp_path_factory.mktemp("atlas")
    write(root, "base", BASELINE, sizes=(64, 128))
    slower = Truth(prefactor=300, gen=3000, between_runs=0.5, quality_error=0.01)
    write(root, "wd", {**BASELINE, "optimizer.weight_decay": 1.0}, slower, sizes=(64, 128))
    write(root, "none", {**BASELINE, "trainer.gradient_clip_val": 1.0})
    never = Truth(prefactor=1e6, between_runs=0.5, quality_error=0.01)
    write(root, "flip", {**BASELINE, "data.flip": True}, never)
    for lr, floor in ((0.1, 6.0), (0.3, 4.5), (1.0, 9.0)):
        truth = Truth(prefactor=200, floor=floor, between_runs=0.5, quality_error=0.01)
        write(root, f"sgd{lr}", {"optimizer": "SGD", "optimizer.momentum": 0.9, "optimizer.lr": lr}, truth, lr)
    return root


@pytest.fixture(scope="module")
def comparison(root):
    return compare(read_runs([root]), Rules(by=("setting",), quality_level=20, num_draws=400))


@pytest.fixture(scope="module")
def effects(comparison):
    return effects_against(comparison, "optimizer=AdamW")


def row_of(effects, factor, n=64):
    (row,) = [row for row in effects.rows if (row.factor, row.n) == (factor, n)]
    return row


def test_changes_are_named_by_what_differs_in_their_training(effects):
    assert {row.factor for row in effects.rows} == {
        "",
        "optimizer.weight_decay=1",
        "trainer.gradient_clip_val=1",
        "data.flip=True",
        "optimizer=SGD, momentum=0.9",
    }
    assert effects.baseline.training["optimizer.weight_decay"] == 0


@pytest.mark.parametrize("n", [64, 128])
def test_the_true_ratios_are_in_narrow_intervals(effects, n):
    """Runs differ by e^±0.5 from seed to seed and by nothing within a pair, so paired ratios are sharp."""
    row = row_of(effects, "optimizer.weight_decay=1", n)
    for quantity, truth in (("gen", 1.5), ("mem", 3.0), ("room", 2.0)):
        effect = row.of[quantity]
        assert effect.low <= truth <= effect.high
        assert effect.value == pytest.approx(truth, rel=0.15)
        assert effect.high / effect.low < 2.5 and effect.differs
    unpaired = effects.comparison.groups[0].cells[0].times["mem"]
    assert unpaired.high / unpaired.low > 2.5, "the spread of the runs themselves is larger"


def test_a_change_of_nothing_moves_nothing(effects):
    row = row_of(effects, "trainer.gradient_clip_val=1")
    assert not any(row.of[quantity].differs for quantity in ("gen", "mem", "room"))


def test_a_time_that_was_not_reached_is_a_bound(effects):
    row = row_of(effects, "data.flip=True")
    mem = row.of["mem"]
    assert math.isnan(mem.value) and math.isinf(mem.high)
    baseline = [each.times["mem"].value for key, each in effects.baseline.runs.items() if key[0] == 64]
    assert mem.above == pytest.approx((30_000**3 / math.prod(baseline)) ** (1 / 3), rel=1e-6)
    assert str(mem).startswith("> ") and row.of["equal"] is None
    assert row.of["room"].above == pytest.approx(mem.above, rel=0.1), "τ_gen is the baseline's"


def test_a_baseline_that_was_not_reached_bounds_from_above(tmp_path):
    write(tmp_path, "base", BASELINE, Truth(prefactor=1e6))
    write(tmp_path, "wd", {**BASELINE, "optimizer.weight_decay": 1.0})
    found = effects_against(
        compare(read_runs([tmp_path]), Rules(by=("setting",), quality_level=20, num_draws=200)), "weight_decay=0"
    )
    mem = row_of(found, "optimizer.weight_decay=1").of["mem"]
    assert mem.low == 0 and mem.below < 1 and str(mem).startswith("< ")
    both = effects_against(
        compare(read_runs([tmp_path]), Rules(by=("setting",), quality_level=20, num_draws=200)), "weight_decay=1"
    )
    assert row_of(both, "optimizer.weight_decay=0").of["mem"].above > 1


def test_a_time_that_is_past_at_the_first_evaluation_is_a_bound(tmp_path):
    write(tmp_path, "base", BASELINE)
    early = Truth(gen=1.0, between_runs=0.5, quality_error=0.01)
    write(tmp_path, "sample", {**BASELINE, "model.prediction": "sample"}, early)
    options = Rules(by=("setting",), quality_level=20, num_draws=200)
    found = effects_against(compare(read_runs([tmp_path]), options), "model.prediction=default")
    row = row_of(found, "model.prediction=sample")
    baseline = [each.times["gen"].value for each in found.baseline.runs.values()]
    assert row.of["gen"].below == pytest.approx(STEPS[1] / math.prod(baseline) ** (1 / 3), rel=1e-6)
    assert row.of["gen"].low == 0 and row.of["gen"].high < 0.1
    assert row.of["mem"].low <= 1 <= row.of["mem"].high
    assert row.of["room"].above == pytest.approx(row.of["mem"].value / row.of["gen"].below, rel=1e-6)


def test_an_optimizer_is_shown_at_its_best_rate(effects):
    row = row_of(effects, "optimizer=SGD, momentum=0.9")
    assert (row.rate, row.rates) == (0.3, (0.1, 0.3, 1.0))
    assert "0.3 of 3" in table(effects)


def test_the_best_quality_is_that_before_copies(tmp_path):
    """Quality is floor · (1 + (τ_g/step)²): at τ_mem it is what that says, and no evaluation before is better."""
    sharp = Truth(quality_error=1e-9)
    write(tmp_path, "base", BASELINE, sharp)
    write(tmp_path, "wd", {**BASELINE, "optimizer.weight_decay": 1.0}, Truth(quality_error=1e-9, floor=6.0))
    found = effects_against(
        compare(read_runs([tmp_path]), Rules(by=("setting",), quality_level=40, num_draws=200)), "weight_decay=0"
    )
    times = [each.times["mem"].value for each in found.baseline.runs.values()]
    expected = math.exp(sum(math.log(3 * (1 + (2000 / t) ** 2)) for t in times) / 3)
    baseline = row_of(found, "")
    assert baseline.of["equal"].value == pytest.approx(expected, rel=0.02)
    assert baseline.of["best"].value >= baseline.of["equal"].value
    row = row_of(found, "optimizer.weight_decay=1")
    assert row.of["equal"].value == pytest.approx(2, rel=1e-3) and row.of["best"].value == pytest.approx(2, rel=1e-3)


def test_the_forest_has_a_row_for_each_change_and_the_values_of_the_table(effects):
    figure = forest(effects)
    gen, mem, room = figure.axes
    names = list(dict.fromkeys(row.factor for row in effects.rows if row.factor))
    labels = [each.get_text() for each in gen.get_yticklabels()]
    assert [label.partition(" (rate")[0] for label in labels] == names
    assert "rate 0.3" in labels[names.index("optimizer=SGD, momentum=0.9")]
    for ax, quantity in ((gen, "gen"), (mem, "mem"), (room, "room")):
        drawn = {float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() == "o"}
        values = {row.of[quantity].value for row in effects.rows if row.factor} - {math.nan}
        assert {each for each in values if not math.isnan(each)} <= drawn
        assert 1 in {float(line.get_xdata()[0]) for line in ax.lines if line.get_linestyle() == ":"}


def test_the_command_writes_table_and_figure(tmp_path, capsys):
    write(tmp_path / "runs", "base", BASELINE)
    write(tmp_path / "runs", "flip", {**BASELINE, "data.flip": True}, Truth(prefactor=1e6))
    arguments = ["--against", "optimizer=AdamW", "--quality-level", "20", "--draws", "200", "--out", tmp_path / "out"]
    assert command.main([*map(str, (tmp_path / "runs", *arguments))]) == 2, "two settings in the centre"
    arguments[1] = "data.flip=default"
    assert command.main([*map(str, (tmp_path / "runs", *arguments))]) == 0
    (row,) = pd.read_csv(tmp_path / "out/effects.csv").query("change == 'data.flip=True'").to_dict("records")
    assert str(row["tau_mem"]).startswith("> ") and math.isnan(row["tau_mem_high"])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"effects.csv", "effects.md", "effects.png"}
    assert "| data.flip=True " in capsys.readouterr().out


def write_view(run, name, setting, truth, **identity):
    seed = int(run.name[-1])
    table = evaluations(64, seed, truth, STEPS, num_samples=4000, index=seed, setting=setting, optimizer="AdamW",
                        **identity)  # fmt: skip
    (run / "views" / name).mkdir(parents=True)
    table.to_csv(run / "views" / name / "evaluations.csv", index=False)


def test_views_differ_by_weights_guidance_and_sampler(tmp_path, capsys):
    """Samples of the other sampler copy three times as late, those of both changes six times."""
    raw = {"weights": "raw", "guidance": 0, "sampler": "ddim-50"}
    write(tmp_path / "runs", "base", BASELINE, **raw)
    later = {name: Truth(prefactor=100 * factor, between_runs=0.5, quality_error=0.01)
             for name, factor in (("ddpm", 3), ("both", 6), ("steps", 1))}  # fmt: skip
    for run in (tmp_path / "runs/base").iterdir():
        write_view(run, "ddpm", "base-ddpm", later["ddpm"], **{**raw, "sampler": "ddpm-50"})
        write_view(run, "steps25", "base-steps25", later["steps"], **{**raw, "sampler": "ddim-25"})
        write_view(run, "guidance1-ddpm", "base-guidance1-ddpm", later["both"], weights="raw", guidance=1,
                   sampler="ddpm-50")  # fmt: skip
    arguments = ["--against", "sampler=ddim-50", "--quality-level", "20", "--draws", "200", "--out", tmp_path / "out"]
    assert command.main([*map(str, (tmp_path / "runs", *arguments))]) == 0
    rows = {row["change"]: row for row in pd.read_csv(tmp_path / "out/effects.csv").to_dict("records")}
    expected = {"sampler=ddim-25": 1, "sampler=ddpm-50": 3, "guidance=1, sampler=ddpm-50": 6}
    assert {name for name in rows if "=" in str(name)} == set(expected)
    for name, factor in expected.items():
        assert rows[name]["tau_mem_low"] <= factor <= rows[name]["tau_mem_high"]
        assert float(rows[name]["tau_mem"]) == pytest.approx(factor, rel=0.15)
    settings = settings_of(compare(read_runs([tmp_path]), Rules(by=("setting", "sampler"), num_draws=200)))
    for text in ("guidance=0,sampler=ddim-50", "guidance=default,sampler=ddim-50"):
        assert find_baseline(settings, text).training["sampler"] == "ddim-50"
    assert find_baseline(settings, "guidance=1").training["guidance"] == 1
    capsys.readouterr()
    assert command.main([str(tmp_path / "runs"), "--by=setting", f"--out={tmp_path}/out"]) == 3
    assert "sampler: got ddim-50" in capsys.readouterr().err, "groups of other columns may not mix them"


def test_the_sampler_is_no_change_where_all_runs_have_one(tmp_path):
    write(tmp_path, "base", BASELINE, sampler="ddim-50")
    write(tmp_path, "wd", {**BASELINE, "optimizer.weight_decay": 1.0}, sampler="ddim-50")
    runs = read_runs([tmp_path])
    assert columns_of_settings(runs) == ("setting",)
    several = [*runs, run_of_table("other", evaluations(64, 9, sampler="ddpm-50"))]
    assert columns_of_settings(several) == ("setting", "sampler")
    silent = run_of_table("silent", evaluations(64, 10))
    assert columns_of_settings([*several, silent]) == ("setting",), (
        "a table that does not say has no sampler to group by"
    )
    found = effects_against(compare(runs, Rules(by=("setting",), quality_level=20, num_draws=200)), "weight_decay=0")
    assert {row.factor for row in found.rows} == {"", "optimizer.weight_decay=1"}


def test_runs_that_do_not_say_how_they_were_trained_are_refused(tmp_path, capsys):
    write_run(tmp_path, evaluations(64, 0, steps=STEPS))
    with pytest.raises(DataError, match=r"identity\.json"):
        effects_against(
            compare(read_runs([tmp_path]), Rules(by=("setting",), quality_level=20, num_draws=200)), "optimizer=Adam"
        )
