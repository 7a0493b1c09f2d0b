"""A run folder that somebody sent: its config may name no code but diffmem's, torch's and Lightning's."""

import importlib
import sys

import pytest
import yaml
from small_run import ROOT

from diffmem.config.parser import CLI
from diffmem.config.trust import reading_config_of, trusting
from diffmem.errors import ConfigError, DataError

EVIL = "import pathlib\npathlib.Path(__file__).with_suffix('.ran').touch()\n"
NETWORK = EVIL + "from torch import nn\nclass Network(nn.Linear):\n    def __init__(self): super().__init__(1, 1)\n"


@pytest.fixture
def received(tmp_path, monkeypatch):
    """A folder with a config, a module beside it, and another module on the path; each leaves a trace when it runs."""
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    for folder, name in ((run, "beside_config"), (elsewhere, "on_the_path")):
        folder.mkdir()
        (folder / f"{name}.py").write_text(NETWORK)
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(run)
    config = yaml.safe_load((ROOT / "configs/digits/unet.yaml").read_text())

    def write(**changes):
        (run / "config.yaml").write_text(yaml.safe_dump({**config, **changes}))
        importlib.invalidate_caches()
        return run

    yield write
    for name in ("beside_config", "on_the_path"):
        sys.modules.pop(name, None)
    assert not list(run.glob("*.ran")), "nothing inside a run folder runs, trusted or not"


def of_network(path):
    return {"model": {"class_path": "diffmem.models.DDPM", "init_args": {"network": {"class_path": path}}}}


def read(run, trust=False):
    with trusting(trust), reading_config_of(run) as path:
        return CLI(["--config", str(path)])


def test_a_run_of_diffmem_is_read(received):
    assert read(received()).config["study"] == "digits"


@pytest.mark.parametrize("trust", [False, True])
def test_a_module_beside_the_config_is_never_imported(received, trust):
    with pytest.raises(ConfigError, match="beside_config"):
        read(received(**of_network("beside_config.Network")), trust)


@pytest.mark.parametrize(
    "changes",
    [
        of_network("on_the_path.Network"),
        of_network("subprocess.Popen"),
        {"trainer": {"max_steps": 3, "logger": "on_the_path.Network"}},
        {"trainer": {"max_steps": 3, "callbacks": [{"class_path": "on_the_path.Network"}]}},
        {"lr_scheduler": {"class_path": "LambdaLR", "init_args": {"lr_lambda": "on_the_path.Network"}}},
    ],
    ids=lambda changes: yaml.safe_dump(changes, default_flow_style=True)[-40:].strip(),
)
def test_a_class_from_elsewhere_needs_trust(received, tmp_path, changes):
    run = received(**changes)
    with pytest.raises(ConfigError, match=r"expected a class of diffmem, torch, lightning; .*--trust"):
        read(run)
    assert not list(tmp_path.rglob("*.ran"))


def test_with_trust_it_is_taken(received, tmp_path):
    assert type(read(received(**of_network("on_the_path.Network")), trust=True).model.network).__name__ == "Network"
    assert (tmp_path / "elsewhere/on_the_path.ran").exists()


def test_code_that_no_text_of_the_config_names_is_not_imported_either(received):
    with (
        pytest.raises(ConfigError, match=r"module on_the_path .* installed packages alone"),
        reading_config_of(received()),
    ):
        import on_the_path  # noqa: F401
    with reading_config_of(received()):
        import wave  # noqa: F401


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"study": "${oc.env:HOME}"}, "study: got .*oc.env"),
        ({"optimizer": "other.yaml"}, "optimizer: got other.yaml"),
    ],
)
def test_nothing_but_the_values_in_the_config_is_read(received, changes, what):
    run = received(**changes)
    (run / "other.yaml").write_text("class_path: beside_config.Network\n")
    with pytest.raises(ConfigError, match=what):
        read(run)


def test_what_is_no_config_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no config\.yaml"), reading_config_of(tmp_path):
        pass
    for text in ("[1, ", "- 1", "!!python/object/apply:os.system [id]"):
        (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(DataError, match=r"config\.yaml"), reading_config_of(tmp_path):
            pass
