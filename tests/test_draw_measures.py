"""Times of known curves, in their order."""

import draw_measures
import numpy as np
import pytest

from diffmem.files import write_table

STEPS = [0, 10, 20, 40, 80, 160, 320, 640]
CURVES = {
    "num_samples": [500] * 8,
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
    write_table(tmp_path / "run/evaluations.csv", rows)
    twins = [{"step": step, "num_samples": 500, "share_own": share, "correlation": 1 - share}
             for step, share in zip(STEPS, (0, 0, 0, 0.1, 0.4, 0.6, 1, 1), strict=True)]  # fmt: skip
    write_table(tmp_path / "twins.csv", twins)
    out = tmp_path / "out"
    arguments = [str(tmp_path / "run"), "--twins", str(tmp_path / "twins.csv"), "--out", str(out)]
    assert draw_measures.main(arguments) == 0
    table = draw_measures.read(out / "measures.csv")
    printed = [line.split("  ")[-1].split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert printed == ["L_test", "nn_ratio", "twins", "f_mem", "C_T", "AuthPct", "f_mem"]
    assert table["time"][0] == 20
    assert np.all((table["low"] <= table["time"]) & (table["time"] <= table["high"]))
    assert table["time"][1] == pytest.approx(40 * 2**0.45)
    assert (out / "measures.png").exists()
