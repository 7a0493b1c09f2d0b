"""Mistakes of a newcomer: one line that names key, value and remedy, the right exit code, and no run folder."""

import re

import lightning.pytorch as pl
import pytest
import torch
from small_run import SMALL

from diffmem import fit
from diffmem.callbacks import Evaluation
from diffmem.errors import ConfigError


def attempt(capsys, tmp_path, *overrides, config=SMALL):
    """(exit code, standard error) of a fit that should be refused."""
    code = fit.main([*config, f"--run_root={tmp_path}/runs", *overrides])
    return code, capsys.readouterr().err.strip()


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("--data.m=3", r"data\.m: got an unknown key.*did you mean data\.n\?"),
        ("--evaluation.num_smaples=3", r"evaluation\.num_smaples: .*did you mean evaluation\.num_samples\?"),
        ("--model.network.base_chanels=8", r"did you mean model\.network\.base_channels\?"),
        ("--data.n=many", r"data\.n: got many, expected int"),
        ("--optimizer.lr=fast", r"optimizer\.lr: got fast, expected float"),
        ("--wandb.mode=sometimes", r"wandb\.mode: got sometimes.*offline"),
        ("--optimizer=Adm", r"optimizer: got Adm.*Adam"),
        ("--trainer.precision=bf16-true", r"trainer\.precision: got bf16-true.*bf16-mixed"),
        ("--trainer.max_time=00:01:00:00", r"trainer\.max_time: got .*trainer\.max_steps"),
        ("--data.n=1", r"data\.n: got 1, expected at least 2"),
        ("--data.n=1790", r"lower --data\.n to at most 1773"),
        ("--data.index=200", r"n = 16, index = 200"),
        ("--memorization.threshold=1.5", r"memorization\.threshold: got 1\.5"),
        ("--evaluation.steps=often", r"evaluation\.steps: got 'often'"),
        ("--evaluation.num_samples=0", r"evaluation\.num_samples: got 0"),
        ("--evaluation.budget=1.5", r"evaluation.budget: got 1.5, expected a share"),
        ("--evaluation.sampling_steps=2000", r"evaluation\.sampling_steps: got 2000, expected 1 to 1000"),
        ("--evaluation.sampling_steps=0", r"evaluation\.sampling_steps: got 0, expected at least 1"),
        (
            "--data.labels=random",
            r"data\.labels: got 'random', expected none, true, true:ATTRIBUTE, unique or random:K",
        ),
        (
            "--data.labels=true",
            r"model\.network\.num_classes: got 0, expected 10, .*; set --model\.network\.num_classes=10",
        ),
        ("--model.network.num_classes=3", r"model\.network\.num_classes: got 3, expected 0.* or --data\.labels"),
        ('--evaluation.views=[{"guidance":1}]', r"evaluation\.views: got guidance 1 of an unconditional model"),
        ('--evaluation.views=[{"weights":0.9}]', r"evaluation\.views: got weights 0\.9, .*; set --average\.decay"),
        (
            '--evaluation.views=[{"sampler":"nope"}]',
            r"evaluation\.views\[nope\]\.sampler: got 'nope', .*; set --evaluation\.views(?!\.)",
        ),
        (
            '--evaluation.views=[{"sampling_steps":2000}]',
            r"evaluation\.views\[steps2000\]\.sampling_steps: got 2000, .*; set --evaluation\.views(?!\.)",
        ),
        ('--evaluation.views=[{"guidance":"x"}]', r"guidance: got x, expected float; change it"),
        ('--evaluation.views={"sampler":"ddpm"}', r"evaluation\.views: got {'sampler': 'ddpm'}, expected list, null;"),
        ("--average.decay=[1.5]", r"average\.decay: got \[1\.5\]"),
        ("--model.label_dropout=1", r"model\.label_dropout: got 1\.0, expected 0 <= label_dropout < 1"),
        ("--evaluation.sampler=ddim:2", r"evaluation\.sampler: got 'ddim:2', expected ddim, .* or ddpm"),
        ("--model.beta_end=2", r"model\.beta_start: got \(0\.0001, 2\.0\), expected 0 < .*; set --model\.beta_start"),
        ("--model.network.dropout=1", r"model\.network\.dropout: got 1\.0.*; set --model\.network\.dropout"),
        ("--losses.t=100", r"losses\.t: got 100\.0, expected a diffusion time .*set --losses\.t"),
        ("--model.network.num_steps=50", r"model\.network\.num_steps: .*; set --model\.num_steps"),
        ("--pictures.threshold=0.2", r"pictures\.threshold: .*; set --memorization\.threshold"),
        ("--trainer.accelerator=mps", r"trainer\.accelerator: got mps, expected cpu, gpu or auto"),
        ("--evaluation.num_samples=1", r"evaluation\.num_samples: got 1, expected at least 2"),
        ("--optimizer.lr=-1", r"optimizer\.lr: got -1\.0, expected above 0"),
        ("--optimizer.lr=0", r"optimizer\.lr: got 0\.0, expected above 0"),
        ("--optimizer.weight_decay=-1", r"optimizer: got Adam, which fails \(Invalid weight_decay"),
        ("--optimizer=SparseAdam", r"optimizer: got SparseAdam, which fails"),
        pytest.param(
            "--optimizer=Muon",
            r"optimizer: got Muon only supports 2D parameters",
            marks=pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch before 2.9 has no Muon"),
        ),
        ("--trainer.devices=0", r"trainer: got .*devices.*options that Lightning takes"),
        ("--trainer.devices=-1", r"trainer: got .*devices.*options that Lightning takes"),
        ("--trainer.accumulate_grad_batches=0", r"accumulate_grad_batches: got 0, expected at least 1"),
        ("--trainer.accumulate_grad_batches=1000000000", r"got 1000000000, expected at least 1 and at most 100,000"),
        ("--trainer.max_steps=10000000000000", r"trainer\.max_steps: got 1\d+, expected .* at most 1e12"),
        ("--threads=1000000", r"threads: got 1000000, expected 1 to 1024, or null; set --threads"),
        (
            "--evaluation.num_samples=100000000000000",
            r"num_samples: got 1\d+, which takes at least .* of memory",
        ),
        (
            "--evaluation.num_samples=20000000 --evaluation.sampling_steps=1000",
            r"evaluation\.num_samples: got 20000000, which sends 2e\+10 images .* each row, expected at most 1e\+10",
        ),
        ("--losses.num_draws=10000000000", r"losses\.num_draws: got 1\d+, which sends .*; lower --losses\.num_draws"),
        (
            "--data.batch_mode=fixed --data.batch_size=1000000000000",
            r"data\.batch_size: got 1\d+, which takes at least",
        ),
        ("--data.duplicates=2:1000000000000", r"data\.duplicates: got 2:1\d+, which takes at least .* of memory"),
        ("--model.network.base_channels=80000", r"model\.network: got [\d,]+ weights, which takes at least"),
        ("--model.num_steps=2000000", r"model\.num_steps: got 2000000, expected at most 1,000,000"),
        ("--trainer.max_epochs=0", r"trainer\.max_epochs: got 0, expected -1: a run ends at trainer\.max_steps"),
        ("--trainer.limit_train_batches=0", r"limit_train_batches: got 0, expected null"),
        ("--trainer.val_check_interval=0.5", r"val_check_interval: got 0\.5, expected null"),
        ("--trainer.limit_train_batches=10", r"limit_train_batches: got 10, expected null"),
        ("--trainer.overfit_batches=1", r"overfit_batches: got 1, expected 0: .*small --data\.n"),
        ("--trainer.fast_dev_run=true", r"fast_dev_run: got True, expected false"),
        ("--trainer.gradient_clip_val=-1", r"gradient_clip_val: got -1, expected above 0, or null"),
        ("--trainer.min_steps=9", r"trainer\.min_steps: got 9, expected null"),
        ("--status.every_seconds=-1", r"status\.every_seconds: got -1\.0, expected at least 0"),
        ("--study=..", r"study: got \.\., expected a name below run_root"),
        ("--study=a/../../b", r"study: got a/\.\./\.\./b, expected a name below run_root"),
        ("--study=/tmp/a", r"study: got /tmp/a, expected a name below run_root"),
        ("--study=${oc.env:PWD}", r"study: got /.*, expected a name below run_root"),
        ("--study=", r"study: got '', expected the name of a folder"),
        ("--study=a\x1b[2J", r"study: got 'a\\x1b\[2J', expected the name of a folder"),
        ("--evaluation.steps=every:1 --trainer.max_steps=100000000000", r"1e\+11 steps, expected at most 1,000,000"),
        ("--trainer.precision=fp64", r"trainer\.precision: got fp64, expected .*bf16-mixed, .*null"),
        ("--model.compile=fast", r"model\.compile: got fast, expected default, reduce-overhead, max-autotune, null"),
        ("--trainer.max_step=3", r"trainer\.max_step: got an unknown key.*did you mean trainer\.max_steps\?"),
        ("-data.seed=3", r"data\.seed: got an unknown key.*"),
        ("configs/digits/unet.yaml", r"write --config configs/digits/unet\.yaml"),
        ("--run_root=README.md", r"run_root: got README\.md"),
        ("--early_stopping.level=20", r"early_stopping\.level: got 20\.0, expected a share"),
        ("--early_stopping.mode=stopp", r"early_stopping\.mode: got stopp"),
        ("--model.network.base_channels=12", r"base_channels: got 12, expected a positive multiple of 8"),
        ("--trainer.max_steps=0", r"trainer\.max_steps: got 0"),
        ("--trainer.default_root_dir=x", r"trainer\.default_root_dir: .*--run_root"),
        ("--checkpoint.keep=1", r"checkpoint\.keep: got 1"),
        ("--run_root=/proc/nowhere", r"run_root: got /proc/nowhere"),
        ("--data=NoSuchData", r"data: got NoSuchData, expected a class path or one of CelebA, Digits, Gaussian, .*"),
        ("--optimizer=Optimiser", r"optimizer: got Optimiser, .*, NAdam, RAdam, .*"),
        ("--data.help NoSuchData", r"data\.help: got NoSuchData, expected .*Digits.*; change it on the command line"),
        ("--data.n 8 9", r"'9': got a word of no option, expected --key=value; leave it out"),
    ],
)
def test_a_mistake_ends_in_one_line(capsys, tmp_path, override, what):
    code, message = attempt(capsys, tmp_path, *override.split())
    assert code == 2
    assert re.fullmatch(rf"diffmem: .*{what}.*", message), message
    assert not (tmp_path / "runs").exists()


