"""From a folder of pictures in CelebA's form to FID and a second measurement, as a user goes."""

import hashlib
import json
import re
import shutil
import warnings

import numpy as np
import pytest
from PIL import Image
from small_run import ROOT

from diffmem import evaluate, fit
from diffmem.callbacks import fid
from diffmem.data.preparation import prepare
from diffmem.files import read_table

CONFIGS = [
    *("--config", str(ROOT / "configs/celeba/unet.yaml")),
    *("--config", str(ROOT / "configs/celeba/width/8.yaml")),
    *("--config", str(ROOT / "configs/optimizer/sgd.yaml")),
]
SHRUNK = [
    "--data.n=4",
    "--data.num_test=32",
    "--data.num_references=2",
    "--data.reference_size=5",
    "--model.network.num_res_blocks=1",
    "--trainer.max_steps=2",
    "--trainer.accelerator=cpu",
    "--evaluation.steps=[1]",
    "--evaluation.num_samples=6",
    "--evaluation.sampling_steps=2",
    "--losses.num_draws=1",
    "--checkpoint.every_n_steps=1",
]
NUM_PICTURES = 200


@pytest.fixture(scope="module")
def celeba(tmp_path_factory):
    """The prepared array of pictures of 178×218."""
    root = tmp_path_factory.mktemp("celeba")
    source = root / "img_align_celeba"
    source.mkdir()
    generator = np.random.default_rng(0)
    for number in range(1, NUM_PICTURES + 1):
        coarse = Image.fromarray(generator.integers(0, 256, (9, 7, 3), dtype=np.uint8))
        coarse.resize((178, 218)).save(source / f"{number:06d}.jpg", quality=75)
    prepare(source, 32, root / "celeba32.npy", num_workers=1)
    return root / "celeba32.npy"


@pytest.fixture(scope="module")
def run(tmp_path_factory, celeba, inception_weights):
    """The folder of a finished run with FID. Read it, do not write in it."""
    root = tmp_path_factory.mktemp("runs")
    command = [*CONFIGS, *SHRUNK, f"--data.path={celeba}", f"--fid.weights={inception_weights}", f"--run_root={root}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["diffmem"])
        assert fit.main(command) == 0
    (folder,) = (path.parent for path in root.glob("*/*/config.yaml"))
    return folder


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and "evaluate" not in path.parts)
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_other_weights_are_named_in_one_line(celeba, inception_weights, tmp_path):
    command = [*CONFIGS, *SHRUNK, f"--data.path={celeba}", f"--fid.weights={inception_weights}", "--data.n=1000000"]
    with pytest.warns(UserWarning, match="SHA-256") as caught:
        assert fit.main([*command, f"--run_root={tmp_path}"]) != 0
    (each,) = [each for each in caught if "SHA-256" in str(each.message)]
    shown = warnings.formatwarning(each.message, each.category, each.filename, each.lineno)
    assert shown.startswith(f"diffmem: warning: {inception_weights}: got SHA-256 ")
    assert shown.count("\n") == 1


def test_rows_carry_fid_and_its_protocol(run, celeba, inception_weights):
    rows = read_table(run / "evaluations.csv")
    assert [row["step"] for row in rows] == ["0", "1", "2"]
    for row in rows:
        assert all(float(row[name]) >= 0 for name in ("fid", "fid_std", "fid_train", "kid_std", "frechet_pixels"))
        assert row["kid"]
    assert len({row["fid"] for row in rows}) == 3
    assert len({row["fid_train"] for row in rows}) == 1
    record = json.loads((run / "provenance.json").read_text())
    assert {row["protocol"] for row in rows} == {record["fid"]["id"]}
    assert record["fid"]["weights_sha256"] == hashlib.sha256(inception_weights.read_bytes()).hexdigest()
    assert record["fid"]["references"][1]["positions"] == [NUM_PICTURES - 32 - 5, NUM_PICTURES - 32]
    assert record["data"]["sha256"] == hashlib.sha256(celeba.read_bytes()).hexdigest()
    assert record["fid"]["references"][0]["data_sha256"] == record["data"]["sha256"]


def test_measured_again_without_overrides_the_rows_are_the_runs_own(run, tmp_path):
    before = contents(run)
    table = tmp_path / "again.csv"
    assert evaluate.main([str(run), "--checkpoints=1", f"--out={table}"]) == 0
    assert read_table(table) == read_table(run / "evaluations.csv")[1:2]
    assert contents(run) == before


class Cheap:
    """Stands in for the Inception network where only the wiring is in question."""

    dimension = 3

    def __init__(self, weights):
        self.protocol = {"features": "mean colours", "weights_sha256": str(weights)}

    def to(self, device):
        return self

    def __call__(self, images):
        return images.flatten(1)[:, :3]


