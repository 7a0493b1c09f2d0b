"""What counts as a run, and what is refused."""

import json

import numpy as np
import pytest
from synthetic_runs import evaluations, log_steps, write_run, write_study

from diffmem.analysis.comparable import group_runs, refuse_different_protocols
from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.runs import DEFAULT_VIEW, quality_column, read_runs, run_of_table
from diffmem.errors import ConfigError, DataError

STEPS = log_steps(30_000)


def run(n=64, seed=0, **identity):
    return run_of_table(f"study/n{n}-s{seed}", evaluations(n, seed, steps=STEPS, **identity))


def test_runs_are_found_at_and_below_a_folder_and_once(tmp_path):
    first, second = write_study(tmp_path / "study", (64, 128), steps=STEPS)
    (first / "config.yaml").write_text("data: {}\n")
    runs = read_runs([tmp_path, second])
    assert sorted(each.n for each in runs) == [64, 128]
    assert runs[0].identity["optimizer"] == "Adam"


def test_hashes_are_no_numbers(tmp_path):
    for n, setting in ((64, "12e45678"), (128, "01234567")):
        write_run(tmp_path, evaluations(n, 0, steps=STEPS, setting=setting))
    assert {run.identity["setting"] for run in read_runs([tmp_path])} == {"12e45678", "01234567"}


def test_identity_columns_are_enough(tmp_path):
    table = evaluations(64, 0, steps=STEPS)
    write_run(tmp_path, table[["step", "f_mem", "frechet_pixels", "n", "optimizer", "seed"]])
    (found,) = read_runs([tmp_path])
    assert found.num_samples is None
    assert set(found.identity) - set(DEFAULT_VIEW) == {"n", "optimizer", "seed"}


@pytest.mark.parametrize("num_samples", [100, 500, 10_000])
def test_the_interval_of_f_mem_tells_the_number_of_samples(num_samples):
    table = evaluations(64, 0, steps=STEPS, num_samples=num_samples).drop(columns="num_samples")
    assert set(run_of_table("r", table).num_samples) == {num_samples}


def test_clocks():
    found = run(n=32, lr=0.01)
    assert found.clock("images") == pytest.approx(32 * found.clock("updates"))
    assert found.clock("epochs") == pytest.approx(found.clock("updates"))
    assert found.clock("lr") == pytest.approx(0.01 * found.clock("updates"))


def test_a_clock_without_its_column_is_refused():
    with pytest.raises(DataError, match="clock 'lr'"):
        run_of_table("r", evaluations(64, 0, steps=STEPS).drop(columns="lr")).clock("lr")


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ("", "no rows"),
        ("step,n\n0,64\n", "column f_mem: got only step, n"),
        ("step,f_mem\n0,0\n", "column n"),
        ("step,f_mem,n\n", "no rows"),
        ("step,f_mem,n\n0,0,64\n10,x,64\n", "'x' in row 2"),
        ("step,f_mem,n\n10,0,64\n0,0,64\n", "out of order"),
        ("step,f_mem,n\n10,0,64\n10,0,64\n", "repeated"),
        ("step,f_mem,n\n0,0,64\n10,0,128\n", "one value: one run"),
        ('step,f_mem,n\n0,0,64\n"1,2,3,4,5\n', "unexpected end of data"),
        ("step,f_mem,n\n0,0\n10,0,64\n", "line 2: got 2 fields, expected 3"),
        (b"step,f_mem,n\n0,0,\xff\n", "a table in UTF-8"),
        ("f_mem,n\n0,64\n", "column step"),
        ("step,f_mem,n\n0,0,0\n", "column n: got 0"),
        ("step,f_mem,n\n0,0,-5\n", "column n: got -5"),
    ],
)
def test_a_table_that_is_no_run_is_refused_in_one_line(tmp_path, contents, reason):
    contents = contents if isinstance(contents, bytes) else contents.encode()
    (tmp_path / "evaluations.csv").write_bytes(contents)
    with pytest.raises(DataError, match=reason) as refusal:
        read_runs([tmp_path])
    assert "\n" not in str(refusal.value)


def test_refined_rows_stand_in_place_of_those_of_their_steps(tmp_path):
    (tmp_path / "evaluations.csv").write_text("step,f_mem,n\n0,0,64\n10,0.5,64\n20,0.75,64\n")
    (tmp_path / "refined.csv").write_text("step,f_mem,n\n10,0.25,64\n15,0.375,64\n")
    (found,) = read_runs([tmp_path])
    assert found.column("step").tolist() == [0, 10, 15, 20]
    assert found.column("f_mem").tolist() == [0, 0.25, 0.375, 0.75]
    (tmp_path / "evaluations.csv").write_text("f_mem,n\n0,64\n")
    with pytest.raises(DataError, match=r"evaluations\.csv column step: got no such column"):
        read_runs([tmp_path])