def test_a_config_must_come_first_and_be_there(capsys, tmp_path):
    for args, what in {
        ("--data.n=8", *SMALL[:2]): "data.n: got an unknown key.*; put every --config before the other options",
        (
            *SMALL[:2],
            "--optimizer=SGD",
            "--optimizer.betas=[0.9,0.99]",
        ): "optimizer.betas.*does not have it",
        ("--config", "nowhere.yaml"): "no file .*nowhere.yaml.*name it from the folder you are in",
        ("--config", "digits/unte.yaml"): r"no file .*digits/unte\.yaml.*did you mean digits/unet\.yaml\?",
        (*SMALL[:2], "--optimizer.lr=nan"): "optimizer.lr: got nan, expected a finite number; change it on the command",
    }.items():
        code, message = attempt(capsys, tmp_path, *args, config=())
        assert code == 2
        assert re.search(what, message), message


def test_without_a_config_one_is_named(capsys):
    assert fit.main([]) == 2
    assert "give --config" in capsys.readouterr().err


def test_a_rate_that_follows_a_loss_is_refused(capsys, tmp_path):
    code, message = attempt(capsys, tmp_path, "--lr_scheduler=ReduceLROnPlateau", "--lr_scheduler.monitor=loss")
    assert code == 2
    assert "a function of the step; set another --lr_scheduler" in message


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("evaluation:\n  num_smaples: 3\n", r"evaluation\.num_smaples: .*evaluation\.num_samples.*FILE"),
        ("data: [1, ", r"FILE: .*expected YAML; fix it"),
        ("", r"FILE: got nothing, expected keys with values; fill it or leave it out"),
        ("# nothing yet\n", r"FILE: got nothing, .*"),
        ("- 1\n", r"FILE: got list \[1\], .*"),
        ("optimizer:\n  class_path: Nope\n", r"optimizer: got Nope, .*Adam.*; change it in FILE"),
        (
            "model:\n  init_args:\n    network:\n      class_path: Nope\n",
            r"model\.network: got Nope, .*UNet; change it in FILE",
        ),
    ],
)
def test_a_mistake_in_a_file_names_the_file(capsys, tmp_path, text, what):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(text)
    code, message = attempt(capsys, tmp_path, "--config", str(overlay))
    assert code == 2
    assert re.fullmatch(f"diffmem: {what}".replace("FILE", str(overlay)), message), message


