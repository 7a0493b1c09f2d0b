"""What is said of the atlas of changes, from its kept tables: as its command prints it, and at other levels."""

import functools
import math
import re

import pytest
from small_run import ROOT

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.effects import effects_against
from diffmem.analysis.effects_table import table
from diffmem.analysis.runs import read_runs

STUDIES = {
    "digits_atlas": ("model.prediction=default", 2.0),
    "patches_atlas": ("model.prediction=velocity,optimizer=Adam", 1.0),
}


@functools.cache
def runs_of(name):
    return read_runs([ROOT / "tests/analysis" / name])


@functools.cache
def of_study(name, against, quality_level, mem_level=0.01):
    rules = Rules(by=("setting",), quality_level=quality_level, mem_level=mem_level)
    return effects_against(compare(runs_of(name), rules), against)


@pytest.mark.parametrize("name", STUDIES)
def test_the_atlas_in_the_readme_is_what_its_command_prints(name):
    readme = (ROOT / "tests/analysis/digits_atlas/README.md").read_text(encoding="utf-8")
    rows = [re.sub(" +", " ", line) for line in table(of_study(name, *STUDIES[name])).splitlines()[2:]]
    assert len(rows) >= 6
    assert [row for row in rows if row not in readme] == []
    if name == "digits_atlas":  # README has some of them, of n = 64
        of_64 = {
            f"| {row.split(' | ')[1]} | {' | '.join(row.split(' | ')[4:8])} |" for row in rows if row[:5] == "| 64 "
        }
        shown = re.findall(r"^\| (?:\w+\.[\w.]+=|optimizer=|baseline ).*$", (ROOT / "README.md").read_text(), re.M)
        assert len(shown) == 6 and set(shown) <= of_64


@pytest.mark.parametrize("mem_level", [0.005, 0.01])
@pytest.mark.parametrize("quality_level", [1.5, 2.0, 3.0])
def test_what_is_said_of_digits_holds_at_other_levels(quality_level, mem_level):
    found = of_study("digits_atlas", "model.prediction=default", quality_level, mem_level)
    rows = {(row.factor, row.n): row for row in found.rows}

    def of(factor, quantity, n=64):
        return rows[factor, n].of[quantity]

    wider = 5 if quality_level > 1.5 else 2.4  # the room at three times the rate
    labels = "data.labels=true, model.network.num_classes=10"
    random_labels = "data.labels=random:10, model.network.num_classes=10"
    for factor in ("model.prediction=sample", labels, random_labels, "optimizer=MuonAdamW", "model.min_snr_gamma=5"):
        assert of(factor, "mem").high < 1
    assert of("model.prediction=sample", "mem").high < 0.16 and of("model.prediction=sample", "mem", 128).high < 0.3
    assert of("model.min_snr_gamma=5", "mem", 128).high < 1
    for factor in ("data.flip=True", "model.network.width=default", "data.batch_size=64", "data.shift=1",
                   "optimizer=AdamW, weight_decay=1", "model.network.num_blocks=1", "optimizer=SGD"):  # fmt: skip
        assert of(factor, "mem").low > 1
    for n in (64, 128):
        dropout = rows["model.network.dropout=0.3", n].of
        assert dropout["mem"].above > 3 and 0.49 < dropout["gen"].value < 0.7 and dropout["gen"].high < 1
    assert all(of(each, "mem", 128).above > 3 for each in ("data.flip=True", "model.network.width=default"))
    assert of(labels, "mem", 128).value < 0.63 and of(labels, "mem", 128).differs == (mem_level == 0.005)
    assert of("model.network.dropout=0.3", "room").above > 4.5 and of("model.network.dropout=0.3", "room").low > 1
    assert not of("model.network.dropout=0.3", "best").low > 1
    assert 1.5 < of("model.network.dropout=0.1", "room").value < 1.75
    sgd, rmsprop = rows["optimizer=SGD, momentum=0.9", 64], rows["optimizer=RMSprop", 64]
    assert (sgd.rate, len(sgd.rates), rmsprop.rate, len(rmsprop.rates)) == (0.3, 3, 0.002, 3)
    assert sgd.of["gen"].high < 1 and 2.9 <= sgd.of["room"].value < 3.9
    assert sgd.of["room"].differs == ((quality_level, mem_level) != (1.5, 0.01))
    adamw, adam = (rows[factor, 64] for factor in ("optimizer=AdamW", "optimizer.lr=0.006"))
    assert (adamw.rate, len(adamw.rates)) == (0.006, 3)
    for name in ("gen", "mem", "room"):
        assert adamw.of[name].low < adam.of[name].high and adam.of[name].low < adamw.of[name].high
    assert rmsprop.of["gen"].low > 1 and rmsprop.of["mem"].low > 1 and not rmsprop.of["room"].differs
    assert of(labels, "gen").high < 1
    for factor in (labels, random_labels, "optimizer=MuonAdamW", "model.min_snr_gamma=5", "model.time_law=logit_normal",
                   "trainer.gradient_clip_val=0.1"):  # fmt: skip
        assert not of(factor, "room").differs
    assert of("model.prediction=velocity", "room").low > 3 and not of("model.prediction=velocity", "mem").differs
    assert of("optimizer.lr=0.006", "room").low > 1.2 and known(of("optimizer.lr=0.006", "room")) >= wider
    assert not of("data.flip=True", "gen").differs
    later_by_two = ("model.network.num_blocks=1", "optimizer=SGD")  # at 3 this is not shown
    assert all((of(each, "gen").low > 1) == (quality_level < 3) for each in later_by_two)
    assert of("model.network.width=default", "room").differs == (quality_level > 1.5)
    assert 2.8 < of("lr_scheduler=LinearLR, start_factor=0.01, total_iters=300", "gen").value < 4
    assert of("data.duplicates=4:8", "equal").differs == (mem_level == 0.01)
    for factor in ("model.network.dropout=0.3", "data.flip=True", "model.network.width=default"):
        assert of(factor, "mem", 128).differs == (mem_level == 0.005)
    assert of("data.flip=True", "room").differs == (quality_level > 1.5)
    for factor in ("trainer.gradient_clip_val=0.1", "model.time_law=logit_normal", "trainer.precision=bf16-mixed",
                   "lr_scheduler=CosineAnnealingLR, T_max=3000", "optimizer=AdamW, weight_decay=0.1"):  # fmt: skip
        assert not of(factor, "mem").differs and not of(factor, "gen").differs


