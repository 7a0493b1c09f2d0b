"""UNets of diffusers as networks of diffmem."""

import pytest
import torch
from small_run import ROOT

from diffmem.config.parser import CLI
from diffmem.networks import UNet
from diffmem.networks.adapters import DiffusersNetwork, adapt

diffusers = pytest.importorskip("diffusers")

SIZES = {
    "sample_size": 8,
    "in_channels": 1,
    "out_channels": 1,
    "layers_per_block": 1,
    "block_out_channels": (8, 16),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "norm_num_groups": 4,
    "attention_head_dim": 8,
}


def test_the_adapter_gives_what_the_network_gives():
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(**SIZES)
    x, t = torch.randn(3, 1, 8, 8), torch.tensor([0, 500, 999])
    torch.testing.assert_close(adapt(unet)(x, t), unet(x, t).sample)


def test_labels_are_class_embeddings_and_the_last_stands_for_none():
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(**SIZES, num_class_embeds=4)
    network = adapt(unet)
    x, t, labels = torch.randn(2, 1, 8, 8), torch.tensor([3, 4]), torch.tensor([0, 2])
    assert network.num_classes == 3
    torch.testing.assert_close(network(x, t, labels), unet(x, t, class_labels=labels).sample)
    torch.testing.assert_close(network(x, t), unet(x, t, class_labels=torch.tensor([3, 3])).sample)


def test_other_networks_stay_as_they_are():
    network = UNet(base_channels=8)
    assert adapt(network) is network


def test_a_run_trains_and_samples_a_unet_of_diffusers(tmp_path):
    arguments = [
        f"--model.network.{key}={list(value) if isinstance(value, tuple) else value}" for key, value in SIZES.items()
    ]
    cli = CLI(
        [
            "--config",
            str(ROOT / "configs/digits/unet.yaml"),
            "--model.network=diffusers.UNet2DModel",
            *arguments,
            f"--run_root={tmp_path}",
            "--trainer.max_steps=2",
            "--data.n=16",
            "--evaluation.steps=[2]",
            "--evaluation.num_samples=4",
            "--evaluation.sampling_steps=2",
            "--losses.num_draws=1",
            "--trainer.accelerator=cpu",
        ]
    )
    assert isinstance(cli.model.network, DiffusersNetwork)
    before = [parameter.clone() for parameter in cli.model.parameters()]
    cli.trainer.fit(cli.model, datamodule=cli.datamodule)
    assert any(not torch.equal(a, b) for a, b in zip(before, cli.model.parameters(), strict=True))
    (table,) = tmp_path.rglob("evaluations.csv")
    assert table.read_text().count("\n") == 3
