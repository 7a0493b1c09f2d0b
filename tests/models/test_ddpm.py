"""Times and noise of a training step."""

import torch

from diffmem.data.subset import Batch
from diffmem.models import DDPM


class Seen(torch.nn.Module):
    """Keeps what it is shown."""

    def __init__(self):
        super().__init__()
        self.inputs = []

    def forward(self, x, index):
        self.inputs.append((x, index))
        return x


def shown(number, batch=64, seed=0):
    """Times (B,) and noise (B, 4) that batch ``number`` of zeros meets."""
    network = Seen()
    model = DDPM(network, seed=seed)
    model.training_step(Batch(number, torch.zeros(batch, 4), torch.arange(batch)), 0)
    ((x, index),) = network.inputs
    return index, x / model.schedule.signal_and_noise(index, x)[1]


def test_every_batch_and_seed_meets_times_and_noise_of_its_own():
    batches = [shown(number) for number in range(4)] + [shown(0, seed=1)]
    for values in zip(*batches, strict=True):
        assert len({tuple(each.flatten().tolist()) for each in values}) == 5
    assert all(torch.equal(a, b) for a, b in zip(shown(3), batches[3], strict=True)), "and the same ones again"


def test_noise_is_fresh_within_a_batch_and_over_batches_and_normal():
    noise = torch.cat([shown(number)[1] for number in range(100)])
    correlation = torch.corrcoef(noise.reshape(100, -1))
    correlation.fill_diagonal_(0)
    assert correlation.abs().max() < 0.35, "256 values a batch: 5.5 standard deviations"
    assert len(torch.unique(noise.flatten())) > 0.99 * noise.numel()
    assert abs(noise.mean()) < 0.03
    assert abs(noise.std() - 1) < 0.02


def test_times_are_uniform_on_1_to_the_last():
    index = torch.cat([shown(number, batch=1000)[0] for number in range(20)]).double()
    assert index.min() == 1
    assert index.max() == 999
    assert abs(index.mean() - 500) < 8, "3.8 standard deviations of 20,000 times"
    assert abs((index > 500).double().mean() - 0.5) < 0.02


def test_dropout_masks_are_fresh_within_a_batch_and_over_batches():
    class Kept(Seen):
        def forward(self, x, index):
            return super().forward(torch.nn.functional.dropout(torch.ones_like(x)), index)

    masks = []
    for number in (0, 1, 0):
        network = Kept()
        DDPM(network).training_step(Batch(number, torch.zeros(16, 32), torch.arange(16)), 0)
        masks.append(network.inputs[0][0])
    assert len(torch.cat(masks[:2]).unique(dim=0)) == 32
    assert torch.equal(masks[0], masks[2]), "and the same ones again"
