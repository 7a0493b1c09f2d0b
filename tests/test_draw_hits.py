"""Copies by hand, from the folders of runs to what is said of their images."""

import math
import shutil

import draw_hits
import numpy as np
import pytest
import torch
from small_run import SMALL, only_run

from diffmem import fit
from diffmem.files import read_table, write_table
from diffmem.revisit.reopen import ReopenedRun

#: By step, the training image that a sample copies and how far it is from it, in radii.
SAMPLES = {2: [(0, 0.0), (5, 1.01)], 4: [(3, 0.99), (0, 0.5)], 6: [(0, 0.0), (7, 0.2), (7, 0.2)]}


@pytest.fixture(scope="module")
def duplicated(tmp_path_factory):
    """A run on the images of ``finished_run``, of which the first four come three times."""
    root = tmp_path_factory.mktemp("duplicated")
    cheap = ["--evaluation.steps=[]", "--evaluation.num_samples=4", "--data.duplicates=4:3", "--pictures.num_samples=2"]
    assert fit.main([*SMALL, f"--run_root={root}", *cheap]) == 0
    return only_run(root)


def with_hits(run, root, rows):
    """A copy of ``run`` whose samples copied as ``rows`` (step, image, copies) say."""
    copy = shutil.copytree(run, root / "runs/digits" / run.name)
    (copy / "hits.csv").unlink(missing_ok=True)
    write_table(copy / "hits.csv", [dict(zip(("step", "image", "copies"), row, strict=True)) for row in rows])
    return copy


@pytest.fixture
def known_samples(monkeypatch):
    """Samples at known distances from training images, in units of the radius of a copy."""

    def sample(self, num, seed):
        train = self.data.to_unit(self.data.train_images)
        distances = torch.cdist(train.flatten(1).double(), train.flatten(1).double()).fill_diagonal_(math.inf)
        radius = draw_hits.RADIUS * distances.min(1).values.quantile(0.5)
        away = torch.zeros_like(train[0])
        away.view(-1)[0] = 1.0
        asked_for.append((num, seed))
        return torch.stack([train[image] + far * radius.float() * away for image, far in SAMPLES[self.step]])

    asked_for = []
    monkeypatch.setattr(ReopenedRun, "sample", sample)
    return asked_for


def test_each_rule_has_its_first_step_and_its_copies(duplicated, known_samples, tmp_path, capsys):
    run = with_hits(duplicated, tmp_path, [(4, 1, 2), (6, 1, 3), (6, 9, 1)])
    assert draw_hits.main([str(run), "--num=30", "--seed=7", f"--out={tmp_path}/out"]) == 0
    assert known_samples == [(30, 7)] * 3
    rows = read_table(tmp_path / "out/first_copied.csv")
    by_ratio = {row["image"]: (row["ratio"], row["ratio_copies"]) for row in rows if row["ratio"]}
    assert by_ratio == {"1": ("4", "5.0"), "9": ("6", "1.0")}
    by_radius = {row["image"]: (row["radius"], row["radius_copies"]) for row in rows if row["radius"]}
    assert by_radius == {"0": ("2", "3.0"), "3": ("4", "1.0"), "7": ("6", "2.0")}, "5 is farther than the radius"
    assert [row["times_in_an_epoch"] for row in rows] == ["3"] * 4 + ["1"] * 12
    data = ReopenedRun(run).data
    train = data.to_unit(data.train_images).flatten(1).double().numpy()
    apart = np.linalg.norm(train[:, None] - train[None], axis=2) + np.diag([np.inf] * 16)
    assert [float(row["spacing"]) for row in rows] == pytest.approx(apart.min(1).tolist())
    assert [int(row["label"]) for row in rows] == data.true_labels("train").tolist()
    assert (tmp_path / "out/hits.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert "ratio below 1/3: 2 of 16 images copied" in printed
    assert "within a third of the spacing: 3 of 16 images copied" in printed
    assert "3 times in an epoch: 1 of 4 copied, first at update not reached (median), 1.2 copies" in printed
    assert "1 times in an epoch: 1 of 12 copied, first at update not reached (median), 0.1 copies" in printed


def test_an_image_is_compared_with_itself_where_it_is_once(duplicated, finished_run, known_samples, tmp_path, capsys):
    """Of the first four, 0 comes first without duplicates, 1 and 2 with them, and 3 never; 2 is copied as often."""
    more = with_hits(duplicated, tmp_path / "a", [(2, 1, 5), (2, 2, 1), (6, 0, 3)])
    once = with_hits(finished_run, tmp_path / "b", [(4, 1, 1), (6, 2, 1), (2, 0, 1), (2, 9, 7)])
    assert draw_hits.main([str(more), str(once), f"--out={tmp_path}/out"]) == 0
    of_ratio = capsys.readouterr().out.split("within")[0]
    assert "the same image, earlier where it comes more often: 2 of 4, the other way 1, alike 1" in of_ratio
    assert "the same image, more often where it comes more often: 2 of 4, the other way 0, alike 2" in of_ratio
    assert draw_hits.main([str(more), str(once), str(once), f"--out={tmp_path}/out"]) == 3
    assert "two runs on the same images" in capsys.readouterr().err


def test_neighbours_are_read_where_images_come_once(duplicated, known_samples, tmp_path):
    """Images that come more often come first whatever their neighbours: they would decide the correlation."""
    rows = draw_hits.images_of(with_hits(duplicated, tmp_path, [(2, 0, 1)]), 10)
    for place, row in enumerate(rows):
        row["spacing"], row["ratio"] = (place, float(place)) if place >= 4 else (100.0 - place, 0.0)
    (line,) = [line for line in draw_hits.describe(rows, "ratio") if "nearest other" in line]
    assert " 1.00 [1.00, 1.00]" in line
    assert draw_hits.alone(rows).tolist() == [False] * 4 + [True] * 12
    others = [{**row, "run": "other", "times_in_an_epoch": 1} for row in rows[:6]]
    assert draw_hits.alone([*rows, *others]).tolist() == [False] * 16 + [True] * 6, "an image has its row once"


def test_a_run_without_copies_and_a_folder_that_is_none(finished_run, tmp_path, capsys):
    bare = shutil.copytree(finished_run, tmp_path / "root/digits" / finished_run.name)
    (bare / "hits.csv").unlink(missing_ok=True)
    assert draw_hits.main([str(bare), f"--out={tmp_path}/out"]) == 3
    assert "no copies yet" in capsys.readouterr().err
    assert draw_hits.main([str(tmp_path / "none")]) in (2, 3)
    assert draw_hits.main([str(finished_run), "--num=0"]) == 2
    assert "--num: got 0, expected at least 1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
