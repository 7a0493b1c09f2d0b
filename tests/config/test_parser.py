"""Every shipped config parses, alone or on top of a study, and what it says arrives unchanged."""

import pytest
import yaml
from small_run import ROOT, SMALL

from diffmem.config.parser import CLI

CONFIGS = {str(path.relative_to(ROOT / "configs")): path for path in sorted((ROOT / "configs").rglob("*.yaml"))}
STUDIES = [name for name, path in CONFIGS.items() if "class_path" in yaml.safe_load(path.read_text()).get("data", {})]
OVERLAYS = [name for name in CONFIGS if name not in STUDIES]
OPTIMIZER = "optimizer/sgd.yaml"


def options(*names):
    return [argument for name in names for argument in ("--config", str(CONFIGS[name]))]


def leaves(tree, prefix=()):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, (*prefix, key))
        else:
            yield (*prefix, key), value


def value_at(config, path):
    for key in path:
        config = config[key]
    return config


def assert_arrives(name, config):
    for path, value in leaves(yaml.safe_load(CONFIGS[name].read_text())):
        arrived = value_at(config, path)
        if path[-1] == "views":  # what a view does not say has its default
            assert all(view.items() <= found.as_dict().items() for view, found in zip(value, arrived, strict=True))
        else:
            assert (list(arrived) if isinstance(arrived, tuple) else arrived) == value, path


@pytest.fixture
def parse(monkeypatch):
    """The config of a command line, without making what it describes."""
    monkeypatch.setattr(CLI, "instantiate_classes", lambda self: None)
    return lambda *args: CLI(list(args)).config


def test_the_folder_holds_studies_and_overlays():
    assert {"digits/unet.yaml", "celeba/unet.yaml", "mnist/unet.yaml"} <= set(STUDIES)
    assert {OPTIMIZER, "optimizer/adam.yaml", *(f"celeba/width/{w}.yaml" for w in (8, 16, 32, 48, 64))} <= set(OVERLAYS)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_parses_and_arrives_unchanged(parse, name):
    assert_arrives(name, parse(*options(OPTIMIZER, name)))


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_changes_a_study(parse, name):
    folder = name.split("/")[0]
    study = f"{folder}/unet.yaml" if f"{folder}/unet.yaml" in STUDIES else "digits/unet.yaml"
    assert_arrives(name, parse(*options(OPTIMIZER, study, name)))


@pytest.mark.parametrize("width", [8, 16, 32, 48, 64])
def test_the_widths_of_the_paper_are_those_of_their_files(parse, width):
    config = parse(*options("celeba/unet.yaml", OPTIMIZER, f"celeba/width/{width}.yaml"))
    assert config["model"]["init_args"]["network"]["init_args"]["base_channels"] == width


def test_overrides_reach_their_readers():
    cli = CLI(
        [
            *SMALL,
            "--seed=3",
            "--memorization.threshold=0.2",
            "--data.n=12",
            "--optimizer.lr=0.5",
            "--model.num_steps=50",
        ]
    )
    made = cli.config_init
    assert (made["memorization"].threshold, made["pictures"].threshold) == (0.2, 0.2)
    assert {cli.model.seed, cli.datamodule.seed, made["evaluation"].samples.seed, made["losses"].seed} == {3}
    assert cli.datamodule.n == 12
    assert (cli.model.schedule.num_steps, cli.model.network.time[0].num_embeddings) == (50, 50)
    assert cli.identity.columns["lr"] == 0.5


def test_print_config_shows_the_whole(capsys):
    with pytest.raises(SystemExit) as end:
        CLI([*options("celeba/unet.yaml", OPTIMIZER), "--fid.weights=inception.pth", "--print_config"])
    assert end.value.code == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["fid"]["weights"] == "inception.pth"
    assert shown["data"]["init_args"]["reference_size"] == 10_000
    assert shown["optimizer"]["init_args"]["momentum"] == 0.95
    assert shown["evaluation"]["steps"] == "paper"
