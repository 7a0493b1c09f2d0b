"""Every measure at once: what it says of samples that are known, whatever the batches and however many the ranks."""

import json
from itertools import product
from math import inf

import known_cases
import pytest
from known_cases import CASES, CLASSES, NUM, N

from diffmem.files import read_table

#: Ranks, and samples of a call of the network.
LAUNCHES = [(1, NUM), (1, 7), (2, NUM), (3, 7)]
TABLES = ("hits.csv", "per_class.csv", "ratios.csv")
#: For each column a number, or an open interval that holds it.
ANSWERS = {
    "no copies": {
        "f_mem": 0, "f_mem_null": 0, "nn_ratio": (0.9, 1.1), "images_copied": 0, "images_copied_chao": 0,
        "copies_top_tenth": None, "c_t": (-2, 2), "authenticity": (0.5, 0.8), "calibrated_l2_copies": (-0.1, 0.05),
        "precision": (0.8, 1), "recall": (0.8, 1), "density": (0.8, 1.3), "train_duplicates": 0,
    },
    "half": {
        "f_mem": 0.5, "f_mem_null": 0, "nn_ratio": (1.5, 2.5), "images_copied": 20, "images_copied_chao": 20,
        "copies_top_tenth": 0.2, "c_t": (-8, -4), "authenticity": (0.25, 0.4), "calibrated_l2_copies": 0.5,
        "precision": (0.8, 1), "recall": (0.8, 1),
    },
    "all copies": {
        "f_mem": 1, "f_mem_null": 0, "nn_ratio": (500, inf), "images_copied": 40, "images_copied_chao": 40,
        "copies_top_tenth": 0.1, "c_t": (-inf, -10), "c_t_p": (0, 1e-20), "authenticity": 0, "calibrated_l2_copies": 1,
        "calibrated_l2": (0, 0.01), "precision": (0.8, 1),
    },
    "duplicates": {
        "f_mem": 1, "nn_train": 0, "nn_ratio": None, "images_copied": 1, "images_copied_chao": 1,
        "copies_top_tenth": 1, "c_t": (-inf, -10), "authenticity": 0, "calibrated_l2": 0, "calibrated_l2_copies": 1,
        "precision": 1, "recall": 0, "coverage": (0, 0.2), "train_duplicates": 1,
    },
    "held-out images": {
        "f_mem": 0, "f_mem_null": 1, "nn_heldout": 0, "images_copied": 0, "c_t": (-2, 2), "authenticity": (0.5, 0.8),
        "calibrated_l2_copies": 0, "precision": 1, "recall": (0.9, 1), "coverage": 1,
    },
    "far": {
        "f_mem": 0, "f_mem_null": 0, "nn_ratio": (0.99, 1), "images_copied": 0, "c_t": (10, inf), "authenticity": 1,
        "calibrated_l2": (1.9, 2), "precision": 0, "recall": 0, "density": 0, "coverage": 0,
    },
}  # fmt: skip


#: What each measure writes: its tables, and the first of its columns.
WRITES = {
    "memorization": {"f_mem", "nn_ratio"},
    "ratios": {"ratios.csv"},
    "hits": {"hits.csv", "images_copied"},
    "copying": {"c_t", "authenticity", "calibrated_l2"},
    "frechet": {"frechet_pixels"},
    "prdc": {"precision", "recall", "density", "coverage"},
    "losses": {"loss_train", "loss_test"},
    "scores": {"score_error"},
    "likelihood": {"kl"},
    "per_class": {"per_class.csv"},
}


@pytest.fixture(scope="module")
def measured(launch, tmp_path_factory):
    """Of each case and launch, what every rank has of its row, and the tables."""
    root = tmp_path_factory.mktemp("measured")
    folders = {which: root / "-".join(map(str, which)) for which in LAUNCHES}
    for (world, batch_size), folder in folders.items():
        assert launch([str(batch_size), str(folder)], world, command="measure") == [0] * world
    found = {}
    for which, case in product(LAUNCHES, CASES):
        folder = folders[which] / case
        ranks = [json.loads((folder / f"row-{rank}.json").read_text()) for rank in range(which[0])]
        found[(case, *which)] = ranks, {name: read_table(folder / name) for name in TABLES if (folder / name).exists()}
    return found


@pytest.mark.parametrize(("case", "column"), [(case, column) for case, of in ANSWERS.items() for column in of])
def test_a_case_whose_answer_is_known(measured, case, column):
    ((rank,), _), expected = measured[case, 1, NUM], ANSWERS[case][column]
    if isinstance(expected, tuple):
        assert expected[0] < rank["row"][column] < expected[1]
    else:
        assert rank["row"][column] == pytest.approx(expected)


@pytest.mark.parametrize("case", ["no copies", "half", "all copies", "duplicates", "held-out images"])
def test_tables_of_a_case_whose_answer_is_known(measured, case):
    (rank,), tables = measured[case, 1, NUM]
    f_mem, null = rank["row"]["f_mem"], rank["row"]["f_mem_null"]
    thresholds = [row for row in tables["ratios.csv"] if float(row["threshold"] or 1) < 0.4]
    assert [float(row["f_mem"]) for row in thresholds] == [f_mem] * 4, "copies are copies at every threshold"
    assert [float(row["f_mem_null"]) for row in thresholds] == [null] * 4
    quantiles = {float(row["quantile"]): row for row in tables["ratios.csv"] if row["quantile"]}
    assert all((float(row["ratio"]) < 0.01) == (f_mem > level) for level, row in quantiles.items() if level != f_mem)
    assert all((float(row["ratio_null"]) < 0.01) == (null > level) for level, row in quantiles.items() if level < 1)
    copies = {int(row["image"]): int(row["copies"]) for row in tables.get("hits.csv", [])}
    even = dict.fromkeys(range(0, N, 2), 2)
    assert copies == {"half": even, "all copies": dict.fromkeys(range(N), 2), "duplicates": {0: NUM}}.get(case, {})
    of_labels = [float(row["f_mem"]) for row in tables["per_class.csv"]]
    assert of_labels == ([1, 0, 1, 0] if case == "half" else [f_mem] * CLASSES)


@pytest.mark.parametrize("which", LAUNCHES[1:], ids=lambda which: f"{which[0]} ranks, batches of {which[1]}")
@pytest.mark.parametrize("case", CASES)
def test_neither_ranks_nor_batches_change_a_measure(measured, case, which):
    ((whole,), tables), (ranks, others) = measured[case, 1, NUM], measured[(case, *which)]
    assert [sum(each["batches"]) for each in ranks] == {1: [80], 2: [40, 40], 3: [27, 27, 26]}[which[0]]
    assert all(max(each["batches"]) <= which[1] for each in ranks)
    for each in ranks:  # every rank has the row of all samples
        assert list(each["row"]) == list(whole["row"])
        for column, value in each["row"].items():
            expected = whole["row"][column]
            assert value == (pytest.approx(expected, rel=1e-9) if isinstance(expected, float) else expected), column
    assert others == tables


@pytest.mark.parametrize("name", known_cases.observers())
def test_a_measure_that_is_added_is_among_them(measured, name):
    (rank,), tables = measured["half", 1, NUM]
    written = {*tables, *rank["row"]}
    assert WRITES[name] <= written, "and what it writes belongs in WRITES, its answers in ANSWERS"
