import io
import itertools
import json
import multiprocessing
import os
import select
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import prepare_celeba
import pyarrow
import pyarrow.parquet
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms

from diffmem.data.preparation import load_prepared, prepare
from diffmem.data.preparation.pixels import decode, shrink
from diffmem.data.preparation.sources import Folder, natural_key
from diffmem.errors import ConfigError, DataError


def picture(seed: int, height: int = 218, width: int = 178) -> Image.Image:
    """Smooth random colours with some grain, so that neither averaging nor cropping goes unnoticed."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 256, (9, 7, 3), dtype=np.uint8)).resize((width, height))
    return Image.fromarray(
        np.clip(np.asarray(coarse) + generator.normal(0, 20, (height, width, 3)), 0, 255).astype("u1")
    )


def encoded(image: Image.Image, kind: str = "jpeg", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def by_torchvision(data: bytes, size: int, rgb: bool) -> torch.Tensor:
    """(C, size, size) in grey levels, not yet rounded: the recipe as it is usually written."""
    steps = [transforms.ToTensor(), transforms.Resize(size, antialias=True), transforms.CenterCrop(size)]
    transform = transforms.Compose(steps if rgb else [*steps, transforms.Grayscale(1)])
    return 255 * transform(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.fixture(scope="module")
def jpegs() -> list[bytes]:
    return [encoded(picture(seed), quality=90) for seed in range(20)]


@pytest.fixture
def folder(tmp_path, jpegs) -> Path:
    """Twenty pictures named 1.jpg to 20.jpg, whose order as text would be another."""
    root = tmp_path / "img_align_celeba"
    root.mkdir()
    for number, data in enumerate(jpegs, 1):
        (root / f"{number}.jpg").write_bytes(data)
    return root


def assert_follows_the_recipe(array, jpegs, size, rgb=False):
    assert len(array) == len(jpegs)
    for image, data in zip(array, jpegs, strict=True):
        expected = by_torchvision(data, size, rgb)
        assert image.shape == expected.shape
        assert (torch.from_numpy(image.copy()).float() - expected).abs().max() <= 0.5 + 1e-3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_a_picture_stands_as_its_camera_held_it(kind, orientation):
    upright = picture(3, 40, 24)
    turned = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
              6: "ROTATE_90", 7: "TRANSVERSE", 8: "ROTATE_270"}  # fmt: skip
    stored = upright.transpose(Image.Transpose[turned[orientation]]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if kind == "jpeg" else {}
    found = decode(encoded(stored, kind, exif=exif, **options)).astype(float)
    assert found.shape == (40, 24, 3)
    assert abs(found - np.asarray(upright)).mean() < (20 if kind == "jpeg" else 1e-9)


def test_what_is_transparent_shows_white_and_not_its_hidden_colour():
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[..., :3] = 200, 10, 10
    pixels[0, :, 3] = 255, 0, 128
    found = decode(encoded(Image.fromarray(pixels), "png"))
    assert found[0].tolist() == [[200, 10, 10], [255, 255, 255], [227, 132, 132]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 9, 9, 9])
    palette.putpixel((1, 0), 1)
    assert decode(encoded(palette, "png", transparency=0)).tolist() == [[[255] * 3, [9] * 3]]


def test_grey_of_16_bits_is_scaled_and_what_has_no_range_is_refused():
    grey = np.array([[0, 257, 32896, 65535]], np.uint16)
    assert decode(encoded(Image.fromarray(grey), "png"))[0, :, 0].tolist() == [0, 1, 128, 255]
    assert decode(encoded(Image.fromarray(grey), "tiff"))[0, :, 0].tolist() == [0, 1, 128, 255]
    with pytest.raises(ValueError, match="no range"):
        decode(encoded(Image.fromarray(grey.astype(np.float32)), "tiff"))


@pytest.mark.parametrize("rgb", [False, True])
@pytest.mark.parametrize("size", [32, 64])
def test_pixels_are_torchvisions_rounded(tmp_path, folder, jpegs, size, rgb):
    record = prepare(folder, size, tmp_path / "out.npy", rgb=rgb, num_workers=2)
    array, loaded = load_prepared(tmp_path / "out.npy")
    assert loaded == record
    assert isinstance(array, np.memmap)
    assert not array.flags.writeable
    assert record["shape"] == [20, 3 if rgb else 1, size, size] == list(array.shape)
    assert_follows_the_recipe(array, jpegs, size, rgb)


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    size=st.integers(2, 40),  # at one pixel of width torch 2.14 repeats the first row
    rgb=st.booleans(),
    kind=st.sampled_from(["jpeg", "png", "bmp"]),
    mode=st.sampled_from(["RGB", "L"]),
)
@settings(max_examples=60, deadline=None)
def test_any_shape_size_and_format_follow_torchvision(height, width, size, rgb, kind, mode):
    data = encoded(picture(height + 100 * width, height, width).convert(mode), kind)
    image = torch.from_numpy(shrink(decode(data), size, rgb).copy()).float()
    assert (image - by_torchvision(data, size, rgb)).abs().max() <= 0.5 + 1e-3


@pytest.mark.parametrize("options", [{"quality": 30}, {"quality": 95, "subsampling": 0}, {"progressive": True}])
def test_jpegs_decode_as_with_pillow(options):
    for image in (picture(1), picture(2).convert("L"), picture(3).convert("CMYK")):
        data = encoded(image, **options)
        assert np.array_equal(decode(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("img_align_celeba/", b"")
        archive.writestr("__MACOSX/._1.jpg", b"resource fork")
        for name, data in files.items():
            archive.writestr(f"img_align_celeba/{name}", data)
    return path


def write_shards(root: Path, rows: list[tuple[str | None, bytes]], group: int = 4) -> Path:
    """Two parquet shards as the Hugging Face mirrors have, each of several row groups."""
    root.mkdir()
    half = len(rows) // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        images = [{"bytes": data, "path": name} for name, data in part]
        table = pyarrow.table({"image": images, "label": list(range(len(part)))})
        pyarrow.parquet.write_table(table, root / f"train-{number:05d}-of-00002.parquet", row_group_size=group)
    return root


def test_every_source_gives_the_same_array(tmp_path, folder, jpegs):
    named = [(f"{number}.jpg", data) for number, data in enumerate(jpegs, 1)]
    sources = {
        "folder": folder,
        "zip": write_zip(tmp_path / "img_align_celeba.zip", dict(sorted(named))),
        "parquet": write_shards(tmp_path / "shards", sorted(named)),
    }
    digests = set()
    for kind, source in sources.items():
        record = prepare(source, 32, tmp_path / f"{kind}.npy", num_workers=1 + (kind == "zip"))
        assert record["source"] == {"kind": kind, "name": source.name}
        assert record["order"] == "natural order of the names"
        digests.add(record["sha256"])
    assert len(digests) == 1
    assert_follows_the_recipe(load_prepared(tmp_path / "zip.npy")[0], jpegs, 32)


def test_shards_without_paths_keep_their_order(tmp_path, jpegs):
    source = write_shards(tmp_path / "shards", [(None, data) for data in jpegs])
    record = prepare(source, 32, tmp_path / "out.npy", num_workers=1)
    assert record["order"] == "as stored in the shards"
    assert_follows_the_recipe(np.load(tmp_path / "out.npy"), jpegs, 32)


def test_natural_order():
    assert sorted(["10.jpg", "9.jpg", "b2/1.jpg", "b10/1.jpg", "a.jpg"], key=natural_key) == [
        "9.jpg", "10.jpg", "a.jpg", "b2/1.jpg", "b10/1.jpg",
    ]  # fmt: skip
    same_number = ["01.jpg", "1.jpg", "001.jpg"]
    assert len({tuple(sorted(order, key=natural_key)) for order in itertools.permutations(same_number)}) == 1


BAD_FILES = {"7.jpg": "cut", "list.txt": b"000001.jpg 1\n", "0.jpg": b"", "12.jpg": b"<html>quota exceeded</html>"}


@pytest.fixture(params=["folder", "zip", "parquet"])
def damaged(request, tmp_path, jpegs) -> Path:
    files = {f"{number}.jpg": data for number, data in enumerate(jpegs, 1)}
    files |= {name: jpegs[6][:2000] if data == "cut" else data for name, data in BAD_FILES.items()}
    if request.param == "zip":
        return write_zip(tmp_path / "faces.zip", files)
    if request.param == "parquet":
        return write_shards(tmp_path / "shards", list(files.items()))
    (tmp_path / "faces").mkdir()
    for name, data in files.items():
        (tmp_path / "faces" / name).write_bytes(data)
    return tmp_path / "faces"


def test_an_unreadable_file_is_named_and_nothing_is_written(tmp_path, damaged):
    before = set(tmp_path.iterdir())
    with pytest.raises(DataError, match=r"0\.jpg: got no readable picture .*--on-error skip"):
        prepare(damaged, 32, tmp_path / "out.npy", num_workers=2)
    assert set(tmp_path.iterdir()) == before


def test_unreadable_files_are_skipped_and_listed(tmp_path, damaged, jpegs):
    record = prepare(damaged, 32, tmp_path / "out.npy", on_error="skip", num_workers=2)
    array, _ = load_prepared(tmp_path / "out.npy")
    assert [Path(entry["name"]).name for entry in record["skipped"]] == ["0.jpg", "7.jpg", "12.jpg", "list.txt"]
    reasons = [entry["reason"] for entry in record["skipped"]]
    assert reasons[0] == reasons[2] == reasons[3] == "not an image file"
    assert "truncated" in reasons[1]
    assert_follows_the_recipe(array, [data for number, data in enumerate(jpegs, 1) if number not in (7, 12)], 32)


def test_only_unreadable_files_are_refused_either_way(tmp_path):
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "1.jpg").write_bytes(b"no")
    with pytest.raises(DataError, match=r"1 files, none a readable picture \(1\.jpg: .*") as refusal:
        prepare(tmp_path / "faces", 32, tmp_path / "out.npy", on_error="skip", num_workers=1)
    assert "--on-error" not in str(refusal.value), "it was passed"
    assert not (tmp_path / "out.npy").exists()


def test_a_run_that_fails_leaves_the_former_array(tmp_path, folder, monkeypatch):
    record = prepare(folder, 8, tmp_path / "out.npy", num_workers=1)
    (folder / "5.jpg").write_bytes(b"no")
    with pytest.raises(DataError, match=r"5\.jpg"):
        prepare(folder, 16, tmp_path / "out.npy", num_workers=1)
    monkeypatch.setattr(Folder, "read", lambda *_: os._exit(9))
    with pytest.raises(ConfigError, match="--workers"):
        prepare(folder, 16, tmp_path / "out.npy", num_workers=1)
    assert load_prepared(tmp_path / "out.npy")[1] == record
    assert {path.name for path in tmp_path.iterdir()} == {folder.name, "out.npy", "out.json"}


def test_load_notices_what_does_not_belong_together(tmp_path, folder):
    path = tmp_path / "out.npy"
    with pytest.raises(DataError, match=r"data.path: got no file .*tools/prepare_celeba.py"):
        load_prepared(path)
    prepare(folder, 8, path, num_workers=1)
    whole, record = path.read_bytes(), path.with_suffix(".json").read_text()

    flipped = bytearray(whole)
    flipped[-1] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(DataError, match="SHA-256"):
        load_prepared(path)

    path.write_bytes(whole[:-1])
    with pytest.raises(DataError, match="no whole array"):
        load_prepared(path)
    np.save(path, np.zeros((20, 1, 8, 8), np.float32))
    with pytest.raises(DataError, match="float32"):
        load_prepared(path)
    path.write_bytes(whole)
    for text in (record[:-20], "[]", "{}"):
        path.with_suffix(".json").write_text(text)
        with pytest.raises(DataError, match="not a record"):
            load_prepared(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(DataError, match=r"out\.json"):
        load_prepared(path)


def _prepare_until_stalled(source: Path, out: Path, pipe: int) -> None:
    """Prepare at 16 pixels and stall at picture 500 for good, after telling so through the pipe."""
    read = Folder.read

    def stalling(self, index):
        if index == 500:
            os.write(pipe, b"stalled")
            time.sleep(600)
        return read(self, index)

    Folder.read = stalling
    prepare(source, 16, out, num_workers=2)


def test_killed_in_the_middle_then_run_again(tmp_path, jpegs, capsys):
    faces, out = tmp_path / "faces", tmp_path / "out.npy"
    faces.mkdir()
    for number in range(601):
        (faces / f"{number}.jpg").write_bytes(jpegs[number % len(jpegs)])
    receiver, sender = os.pipe()
    process = multiprocessing.get_context("fork").Process(target=_prepare_until_stalled, args=(faces, out, sender))
    process.start()
    os.close(sender)
    assert os.read(receiver, 7) == b"stalled"
    assert list(tmp_path.glob(".out.npy.*.partial")), "killed before it wrote anything"
    process.kill()
    process.join(10)
    assert {path.suffix for path in tmp_path.iterdir()} == {"", ".partial"}
    ended, _, _ = select.select([receiver], [], [], 20)
    assert ended and os.read(receiver, 1) == b"", "the workers outlived their parent"
    os.close(receiver)

    assert (
        prepare_celeba.main(
            ["--source", str(faces), "--size", "16", "--out", str(out), "--workers", "2", "--benchmark"]
        )
        == 0
    )
    printed = capsys.readouterr().out
    assert "601 images" in printed
    assert "times as fast" in printed
    array, record = load_prepared(out)
    assert len(array) == record["count"] == 601
    assert np.array_equal(array[:20], array[20:40])
    assert {path.name for path in tmp_path.iterdir()} == {"faces", "out.npy", "out.json"}


@pytest.mark.parametrize(
    "changed, code, named",
    [
        ({"--size": "1"}, 2, "--size"),
        ({"--size": "big"}, 2, "--size"),
        ({"--out": "out.npz"}, 2, "--out"),
        ({"--workers": "0"}, 2, "--workers"),
        ({"--on-error": "ignore"}, 2, "--on-error"),
        ({"--source": "nowhere"}, 3, "nowhere"),
        ({"--source": "empty"}, 3, "is empty"),
        ({"--source": "notes.txt"}, 3, "is none of these"),
        ({"--source": "broken.parquet"}, 3, "broken.parquet"),
        ({"--source": "damaged"}, 3, "1.jpg"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, monkeypatch, capsys, changed, code, named):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "damaged"):
        Path(name).mkdir()
    for name in ("notes.txt", "broken.parquet", "damaged/1.jpg"):
        Path(name).write_text("no")
    arguments = {"--source": "damaged", "--out": "out.npy"} | changed
    try:
        returned = prepare_celeba.main([part for pair in arguments.items() for part in pair])
    except SystemExit as exit_:
        returned = exit_.code
    assert returned == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert named in printed.err


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch, jpegs):
    source = write_shards(tmp_path / "shards", [("1.jpg", jpegs[0]), ("2.jpg", jpegs[1])])
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigError, match=r"diffmem\[parquet\]"):
        prepare(source, 32, tmp_path / "out.npy", num_workers=1)


def test_the_record_is_plain_and_repeatable(tmp_path, folder):
    records = []
    for _ in range(2):
        prepare(folder, 8, tmp_path / "out.npy", num_workers=2)
        records.append((tmp_path / "out.json").read_text())
    assert records[0] == records[1]
    assert json.loads(records[0])["count"] == 20