def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path):
    (tmp_path / "evaluations.csv").write_bytes(b"\xef\xbb\xbfstep,f_mem,n,note\r\n0,0,64,\r\n10,0.5,64,=1+1\r\n")
    (found,) = read_runs([tmp_path])
    assert found.column("step").tolist() == [0, 10]
    assert found.column("f_mem").tolist() == [0, 0.5]


def test_runs_behind_a_link_are_found_once(tmp_path):
    for study in ("real", "other"):
        (tmp_path / study / "run").mkdir(parents=True)
        (tmp_path / study / "run" / "evaluations.csv").write_text("step,f_mem,n\n0,0,64\n")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "run" / "loop").symlink_to(tmp_path / "runs")
    assert [each.name for each in read_runs([tmp_path / "runs"])] == ["real/run"]
    assert len(read_runs([tmp_path])) == 2


def test_names_of_others_reach_no_terminal_table_or_page_as_commands(tmp_path):
    from diffmem.analysis.comparison import Rules, compare
    from diffmem.analysis.report import console_text, write_csv, write_markdown

    rows = "\n".join(f"{step},{step / 99},{9 - step / 50},64,{{name}}" for step in (0, 10, 50, 99))
    for place, name in enumerate(("=HYPERLINK(1)", "![x](http://y)", "\x1b[2J")):
        folder = tmp_path / f"runs/a{place}"
        folder.mkdir(parents=True)
        (folder / "evaluations.csv").write_text(f"step,f_mem,frechet_pixels,n,optimizer\n{rows.format(name=name)}\n")
    comparison = compare(read_runs([tmp_path / "runs"]), Rules())
    write_csv(comparison, tmp_path / "c.csv")
    write_markdown(comparison, tmp_path / "c.md")
    assert "\x1b" not in console_text(comparison)
    assert "\n'=HYPERLINK(1)," in (tmp_path / "c.csv").read_text()
    assert "](http" not in (tmp_path / "c.md").read_text()


def test_missing_and_empty_folders_are_refused(tmp_path):
    for folder, reason in ((tmp_path / "nowhere", "no such folder"), (tmp_path, "no evaluations.csv")):
        with pytest.raises(DataError, match=reason):
            read_runs([folder])


def test_the_quality_is_fid_or_the_one_frechet_distance():
    plain = run()
    assert quality_column([plain]) == "frechet_pixels"
    with_fid = run_of_table("r", evaluations(64, 0, steps=STEPS).assign(fid=1.0, fid_std=0.1))
    assert quality_column([with_fid]) == "fid"
    assert quality_column([with_fid], "frechet_pixels") == "frechet_pixels"
    assert quality_column([with_fid, plain]) == "frechet_pixels"
    with pytest.raises(ConfigError, match="one of frechet_pixels"):
        quality_column([plain], "fid")


def test_groups_are_the_values_of_the_columns():
    runs = [run(optimizer="SGD", setting="s", lr=0.01), run(), run(128)]
    assert {name: len(members) for name, members in group_runs(runs, ["optimizer"]).items()} == {"Adam": 2, "SGD": 1}
    assert list(group_runs(runs, ["optimizer", "lr"])) == ["Adam, lr = 0.001", "SGD, lr = 0.01"]
    with pytest.raises(ConfigError, match="'width'"):
        group_runs(runs, ["width"])


def test_two_settings_in_a_group_are_refused_by_name():
    runs = [run(), run(128, setting="other", lr=0.01)]
    with pytest.raises(DataError, match=r"study/n64-s0 and study/n128-s0, which differ in lr 0.001 and 0.01"):
        group_runs(runs, ["optimizer"])
    assert len(group_runs(runs, ["optimizer", "lr"])) == 2


def test_without_settings_the_identity_columns_are_compared():
    tables = [evaluations(64, 0, steps=STEPS, lr=lr).drop(columns="setting") for lr in (0.001, 0.01)]
    runs = [run_of_table(name, table) for name, table in zip("ab", tables, strict=True)]
    with pytest.raises(DataError, match="differ in lr"):
        group_runs(runs, ["optimizer"])


def test_configs_say_which_keys_differ(tmp_path):
    """Only keys that are part of the setting are named."""
    folders = [
        write_run(tmp_path, evaluations(n, 0, steps=STEPS, setting=setting)) for n, setting in ((64, "a"), (128, "b"))
    ]
    for folder, n, dropout in zip(folders, (64, 128), (0.0, 0.1), strict=True):
        training = {"seed": n, "data.n": n, "model.network.dropout": dropout}
        (folder / "identity.json").write_text(json.dumps({"schema": 1, "training": training, "protocol": {}}))
    with pytest.raises(DataError) as refusal:
        group_runs(read_runs([tmp_path]), ["optimizer"])
    assert "model.network.dropout 0.1 and 0.0, expected" in str(refusal.value)