def test_measured_again_with_other_settings(run, monkeypatch, capsys):
    monkeypatch.setattr(fid, "InceptionFeatures", Cheap)
    before = contents(run)
    overrides = ["--memorization.threshold=0.9", "--evaluation.num_samples=8", "--fid.references=[1]"]
    assert evaluate.main([str(run), "--checkpoints=all", *overrides]) == 0
    table = capsys.readouterr().out.split("done: ")[1].strip()
    rows, own = read_table(run / "evaluate" / table.rpartition("/")[2]), read_table(run / "evaluations.csv")
    assert [row["step"] for row in rows] == ["1", "2"]
    for row, old in zip(rows, own[1:], strict=True):
        assert (row["threshold"], row["num_samples"], row["fid_std"]) == ("0.9", "8", "")
        assert row["protocol"] != old["protocol"]
        assert row["config_hash"] == old["config_hash"], "the same training"
        assert row["loss_train"] == old["loss_train"]
    record = json.loads((run / "evaluate" / table.rpartition("/")[2]).with_suffix(".json").read_text())
    assert record["overrides"] == overrides
    assert record["fid"]["id"] == rows[0]["protocol"]
    assert contents(run) == before


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["--optimizer.lr=0.1"], 2, r"optimizer\.lr: got a key that changes more than the measurements"),
        (["--data.n=8"], 2, r"data\.n: got a key"),
        (["--seed=8"], 2, r"seed: got a key"),
        (["--evaluation.steps=paper"], 2, r"evaluation\.steps: got a key"),
        (["--memorization.treshold=0.1"], 2, r"did you mean memorization\.threshold"),
        (["--memorization.threshold"], 2, "expected --key=value"),
        (["--checkpoints=7"], 3, "some of 1, 2, last;"),
        (["--fid.weights=nowhere.pth"], 3, "nowhere.pth: got no such file"),
        (["--data.num_references=0"], 2, r"--data\.num_references"),
        (["--data.num_test=190"], 3, "at least 2 beside"),
    ],
)
def test_what_another_measurement_cannot_be(run, monkeypatch, capsys, arguments, code, what):
    if "--fid.weights=nowhere.pth" not in arguments:
        monkeypatch.setattr(fid, "InceptionFeatures", Cheap)
    folders = set(run.glob("evaluate/*"))
    assert evaluate.main([str(run), *arguments]) == code
    message = capsys.readouterr().err.strip()
    assert re.fullmatch(f"diffmem: .*({what}).*", message), message
    assert set(run.glob("evaluate/*")) == folders


def test_the_checkpoint_of_early_stopping_can_be_measured(run, monkeypatch, tmp_path):
    monkeypatch.setattr(fid, "InceptionFeatures", Cheap)
    copy = tmp_path / "run"
    shutil.copytree(run, copy, symlinks=True)
    shutil.copy(copy / "checkpoints/step-00000001.ckpt", copy / "checkpoints/generalization.ckpt")
    table = tmp_path / "table.csv"
    assert evaluate.main([str(copy), "--checkpoints=generalization,last", f"--out={table}"]) == 0
    assert [row["step"] for row in read_table(table)] == ["1", "2"]


def test_a_damaged_checkpoint_is_named(run, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(fid, "InceptionFeatures", Cheap)
    copy = tmp_path / "run"
    shutil.copytree(run, copy, symlinks=True)
    (copy / "checkpoints/step-00000001.ckpt").write_bytes(b"PK")
    assert evaluate.main([str(copy), "--checkpoints=1"]) == 3
    assert "step-00000001.ckpt: got a damaged file" in capsys.readouterr().err


def test_a_table_of_another_measurement_is_not_mixed(run, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(fid, "InceptionFeatures", Cheap)
    table = shutil.copy(run / "evaluations.csv", tmp_path / "table.csv")
    assert evaluate.main([str(run), f"--out={table}", "--memorization.threshold=0.9"]) == 3
    assert "rows of another measurement" in capsys.readouterr().err


def test_other_images_than_the_runs_are_refused(run, celeba, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(fid, "InceptionFeatures", Cheap)
    array = np.load(celeba)
    array[0, 0, 0, 0] ^= 1
    path = tmp_path / "celeba32.npy"
    np.save(path, array)
    record = json.loads(celeba.with_suffix(".json").read_text())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps({**record, "sha256": digest}))
    assert evaluate.main([str(run), f"--data.path={path}"]) == 3
    assert "those the run" in capsys.readouterr().err


def test_a_network_for_other_colours_ends_a_run_before_it_has_a_folder(celeba, tmp_path, capsys):
    command = [*CONFIGS, *SHRUNK, f"--data.path={celeba}", f"--run_root={tmp_path}/runs"]
    assert fit.main([*command, "--model.network.in_channels=3"]) == 2
    assert "data of shape (1, 32, 32)" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--data.path=nowhere.npy"], "no file nowhere.npy"),
        (["--fid.weights=nowhere.pth"], "nowhere.pth: got no such file"),
        (["--fid.weights=" + __file__], "does not hold the network's weights"),
    ],
)
def test_missing_files_end_a_run_before_it_has_a_folder(celeba, tmp_path, capsys, arguments, what):
    command = [*CONFIGS, *SHRUNK, f"--data.path={celeba}", f"--run_root={tmp_path}/runs", *arguments]
    assert fit.main(command) == 3
    assert what in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
