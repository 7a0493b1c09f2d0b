"""The role of every key, and the identity that follows from it."""

import json

import pytest
from small_run import ROOT, SMALL

from diffmem.callbacks import GROUPS
from diffmem.config.identify import identify
from diffmem.config.keys import import_class, keys_of
from diffmem.config.parser import CLI
from diffmem.data import Digits
from diffmem.errors import ConfigError
from diffmem.runs.identity import check_protocol

#: Hashes of the shipped configs. A change of one orphans the runs of every user: raise SCHEMA and say why.
HASHES = {
    ("celeba/unet.yaml", "optimizer/sgd.yaml"): "3e1b017f",
    ("digits/unet.yaml",): "1b8759e1",
    ("gaussian/conditional.yaml",): "75c69bea",
    ("gaussian/mixture.yaml",): "3c787caa",
    ("gaussian/random_features.yaml",): "09dde1f5",
    ("gaussian/vectors.yaml",): "d1b985a3",
    ("images/unet.yaml",): "4b91f2f2",
    ("mnist/unet.yaml",): "67bdc2a7",
    ("digits/unet.yaml", "digits/study.yaml"): "954bcbcf",
    ("digits/unet.yaml", "digits/study.yaml", "optimizer/sgd.yaml"): "683a6b56",
    ("celeba/unet.yaml", "optimizer/adam.yaml", "celeba/width/64.yaml"): "5ad2f97c",
    ("gaussian/mixture.yaml", "gaussian/adam.yaml"): "06702825",
}


@pytest.fixture
def parse(monkeypatch):
    """The parsed command line, without making what it describes."""
    monkeypatch.setattr(CLI, "instantiate_classes", lambda self: self.before_instantiate_classes())
    return lambda *args: CLI(list(args))


def options(*names):
    return [argument for name in names for argument in ("--config", str(ROOT / "configs" / name))]


@pytest.mark.parametrize("names", HASHES, ids=" ".join)
def test_the_hashes_of_the_shipped_configs(parse, names):
    assert parse(*options(*names)).identity.config_hash == HASHES[names]


BEYOND_TRAINING = [
    "--trainer.max_steps=9",
    "--evaluation.steps=[1]",
    "--evaluation.num_samples=7",
    "--evaluation.sampling_steps=2",
    "--memorization.threshold=0.2",
    "--losses.t=0.1",
    "--scores.t=[0.1]",
    "--scores.empirical=true",
    "--data.num_test=5",
    "--data.num_references=2",
    "--checkpoint.every_n_steps=1",
    "--checkpoint.keep=2",
    "--pictures.num_samples=null",
    "--early_stopping.mode=mark",
    "--training_loss.every_n_steps=1",
    "--progress.every_n_steps=1",
    "--status.every_seconds=1",
    "--wandb.mode=offline",
    "--run_root=elsewhere",
    "--trainer.devices=2",
    "--trainer.strategy=ddp",
    "--trainer.precision=32-true",
    "--trainer.enable_autolog_hparams=false",
    "--optimizer.fused=false",
    "--model.compile=default",
    "--model.prediction=epsilon",
]
TRAINING = [
    "--data.n=8",
    "--data.index=1",
    "--data.batch_size=4",
    "--data.batch_mode=full",
    "--data.permutation_seed=3",
    "--seed=1",
    "--optimizer=SGD",
    "--optimizer.lr=0.1",
    "--optimizer.weight_decay=0.1",
    "--lr_scheduler=LinearLR",
    "--model.network.dropout=0.2",
    "--model.num_steps=900",
    "--model.prediction=velocity",
    "--trainer.gradient_clip_val=1.0",
    "--trainer.accumulate_grad_batches=2",
    "--trainer.precision=bf16-mixed",
]


def test_what_is_measured_and_shown_is_not_the_run(parse):
    plain = parse(*SMALL).identity
    assert parse(*SMALL, *BEYOND_TRAINING).identity.name == plain.name


def test_what_shapes_the_weights_is_the_run(parse):
    names = {parse(*SMALL, *([] if key is None else [key])).identity.name for key in (None, *TRAINING)}
    assert len(names) == len(TRAINING) + 1


def test_two_words_for_one_precision_are_one_run(parse):
    for words in (("bf16", "bf16-mixed"), ("16", "16-mixed"), ("32", "32-true")):
        assert len({parse(*SMALL, f"--trainer.precision={word}").identity.name for word in words}) == 1


