"""A Lightning project that knows nothing of diffmem's classes is measured, or told in one line what it lacks."""

import warnings
from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from diffmem.callbacks import (
    Checkpoint,
    EarlyStopping,
    Evaluation,
    Frechet,
    Losses,
    Memorization,
    Pictures,
    ScoreDistance,
)
from diffmem.callbacks.contract import described, require_of_model
from diffmem.data import Digits
from diffmem.diffusion.schedule import LinearSchedule
from diffmem.errors import ConfigError
from diffmem.files import read_table
from diffmem.models import DDPM


class Plain(pl.LightningModule):
    """A linear network on images of four pixels."""

    def __init__(self):
        super().__init__()
        self.network = torch.nn.Linear(4, 4)
        self.schedule = LinearSchedule(10)

    def predict(self, x, index):
        return self.network(x.flatten(1)).view_as(x)

    def losses(self, images, noise, index):
        signal, sigma = self.schedule.signal_and_noise(index, images)
        return (self.predict(signal * images + sigma * noise, index) - noise).square().flatten(1).mean(1)

    def sample(self, noise, sampler, step_noise):
        return sampler(self.predict, noise, self.schedule, step_noise)

    def training_step(self, batch, batch_idx):
        (images,) = batch
        return self.losses(images, torch.randn_like(images), torch.randint(10, (len(images),))).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


class Images(pl.LightningDataModule):
    batch_size = 4

    def setup(self, stage):
        generator = torch.Generator().manual_seed(0)
        self.train_images = torch.rand(8, 1, 2, 2, generator=generator) - 0.5
        self.test_images = torch.rand(16, 1, 2, 2, generator=generator) - 0.5

    def to_unit(self, images):
        return images + 0.5

    def train_dataloader(self):
        return DataLoader(TensorDataset(self.train_images), self.batch_size)


def trainer(folder, *callbacks):
    return pl.Trainer(
        max_steps=4,
        callbacks=[*callbacks, Evaluation([2], num_samples=8, sampling_steps=2)],
        default_root_dir=folder,
        accelerator="cpu",
        **dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False),
    )


def test_a_plain_project_is_measured_in_a_fresh_folder(tmp_path, caplog):
    stopping = EarlyStopping("mark", rule="loss_split")
    callbacks = [Memorization(), Frechet(), Losses(), Pictures(), stopping, Checkpoint(2)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer(tmp_path / "fresh", *callbacks).fit(Plain(), datamodule=Images())
    rows = read_table(tmp_path / "fresh/evaluations.csv")
    assert [row["step"] for row in rows] == ["0", "2", "4"]
    assert {"f_mem", "frechet_pixels", "loss_test"} <= rows[0].keys()
    assert (tmp_path / "fresh/samples/step-00000002.png").exists()
    assert (tmp_path / "fresh/checkpoints/last.ckpt").exists()
    assert "weights_only" not in caplog.text + " ".join(str(each.message) for each in caught)


def without(owner, name):
    made = owner()
    if isinstance(made, pl.LightningDataModule):
        made.setup("fit")
        made.setup = lambda stage: None
    setattr(made, name, None)
    return made


@pytest.mark.parametrize("name", ["train_images", "test_images", "batch_size", "to_unit"])
def test_data_say_what_they_lack(tmp_path, name):
    with pytest.raises(
        ConfigError, match=rf"^data: got Images with no {name}, expected train_images, test_images"
    ) as error:
        trainer(tmp_path, Memorization()).fit(Plain(), datamodule=without(Images, name))
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "what"), [("schedule", "model"), ("losses", "model")])
def test_a_model_says_what_it_lacks(tmp_path, name, what):
    with pytest.raises(ConfigError, match=rf"^{what}: got Plain with no {name}, expected schedule, ") as error:
        trainer(tmp_path, Losses()).fit(without(Plain, name), datamodule=Images())
    assert "\n" not in str(error.value)


def test_a_schedule_is_one_that_knows_its_times():
    model = Plain()
    model.schedule = SimpleNamespace(num_steps=0, alpha_bar=torch.ones(3))
    with pytest.raises(
        ConfigError, match=r"model\.schedule: got SimpleNamespace with no index_of and another num_steps"
    ):
        require_of_model(model, "schedule")


def test_what_an_observer_reads_is_asked_for_when_it_is_used(tmp_path):
    with pytest.raises(ConfigError, match="got Plain with no score, expected schedule, score"):
        trainer(tmp_path, ScoreDistance([0.01], empirical=True)).fit(Plain(), datamodule=Images())
    with pytest.raises(ConfigError, match="sampling_steps"):
        Evaluation(num_samples=8, sampling_steps=50).check(trainer(tmp_path), Plain(), Images())


def test_images_are_floating_and_come_by_a_data_module(tmp_path):
    data = Images()
    data.setup("fit")
    data.train_images = data.train_images.int()
    with pytest.raises(ConfigError, match="got Images with another train_images"):
        described(data)
    with pytest.raises(ConfigError, match=r"data: got none, .* datamodule="):
        trainer(tmp_path).fit(Plain(), DataLoader(torch.zeros(4, 1, 2, 2)))


def test_diffmems_own_data_describe_themselves():
    data = Digits(n=8)
    assert described(data) is data
    mine = described(without(Images, "unused"))
    assert (mine.n, mine.num_test, mine.batch_size, mine.unit_images(range(2)).shape) == (8, 16, 4, (2, 1, 2, 2))
    assert (data.sample_size, mine.sample_size) == (64, 4)


def test_batches_of_another_kind_are_named():
    model = DDPM(torch.nn.Identity())
    with pytest.raises(ConfigError, match=r"data: got batches that are lists, expected diffmem\.data\.Batch\(number"):
        model.training_step([torch.zeros(2, 1, 2, 2)], 0)
