"""What is on a page: views with their trainings, groups that tell the runs apart."""

import json

import pytest
from synthetic_runs import Truth, evaluations, write_run, write_study

from diffmem.analysis.comparable import columns_apart
from diffmem.analysis.comparison import Rules
from diffmem.analysis.pages.content import content_of
from diffmem.analysis.runs import read_runs, run_of_table
from diffmem.errors import ParameterError


@pytest.fixture
def training(tmp_path):
    """A training with two views beside its own table."""
    folder = write_run(tmp_path / "study", evaluations(64, 0, setting="aa"))
    for name, view in (("guidance1", {"guidance": 1.0}), ("average0.9", {"weights": 0.9})):
        table = evaluations(64, 0, Truth(prefactor=200), setting=f"aa-{name}", **view)
        (folder / "views" / name).mkdir(parents=True)
        table.to_csv(folder / "views" / name / "evaluations.csv", index=False)
    return folder


def test_views_belong_to_their_training_and_its_own_table_comes_first(training):
    content = content_of(read_runs([training]), Rules(by=(), num_draws=100))
    (member,) = content.members
    assert member.folder == training
    names = [each.run.folder.name for each in member.views]
    assert names == [training.name, "average0.9", "guidance1"]
    groups = [group.name for group in content.comparison.groups]
    assert sorted(groups) == [
        "weights = 0.9, guidance = 0",
        "weights = raw, guidance = 0",
        "weights = raw, guidance = 1",
    ]


def test_a_view_alone_is_shown_with_the_records_of_its_training(training):
    content = content_of(read_runs([training / "views/guidance1"]), Rules(num_draws=100))
    (member,) = content.members
    assert member.folder == training and len(member.views) == 1


def test_runs_without_a_folder_are_trainings_of_their_own():
    runs = [run_of_table(f"entity/project/{n}", evaluations(n, 0)) for n in (64, 128)]
    content = content_of(runs, Rules(num_draws=100))
    assert [[each.run.name for each in member.views] for member in content.members] == [[run.name] for run in runs]


def test_runs_of_one_setting_are_grouped_as_compare_does(tmp_path):
    for n in (64, 128):
        write_run(tmp_path, evaluations(n, 0))
    content = content_of(read_runs([tmp_path]), Rules(by=(), num_draws=100))
    assert content.rules.by == ("optimizer",) and [group.name for group in content.comparison.groups] == ["Adam"]


@pytest.mark.parametrize("wrong", [{"by": ("colour",)}, {"quality": "fid"}])
def test_what_is_asked_for_and_not_there_is_refused(tmp_path, wrong):
    write_study(tmp_path, sizes=(64, 128))
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        content_of(read_runs([tmp_path]), Rules(num_draws=100, **wrong))


def test_runs_without_a_quality_of_their_own_are_shown_one_by_one(tmp_path):
    write_run(tmp_path, evaluations(64, 0))
    write_run(tmp_path, evaluations(128, 0).rename(columns={"frechet_pixels": "fid"}))
    content = content_of(read_runs([tmp_path]), Rules(num_draws=100))
    assert content.comparison is None and "no quality column" in content.refusal
    assert all(member.views[0].times["mem"] is not None for member in content.members)


@pytest.fixture
def atlas(tmp_path):
    for number, extra in enumerate(({}, {"model.network.dropout": 0.1}, {"data.flip": True})):
        for seed in (0, 1):
            table = evaluations(64, seed, setting=f"{number}ab")
            folder = write_run(tmp_path / str(number), table)
            training = {"seed": seed, "optimizer": "Adam", **extra}
            (folder / "identity.json").write_text(json.dumps({"schema": 1, "protocol": {}, "training": training}))
    return tmp_path


def test_settings_are_named_by_what_they_change_of_the_central_one(atlas):
    content = content_of(read_runs([atlas]), Rules(by=(), num_draws=100))
    assert content.rules.by == ("setting",)
    assert [group.name for group in content.comparison.groups] == ["baseline", "dropout=0.1", "flip=True"]
    assert {cell.group for cell in content.comparison.cells} == {"baseline", "dropout=0.1", "flip=True"}
    assert "0/Adam-n64-i0-s0" in content.comparison.notes[0]


def test_settings_are_named_by_what_they_change_of_the_baseline_that_is_asked_for(atlas):
    content = content_of(read_runs([atlas]), Rules(by=("setting",), num_draws=100), against="data.flip=true")
    names = [group.name for group in content.comparison.groups]
    assert names == ["baseline", "flip=default", "flip=default, dropout=0.1"]
    assert content.comparison.groups[0].runs[0].run.folder.parent.name == "2"
    assert [next(rung.group for rung in group.ladder) for group in content.comparison.groups] == names


def test_settings_that_differ_in_the_rate_too_are_named_with_it(atlas):
    for number, rate in ((7, 0.1), (8, 0.2)):
        folder = write_run(atlas / str(number), evaluations(64, 0, setting=f"{number}ab", lr=rate, optimizer="SGD"))
        training = {"optimizer": "SGD", "optimizer.lr": rate}
        (folder / "identity.json").write_text(json.dumps({"schema": 1, "protocol": {}, "training": training}))
    content = content_of(read_runs([atlas]), Rules(by=(), num_draws=100))
    names = [group.name for group in content.comparison.groups]
    assert {"optimizer=SGD, lr=0.1", "optimizer=SGD, lr=0.2", "dropout=0.1"} <= {*names}


def test_settings_that_do_not_say_what_they_are_keep_their_hash(atlas):
    next(atlas.rglob("identity.json")).unlink()
    content = content_of(read_runs([atlas]), Rules(by=("setting",), num_draws=100))
    assert sorted(group.name for group in content.comparison.groups) == ["0ab", "1ab", "2ab"]


def test_as_few_columns_as_tell_the_settings_apart(tmp_path):
    settings = {
        "0a": {"optimizer": "Adam", "lr": 0.001, "num_parameters": 9},
        "0b": {"optimizer": "SGD", "lr": 0.01, "num_parameters": 9},
        "0c": {"optimizer": "SGD", "lr": 0.01, "num_parameters": 70},
    }
    for name, columns in settings.items():
        write_run(tmp_path / name, evaluations(64, 0, setting=name, **columns))
    rates = read_runs([tmp_path / "0a", tmp_path / "0b"])
    assert columns_apart(rates) == ("optimizer",)
    assert columns_apart(read_runs([tmp_path])) == ("num_parameters", "optimizer")
    assert columns_apart(read_runs([tmp_path / "0b", tmp_path / "0c"])) == ("num_parameters",)
