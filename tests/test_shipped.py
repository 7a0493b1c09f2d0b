"""The package away from the clone: its console script, the configs inside it, and what ``init`` writes."""

import os
import runpy
import subprocess
import sys
import zipfile

import pytest
from small_run import ROOT

from diffmem import __main__ as console
from diffmem import init, shipped


def test_a_file_on_disk_wins_over_a_shipped_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = ROOT / "configs/digits/unet.yaml"
    assert shipped.find_config("digits/unet.yaml") == shipped.find_config("configs/digits/unet.yaml") == wanted
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits/unet.yaml").write_text("study: mine\n")
    assert shipped.find_config("digits/unet.yaml").resolve() == tmp_path / "digits/unet.yaml"


@pytest.mark.parametrize("name", ["absent.yaml", "../README.md", "README.md", "/absent.yaml"])
def test_what_is_no_shipped_config_stays_as_it_was_written(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(shipped.find_config(name)) == name


def test_each_way_to_name_a_config_is_understood(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = str(ROOT / "configs/optimizer/sgd.yaml")
    for written in (["--config", "optimizer/sgd.yaml"], ["--config=optimizer/sgd.yaml"], ["-c", "optimizer/sgd.yaml"]):
        assert wanted in "=".join(shipped.with_shipped_configs([*written, "--seed=1"])).split("=")
    assert shipped.with_shipped_configs(["--study", "optimizer/sgd.yaml"]) == ["--study", "optimizer/sgd.yaml"]


def test_the_console_script_becomes_the_module(monkeypatch):
    became = []
    monkeypatch.setattr(runpy, "run_module", lambda name, **how: became.append((name, how["run_name"], sys.argv[1:])))
    monkeypatch.setattr(sys, "argv", ["diffmem", "compare", "runs", "--by", "seed"])
    console.main()
    assert became == [("diffmem.compare", "__main__", ["runs", "--by", "seed"])]


def test_half_a_file_is_not_left_to_be_kept(tmp_path, monkeypatch, capsys):
    def fill(source, target):
        target.write_bytes(source.read_bytes()[:9])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("shutil.copy", fill)
        assert init.main([str(tmp_path)]) == 74
    assert "got no space left on device" in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_every_program_is_a_command():
    programs = {
        path.stem for path in (ROOT / "diffmem").glob("*.py") if 'if __name__ == "__main__":' in path.read_text()
    }
    assert programs - {"__main__"} == {*console.COMMANDS} - {"theory"}


def test_every_command_is_a_program_of_its_own():
    for command in console.COMMANDS:
        module = ROOT / "diffmem" / f"{command}.py"
        source = module if module.exists() else ROOT / "diffmem" / command / "__main__.py"
        assert 'if __name__ == "__main__":' in source.read_text(), command


@pytest.mark.parametrize(("words", "code"), [([], 0), (["--help"], 0), (["--version"], 0), (["fitt"], 2)])
def test_other_words_end_in_help_or_an_error(words, code, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["diffmem", *words])
    with pytest.raises(SystemExit) as end:
        console.main()
    assert end.value.code == code
    assert "diffmem" in "".join(capsys.readouterr())


def test_the_wheel_serves_an_empty_folder(tmp_path):
    """Built, unpacked and used where there is no clone: commands start, a config is found, ``init`` writes the rest."""
    builder = pytest.importorskip("hatchling.builders.wheel").WheelBuilder(str(ROOT))
    (wheel,) = builder.build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
        (entry_points,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "diffmem = diffmem.__main__:main" in archive.read(entry_points).decode()
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PYTHONSAFEPATH": "1"}

    def python(*arguments: str) -> str:
        call = subprocess.run(
            [sys.executable, *arguments], cwd=empty, env=environment, capture_output=True, text=True, check=True
        )
        return call.stdout

    code = "from diffmem import shipped; print(shipped.find_config('digits/unet.yaml').read_text())"
    assert python("-c", code).strip() == (ROOT / "configs/digits/unet.yaml").read_text().strip()
    assert "written to mine" in python("-m", "diffmem", "init", "mine")
    assert "files were there and stay" in python("-m", "diffmem", "init", "mine")
    for name in ("configs/digits/unet.yaml", "sbatch/fit_array.sbatch", "sbatch/grids/digits_sgd_adam.txt"):
        assert (empty / "mine" / name).read_bytes() == (ROOT / name).read_bytes()
    assert "1-26" in subprocess.run(
        [sys.executable, "tools/submit.py", "sbatch/grids/digits_sgd_adam.txt", "--dry-run"],
        cwd=empty / "mine", env=environment, capture_output=True, text=True,
    ).stdout  # fmt: skip


def test_init_names_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert init.main([str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("path", sorted((ROOT / "sbatch").glob("*.sbatch")), ids=lambda path: path.name)
def test_a_batch_script_sets_the_threads_for_numbers_depend_on_them(path):
    assert "export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK" in path.read_text().splitlines()
