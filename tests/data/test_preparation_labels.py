"""Labels that pictures bring along: their folders, or a table of attributes."""

import csv
import io
import zipfile

import numpy as np
import prepare_celeba
import pyarrow
import pyarrow.parquet
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from diffmem.data import CelebA, PreparedImages
from diffmem.data.preparation import load_prepared, prepare
from diffmem.data.preparation.labels import encode, labels_path, values_of_pictures
from diffmem.errors import ConfigError, DataError

CLASSES = {"cat": 7, "dog2": 9, "dog10": 8}


def grey(value):
    return Image.new("L", (9, 8), value)


@pytest.fixture
def folders(tmp_path):
    """Pictures of one grey each, 10 for cats, 20 and 30 for the others, in folders of classes."""
    for place, (name, count) in enumerate(CLASSES.items(), 1):
        folder = tmp_path / "animals" / name / "some"
        folder.mkdir(parents=True)
        for number in range(count):
            grey(10 * place).save(folder / f"{number}.png")
    return tmp_path / "animals"


@pytest.fixture
def celeba(tmp_path):
    """Pictures 1 to 24 whose grey is ten times their number, and CelebA's file of attributes."""
    (tmp_path / "faces").mkdir()
    lines = ["24", "Smiling Male Young "]
    for number in range(1, 25):
        grey(10 * number).save(tmp_path / "faces" / f"{number:06d}.png")
        lines.append(f"{number:06d}.png {1 if number % 3 == 0 else -1}  {1 if number > 12 else -1} -1")
    (tmp_path / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def grey_levels(data, images):
    return (data.to_unit(images)[:, 0, 0, 0] * 255).round().long()


def test_folders_of_classes_label_every_picture_in_every_subset(folders, tmp_path):
    record = prepare(folders, 8, tmp_path / "animals.npy", num_workers=1)
    assert record["labels"]["attributes"] == {"class": ["cat", "dog2", "dog10"]}
    for index in (0, 1):
        data = PreparedImages(str(tmp_path / "animals.npy"), n=8, index=index, num_test=6, labels=True)
        data.setup()
        assert data.num_classes == 3
        for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
            assert torch.equal(grey_levels(data, images) // 10 - 1, labels)
            assert len(labels.unique()) > 1


def test_a_zip_of_folders_inside_a_folder_has_the_same_labels(folders, tmp_path):
    prepare(folders, 8, tmp_path / "animals.npy", num_workers=1)
    with zipfile.ZipFile(tmp_path / "animals.zip", "w") as archive:
        for path in folders.rglob("*.png"):
            archive.write(path, f"data/train/{path.relative_to(folders).as_posix()}")
    prepare(tmp_path / "animals.zip", 8, tmp_path / "zipped.npy", num_workers=1)
    assert (tmp_path / "zipped.labels.npy").read_bytes() == (tmp_path / "animals.labels.npy").read_bytes()


@pytest.mark.parametrize("names", [["1.jpg", "2.jpg"], ["all/1.jpg", "all/2.jpg"], ["a/1.jpg", "2.jpg"]])
def test_pictures_that_no_folders_tell_apart_have_no_labels(names):
    assert values_of_pictures(names, None) == {}


def test_an_attribute_is_chosen_by_its_name(celeba):
    path = celeba / "celeba.npy"
    record = prepare(celeba / "faces", 8, path, num_workers=1, attributes=celeba / "list_attr_celeba.txt")
    assert record["labels"]["attributes"] == {"Smiling": ["-1", "1"], "Male": ["-1", "1"], "Young": ["-1"]}
    for name, expected in (("Smiling", lambda number: number % 3 == 0), ("Male", lambda number: number > 12)):
        data = CelebA(str(path), n=10, num_test=6, num_references=0, labels=f"true:{name}")
        data.setup()
        assert data.num_classes == 2
        assert data.labels.name == f"true:{name}"
        for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
            assert torch.equal(expected(grey_levels(data, images) // 10).long(), labels)
        assert data.fingerprint()["labels_sha256"] == record["labels"]["sha256"]
    assert "labels_sha256" not in CelebA(str(path), n=10, num_test=6, num_references=0).fingerprint()


def test_labels_follow_the_pictures_that_are_left(celeba):
    (celeba / "faces/000002.png").write_bytes(b"no")
    (celeba / "faces/notes.txt").write_bytes(b"no attributes either")
    attributes = celeba / "list_attr_celeba.txt"
    record = prepare(celeba / "faces", 8, celeba / "out.npy", on_error="skip", num_workers=1, attributes=attributes)
    assert record["count"] == 23
    array, labels = np.load(celeba / "out.npy"), np.load(celeba / "out.labels.npy")
    numbers = array[:, 0, 0, 0] // 10
    assert np.array_equal(labels, np.stack([numbers % 3 == 0, numbers > 12, 0 * numbers], axis=1))


@pytest.mark.parametrize("with_paths", [True, False])
def test_columns_of_parquet_files_are_attributes(tmp_path, with_paths):
    """Pictures of ten times their number, of which one is broken, in an order that is not that of their names."""
    numbers = [3, 11, 24, 5, 1, 2, 7, 8, 9, 10, 4, 6]
    (tmp_path / "shards").mkdir()
    for shard, part in enumerate((numbers[:7], numbers[7:])):
        pictures = []
        for number in part:
            file = io.BytesIO()
            grey(10 * number).save(file, format="png")
            name = f"{number}.png" if with_paths else None
            pictures.append({"bytes": b"no" if number == 7 else file.getvalue(), "path": name})
        columns = {
            "image": pictures,
            "Smiling": [number % 3 == 0 for number in part],
            "identity": [number // 4 for number in part],
            "of_one_shard" if shard else "of_the_other": [1] * len(part),
            "hair": ["brown" if number > 6 else "black" for number in part],
            "caption": [f"picture {number}" for number in part],
            "weight": [0.5] * len(part),
            "unsure": [None if number == 8 else 1 for number in part],
        }
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / f"shards/{shard}.parquet", row_group_size=3)
    record = prepare(tmp_path / "shards", 8, tmp_path / "out.npy", on_error="skip", num_workers=1)
    assert record["labels"]["attributes"] == {
        "Smiling": ["False", "True"],
        "identity": ["0", "1", "2", "6"],
        "hair": ["black", "brown"],
    }
    kept, labels = np.load(tmp_path / "out.npy")[:, 0, 0, 0] // 10, np.load(tmp_path / "out.labels.npy")
    assert kept.tolist() == [each for each in (sorted(numbers) if with_paths else numbers) if each != 7]
    places = [record["labels"]["attributes"]["identity"].index(str(number // 4)) for number in kept]
    assert np.array_equal(labels, np.stack([kept % 3 == 0, places, kept > 6], axis=1))
    data = PreparedImages(str(tmp_path / "out.npy"), n=4, num_test=3, labels="true:Smiling")
    data.setup()
    assert torch.equal((grey_levels(data, data.train_images) // 10 % 3 == 0).long(), data.train_labels)


def test_a_table_of_attributes_comes_before_columns(tmp_path):
    file = io.BytesIO()
    grey(10).save(file, format="png")
    images = [{"bytes": file.getvalue(), "path": f"{number}.png"} for number in range(4)]
    pyarrow.parquet.write_table(pyarrow.table({"image": images, "label": [0, 0, 1, 1]}), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("name,age\n0.png,9\n1.png,8\n2.png,9\n3.png,8\n")
    record = prepare(tmp_path / "a.parquet", 8, tmp_path / "out.npy", num_workers=1, attributes=tmp_path / "a.csv")
    assert record["labels"]["attributes"] == {"age": ["8", "9"]}


def test_a_csv_file_of_attributes_may_have_texts(celeba):
    with (celeba / "table.csv").open("w", newline="") as file:
        rows = ([f"{number:06d}.png", "old, grey" if number % 2 else "young"] for number in range(24, 0, -1))
        csv.writer(file).writerows([["image_id", "age"], *rows])
    record = prepare(celeba / "faces", 8, celeba / "out.npy", num_workers=1, attributes=celeba / "table.csv")
    assert record["labels"]["attributes"] == {"age": ["old, grey", "young"]}
    data = PreparedImages(str(celeba / "out.npy"), n=10, num_test=6, labels="true")
    data.setup()
    assert torch.equal((grey_levels(data, data.train_images) // 10 + 1) % 2, data.train_labels)


@given(
    st.dictionaries(
        st.text(min_size=1), st.lists(st.text() | st.integers().map(str), min_size=5, max_size=5), min_size=1
    )
)
def test_labels_are_the_places_of_their_values(values):
    labels, attributes = encode(values)
    assert labels.shape == (5, len(values))
    for place, (name, column) in enumerate(values.items()):
        assert [attributes[name][label] for label in labels[:, place]] == column
        assert len(set(attributes[name])) == len(attributes[name]) == labels[:, place].max() + 1


def test_labels_do_not_depend_on_the_order_of_the_pictures():
    values = ["1", "1.0", "01", "nan", "inf", "2", "a1", "a01"]
    orders = [encode({"x": values[turn:] + values[:turn]})[1]["x"] for turn in range(len(values))]
    assert orders == [["01", "1", "1.0", "2", "a01", "a1", "inf", "nan"]] * len(values)


def test_spaces_around_a_value_are_not_part_of_it(tmp_path):
    (tmp_path / "a.csv").write_text("file, age\n1.png, 8\n2.png,8 \n3.png,9\n")
    assert values_of_pictures(["1.png", "2.png", "3.png"], tmp_path / "a.csv") == {"age": ["8", "8", "9"]}


def test_a_line_is_of_one_picture(tmp_path):
    (tmp_path / "a.csv").write_text("file,age\n1.png,8\nb/2.png,9\na/2.png,7\n")
    assert values_of_pictures(["a/1.png", "a/2.png", "b/2.png"], tmp_path / "a.csv") == {"age": ["8", "7", "9"]}
    with pytest.raises(DataError, match=r"one line for several pictures called 1\.png, without their folders"):
        values_of_pictures(["a/1.png", "b/1.png"], tmp_path / "a.csv")


def test_labels_of_an_earlier_array_do_not_stay(folders, celeba, tmp_path):
    prepare(folders, 8, tmp_path / "out.npy", num_workers=1)
    assert labels_path(tmp_path / "out.npy").exists()
    prepare(celeba / "faces", 8, tmp_path / "out.npy", num_workers=1)
    assert not labels_path(tmp_path / "out.npy").exists()
    assert "labels" not in load_prepared(tmp_path / "out.npy")[1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            "true",
            r"got true, but these data have 3 attributes, expected true:ATTRIBUTE with one of Smiling, Male, Young",
        ),
        ("true:Smilin", r"got true:Smilin, but these data have 3 attributes"),
    ],
)
def test_an_attribute_that_is_not_there_is_refused_with_those_that_are(celeba, labels, message):
    prepare(celeba / "faces", 8, celeba / "out.npy", num_workers=1, attributes=celeba / "list_attr_celeba.txt")
    with pytest.raises(ConfigError, match=message):
        PreparedImages(str(celeba / "out.npy"), n=10, num_test=6, labels=labels).check()


def test_without_labels_the_way_to_them_is_named(celeba):
    prepare(celeba / "faces", 8, celeba / "out.npy", num_workers=1)
    with pytest.raises(ConfigError, match=r"these data have no labels, .*folders of classes, or with --attributes"):
        PreparedImages(str(celeba / "out.npy"), n=10, num_test=6, labels=True).check()


def test_labels_that_are_not_the_recorded_ones_are_refused(folders, tmp_path):
    prepare(folders, 8, tmp_path / "out.npy", num_workers=1)
    path = tmp_path / "out.labels.npy"
    np.save(path, 2 - np.load(path))
    data = PreparedImages(str(tmp_path / "out.npy"), n=8, num_test=6, labels=True)
    with pytest.raises(DataError, match=r"out\.labels\.npy \(its SHA-256 is not the recorded one\)"):
        data.setup() or data.train_labels
    path.unlink()
    with pytest.raises(DataError, match=r"out\.labels\.npy \(No such file"):
        PreparedImages(str(tmp_path / "out.npy"), n=8, num_test=6, labels=True).num_classes  # noqa: B018
    PreparedImages(str(tmp_path / "out.npy"), n=8, num_test=6).setup()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: "", "no attributes"),
        (lambda text: text.replace("000007.png", "7.png"), "no line for 000007.png"),
        (lambda text: text.replace("000007.png -1", "000007.png"), "000007.png has 2 values, not 3"),
        (lambda text: text.replace("Male", "Smiling"), "an attribute named twice"),
        (lambda text: text.replace("000007.png", "000008.png"), "000008.png has several lines"),
        (lambda text: "file,Male\n000001.png,\n", "000001.png lacks a value"),
        (None, "No such file"),
    ],
)
def test_an_unfit_file_of_attributes_ends_in_one_line_before_any_work(celeba, capsys, change, reason):
    file = celeba / "list_attr_celeba.txt"
    if change is None:
        file.unlink()
    else:
        file.write_text(change(file.read_text()))
    arguments = ["--source", str(celeba / "faces"), "--out", str(celeba / "out.npy"), "--attributes", str(file)]
    assert prepare_celeba.main(arguments) == 3
    message = capsys.readouterr().err
    assert message.startswith("diffmem: --attributes: got ")
    assert reason in message
    assert message.count("\n") == 1
    assert not (celeba / "out.npy").exists()