@pytest.mark.parametrize("mem_level", [0.005, 0.01])
@pytest.mark.parametrize("quality_level", [0.7, 1.0, 2.0])
def test_what_is_said_of_patches_holds_at_other_levels(quality_level, mem_level):
    found = of_study("patches_atlas", STUDIES["patches_atlas"][0], quality_level, mem_level)
    of = {row.factor: row.of for row in found.rows}
    assert of["model.prediction=sample"]["mem"].high < 0.5
    assert of["optimizer=AdamW, weight_decay=1"]["mem"].above > 3
    assert of["data.flip=True"]["mem"].above > 1.7
    assert of["model.network.dropout=0.3"]["mem"].above > 3 and of["optimizer.lr=0.006"]["mem"].above > 3
    assert not of["model.network.width=default"]["mem"].differs and not of["model.min_snr_gamma=5"]["mem"].differs
    assert not of["model.network.dropout=0.3"]["gen"].differs
    assert of["model.network.width=default"]["room"].differs == (quality_level == 2.0)
    decay = of["optimizer=AdamW, weight_decay=1"]
    assert (decay["room"].low > 1) == (quality_level > 0.7)
    if quality_level > 0.7:
        assert decay["gen"].value < 1.21 and decay["room"].above >= 2.7
    assert of["optimizer=MuonAdamW"]["mem"].differs == (mem_level == 0.005)
    assert of["optimizer=MuonAdamW"]["room"].high < 1 or quality_level == 0.7


def test_what_the_smaller_setting_says_otherwise():
    for quality_level in (3.0, 5.0):
        found = of_study("digits_atlas_n32", "model.prediction=default", quality_level)
        of = {row.factor: row.of for row in found.rows}
        assert of["model.prediction=velocity"]["mem"].above > 2.3 and of["model.network.dropout=0.1"]["room"].low > 1
        assert not any(of["model.min_snr_gamma=5"][name].differs for name in ("mem", "room"))
        assert of["data.flip=True"]["mem"].low > 1 and of["model.prediction=sample"]["mem"].high < 0.4


def test_how_many_intervals_of_the_atlas_leave_one_out():
    """The two tables, baselines apart."""
    cells = [
        each
        for name, (against, level) in STUDIES.items()
        for row in of_study(name, against, level).rows
        if row.factor
        for each in row.of.values()
        if each is not None and str(each) != "–"
    ]
    text = f"Of the {len(cells)} intervals and bounds of the two tables {sum(each.differs for each in cells)} leave"
    assert text in (ROOT / "tests/analysis/digits_atlas/README.md").read_text(encoding="utf-8")


def known(effect):
    """The number, or the bound where that is all that is known."""
    return effect.value if math.isnan(effect.above) else effect.above
