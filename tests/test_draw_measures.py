"""Times of known curves, from folders of runs to tables and figures."""

import draw_measures
import numpy as np
import pytest
from small_run import SMALL, only_run

from diffmem import fit
from diffmem.files import read_table, write_table

STEPS = [0, 10, 20, 40, 80, 160, 320, 640]
CURVES = {
    "num_samples": [500] * 8,
    "n": [64] * 8,
    "loss_train": [1, 0.9, 0.7, 0.5, 0.4, 0.3, 0.2, 0.1],
    "loss_test": [1, 0.9, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2],
    "f_mem": [0, 0, 0, 0, 0, 0, 0.5, 0.9],
    "nn_ratio": [1, 0.9, 0.9, 0.9, 1.0, 1.2, 1.5, 3.0],
    "c_t": [None, 5, 4, 3, 1, -1, -3, -9],
    "authenticity": [1, 1, 1, 0.9, 0.8, 0.5, 0.2, 0.0],
}


def test_measures_are_listed_in_the_order_in_which_they_move(tmp_path, capsys):
    rows = [{"step": step, **{name: values[k] for name, values in CURVES.items()}} for k, step in enumerate(STEPS)]
    rows = [{**row, "nn_ratio_low": row["nn_ratio"], "nn_ratio_high": row["nn_ratio"]} for row in rows]
    for name in ("a", "b"):
        write_table(tmp_path / f"root/study/{name}/evaluations.csv", rows)
    out = tmp_path / "out"
    assert draw_measures.main([str(tmp_path / "root"), "--out", str(out)]) == 0
    table = [row for row in read_table(out / "measures.csv") if row["run"] == "a"]
    known = [row for row in table if row["time"]]
    assert [row["measure"] for row in known][:3] == ["L_test", "L_test", "nn_ratio"]
    times, low, high = (np.array([float(row[name]) for row in known]) for name in ("time", "low", "high"))
    assert times[0] == 20
    assert times[2] == pytest.approx(40 * 2**0.45)
    assert np.all((low <= times) & (times <= high))
    order = {(row["first"], row["second"]): row for row in read_table(out / "order.csv")}
    found = order["nn_ratio", "f_mem"]
    assert (found["runs"], found["before"], found["after"], found["depends"]) == ("2", "2", "0", "0")
    assert order["C_T", "AuthPct"]["depends"] == "2", "-2 comes between 40% and 20%"
    assert {path.name for path in out.glob("*.png")} == {"order.png", "measures-a.png", "measures-b.png"}
    assert "nn_ratio before f_mem: 2 of 2 runs" in capsys.readouterr().out


def test_one_command_compares_twins_where_there_are_any(finished_run, tmp_path, capsys):
    assert fit.main([*SMALL, f"--run_root={tmp_path}/other", "--data.index=1"]) == 0
    other = only_run(tmp_path / "other")
    root = tmp_path / "both"
    root.mkdir()
    for run in (finished_run, other):
        (root / run.name).symlink_to(run)
    assert draw_measures.main([str(root), "--num=10", f"--out={tmp_path}/out"]) == 0
    (twins,) = (tmp_path / "out").glob("twins-*.csv")
    first = read_table(twins)
    assert [(row["step"], row["num_samples"], row["seed"]) for row in first] == [(step, "10", "0") for step in "246"]
    assert {row["measure"] for row in read_table(tmp_path / "out/measures.csv")} == {
        "L_test",
        "nn_ratio",
        "f_mem",
        "twins",
    }
    write_table(twins, [{**row, "share_own": 0.5} for row in first])
    command = [str(root), f"--out={tmp_path}/out"]
    assert draw_measures.main([*command, "--num=10"]) == 0
    assert [row["share_own"] for row in read_table(twins)] == ["0.5"] * 3, "the table is kept"
    assert draw_measures.main([*command, "--num=10", "--seed=1"]) == 0
    other_noise = read_table(twins)
    assert [row["seed"] for row in other_noise] == ["1"] * 3
    assert other_noise[0]["distance"] != first[0]["distance"]
    assert draw_measures.main([*command, "--num=1"]) == 2
    assert draw_measures.main([str(tmp_path / "none")]) == 3
    assert "no evaluations.csv" in capsys.readouterr().err