def test_a_missing_file_is_named(capsys, tmp_path):
    code, message = attempt(capsys, tmp_path, "--config", "nowhere.yaml")
    assert code == 2
    assert re.fullmatch(r"diffmem: config: .*nowhere\.yaml.*", message), message


def test_no_optimizer_is_an_error_with_a_remedy(capsys, tmp_path):
    config = ["--model=DDPM", "--model.network=UNet", "--data=Digits", "--trainer.max_steps=1"]
    code, message = attempt(capsys, tmp_path, config=config)
    assert code == 2
    assert re.fullmatch(r"diffmem: optimizer: .*configs/optimizer/adam\.yaml.*", message), message


def test_a_loss_that_is_no_number_names_its_step_and_keeps_the_last_good_checkpoint(capsys, tmp_path, monkeypatch):
    from diffmem.models import DDPM

    original = DDPM.training_step
    monkeypatch.setattr(
        DDPM, "training_step", lambda self, batch, k: original(self, batch, k) * (float("nan") if k == 4 else 1)
    )
    code, message = attempt(capsys, tmp_path, "--evaluation.steps=[]", "--training_loss.every_n_steps=1")
    assert code == 1
    assert message.startswith("diffmem: step 5: got a training loss of nan"), message
    (folder,) = (tmp_path / "runs").glob("*/*")
    assert (folder / "checkpoints/last.ckpt").resolve().name == "step-00000004.ckpt"
    assert '"failed"' in (folder / "status.json").read_text()