def test_the_setting_is_shared_along_a_curve(parse):
    plain, other, another = (
        parse(*SMALL, *more).identity
        for more in ([], ["--data.n=8", "--data.index=2", "--seed=4"], ["--optimizer.lr=1"])
    )
    assert plain.setting == other.setting != another.setting
    assert plain.config_hash != other.config_hash


def test_data_are_the_same_wherever_they_lie(parse):
    celeba = [*options("celeba/unet.yaml", "optimizer/sgd.yaml")]
    here, there, other = (
        parse(*celeba, f"--data.path={path}").identity.config_hash
        for path in ("data/celeba32.npy", "/scratch/celeba32.npy", "data/celeba64.npy")
    )
    assert here == there != other


def test_an_option_added_at_its_default_changes_no_hash(parse, monkeypatch):
    config = parse(*SMALL).plain_config
    plain = identify(config)

    class Later(Digits):
        def __init__(self, added: float = 0.5, **others):
            super().__init__(**others)

    Later.__module__, Later.__name__ = Digits.__module__, "Digits"
    for value in (0.5, 0.7):
        data = {**config["data"], "init_args": {**config["data"]["init_args"], "added": value}}
        found = identify(
            {**config, "data": data}, lambda path: Later if path.endswith("Digits") else import_class(path)
        )
        assert (found.config_hash == plain.config_hash) == (value == 0.5)


def test_every_key_of_our_callbacks_has_a_role(parse):
    """Those that a class does not name are measurements or operations by the class's own word."""
    found = {key.name: key.role for key in parse(*SMALL).keys}
    assert {role for name, role in found.items() if name.partition(".")[0] in GROUPS} == {
        "protocol",
        "measurement",
        "operation",
    }
    assert found["memorization.threshold"] == found["losses.t"] == found["data.num_test"] == "protocol"
    assert found["evaluation.batch_size"] == found["scores.empirical"] == "measurement"
    assert (
        found["evaluation.steps"] == found["checkpoint.keep"] == found["wandb.mode"] == found["run_root"] == "operation"
    )


def test_a_key_of_a_class_that_is_not_known_is_training():
    config = {"model": {"class_path": "nowhere.Model", "init_args": {"width": 3}}}
    assert [(key.name, key.value, key.role) for key in keys_of(config, {})] == [
        ("model", "nowhere.Model", "training"),
        ("model.width", 3, "training"),
    ]


def test_rows_of_two_protocols_share_no_table(parse, tmp_path):
    parse(*SMALL).identity.write(tmp_path)
    for more in ([], ["--evaluation.steps=[3]"], ["--scores.t=[0.1]"], ["--likelihood.num_points=5"]):
        check_protocol(tmp_path, parse(*SMALL, *more).identity)
    with pytest.raises(ConfigError, match=r"memorization\.threshold: got 0\.2, .*diffmem.evaluate .* --memorization"):
        check_protocol(tmp_path, parse(*SMALL, "--memorization.threshold=0.2").identity)
    for more in ("--data.test_index=1", "--memorization.features=torch.nn.Flatten"):
        with pytest.raises(ConfigError, match=more[2:].partition("=")[0]):
            check_protocol(tmp_path, parse(*SMALL, more).identity)
    parse(*SMALL, "--scores.t=[0.1]").identity.write(tmp_path)
    with pytest.raises(ConfigError, match=r"scores\.t"):
        check_protocol(tmp_path, parse(*SMALL, "--scores.t=[0.2]").identity)


@pytest.mark.parametrize("version", ["this", "earlier"])
def test_a_measurement_that_was_off_or_is_off_has_no_protocol(parse, tmp_path, version):
    def write(*more):
        parse(*SMALL, *more).identity.write(tmp_path)
        if version == "earlier":
            record = json.loads((tmp_path / "identity.json").read_text())
            del record["switches"]
            (tmp_path / "identity.json").write_text(json.dumps(record))

    write()
    check_protocol(tmp_path, parse(*SMALL, "--scores.t=[0.1]", "--scores.num_points=5").identity)
    write("--scores.t=[0.1]", "--scores.num_points=5")
    check_protocol(tmp_path, parse(*SMALL).identity)
    write()  # off for a while
    check_protocol(tmp_path, parse(*SMALL, "--scores.t=[0.1]", "--scores.num_points=5").identity)
    with pytest.raises(ConfigError, match=r"scores\.num_points: got 6, expected 5"):
        check_protocol(tmp_path, parse(*SMALL, "--scores.t=[0.1]", "--scores.num_points=6").identity)