def test_a_copy_of_a_run_is_no_second_seed():
    with pytest.raises(DataError, match="each seed and index once"):
        group_runs([run(), run()], ["optimizer"])


ALIKE = {"threshold": 1 / 3, "sampler": "ddim-50", "loss_t": 0.01, "num_test": 512}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("num_samples", 100),
        ("threshold", 0.5),
        ("sampler", "ddim-25"),
        ("loss_t", 0.1),
        ("num_test", 256),
        ("test_index", 1),
    ],
)
def test_values_measured_otherwise_are_not_compared(column, value):
    first, other = (run_of_table(name, evaluations(n, 0, steps=STEPS).assign(**{**ALIKE, **changed}))
                    for name, n, changed in (("r", 64, {}), ("other", 128, {column: value})))  # fmt: skip
    with pytest.raises(DataError, match=f"{column}.*r.*other"):
        refuse_different_protocols([first, other], "frechet_pixels")
    refuse_different_protocols([first, other], "frechet_pixels", by=[column])


def test_what_else_was_measured_may_differ():
    more = run_of_table("more", evaluations(64, 0, steps=STEPS).assign(**ALIKE, score_error=1.0, scores_t=0.1))
    earlier = run_of_table("earlier", evaluations(128, 0, steps=STEPS).assign(num_samples=500))
    refuse_different_protocols([more, earlier], "frechet_pixels")
    fewer = run_of_table("fewer", evaluations(64, 0, steps=STEPS, num_samples=100).assign(protocol=1))
    refuse_different_protocols([more, fewer], "fid")


def test_hashes_of_different_schemata_are_not_compared():
    """A table of an earlier version and one of this version, of the same training."""
    earlier, present = run(setting="old"), run(128, setting="new", schema=1)
    assert len(group_runs([earlier, present], ["optimizer"])["Adam"]) == 2
    with pytest.raises(DataError, match=r"lr 0\.001 and 0\.01.*compare by optimizer,lr"):
        group_runs([earlier, run(128, setting="new", schema=1, lr=0.01)], ["optimizer"])
    sampled = run(128, setting="new", schema=1, sampler="ddim-25")
    assert len(group_runs([earlier, sampled], ["optimizer"])["Adam"]) == 2  # the earlier one does not say its sampler
    with pytest.raises(DataError, match="sampler ddim-25 and ddim-50"):
        group_runs(
            [run(setting="old", sampler="ddim-25"), run(128, setting="new", schema=1, sampler="ddim-50")], ["optimizer"]
        )
    with pytest.raises(DataError, match="labels none and true"):
        group_runs([earlier, run(128, setting="new", schema=1, labels="true")], ["optimizer"])


def test_numbers_survive_reading(tmp_path):
    table = evaluations(64, 0, steps=STEPS)
    write_run(tmp_path, table)
    np.testing.assert_array_equal(read_runs([tmp_path])[0].column("frechet_pixels"), table["frechet_pixels"])


def test_views_are_told_apart_by_what_their_tables_say_and_share_the_training_of_their_run(tmp_path):
    table = evaluations(64, 0, steps=STEPS)
    folder = write_run(tmp_path, table)
    (folder / "identity.json").write_text('{"schema": 1, "training": {"data.labels": "true"}, "protocol": {}}')
    view = folder / "views" / "guidance3"
    view.mkdir(parents=True)
    seen = {"weights": "raw", "guidance": 3.0, "setting": f"{table['setting'][0]}-guidance3"}
    table.assign(**seen).to_csv(view / "evaluations.csv", index=False)
    plain, guided = read_runs([tmp_path])
    assert (plain.identity["guidance"], guided.identity["guidance"]) == (0, 3)
    assert guided.name == f"{folder.name}/guidance3"
    assert plain.training() == {"data.labels": "true"}
    assert guided.training() == {"data.labels": "true", "guidance": 3}
    assert [cell.group for cell in compare([plain, guided], Rules(by=("guidance",))).cells] == [
        "guidance = 0",
        "guidance = 3",
    ]
    with pytest.raises(DataError, match="differ in guidance default and 3"):
        compare([plain, guided], Rules())


def test_what_was_measured_again_of_a_run_is_no_run_of_its_own(tmp_path):
    run = write_run(tmp_path / "study", evaluations(64, 0, steps=STEPS))
    again = run / "evaluate/0123abcd/views/average0.5"
    for folder in (run / "views/average0.5", again):
        folder.mkdir(parents=True)
        (folder / "evaluations.csv").write_bytes((run / "evaluations.csv").read_bytes())
    assert [each.folder for each in read_runs([tmp_path])] == [run, run / "views/average0.5"]
    assert [each.folder for each in read_runs([run / "evaluate"])] == [again], "asked for by name"