def test_of_many_losses_that_are_no_numbers_the_first_is_named(capsys, tmp_path, monkeypatch):
    from diffmem.models import DDPM

    original = DDPM.training_step
    monkeypatch.setattr(
        DDPM, "training_step", lambda self, batch, k: original(self, batch, k) * (float("nan") if k >= 3 else 1)
    )
    rarely = ("--evaluation.steps=[]", "--training_loss.every_n_steps=6", "--checkpoint.every_n_steps=100")
    _, message = attempt(capsys, tmp_path, *rarely)
    assert message.startswith("diffmem: step 4: got a training loss of nan"), message


def test_a_run_that_wandb_refuses_ends_in_one_line(capsys, tmp_path, monkeypatch):
    import wandb

    def refuse(**_):
        raise wandb.errors.UsageError("No API key configured.")

    monkeypatch.setattr(wandb, "init", refuse)
    code, message = attempt(capsys, tmp_path, "--wandb.mode=online")
    assert (code, message.count("\n")) == (2, 0)
    assert message.endswith("run wandb login, or set --wandb.mode=offline")


def test_a_trainer_without_an_end_is_refused():
    with pytest.raises(ConfigError, match=r"trainer\.max_steps: got -1"):
        Evaluation().setup(pl.Trainer(max_epochs=1, logger=False), None, "fit")


def test_samples_that_are_no_numbers_name_the_step(capsys, tmp_path, monkeypatch):
    from diffmem.models import DDPM

    monkeypatch.setattr(DDPM, "sample", lambda self, noise, *_: noise / 0)
    code, message = attempt(capsys, tmp_path)
    assert code == 1
    assert message.startswith("diffmem: step 0: got samples that are not finite"), message
