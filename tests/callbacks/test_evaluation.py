"""What an evaluation draws."""

import pytest
import torch

from diffmem.callbacks import Evaluation
from diffmem.diffusion.schedule import LinearSchedule


class Linear(torch.nn.Module):
    """A model of which only samples are asked."""

    device = torch.device("cpu")
    schedule = LinearSchedule(20)

    def forward(self, x, _):
        return 0.1 * x

    def sample(self, x, sampler, noise):
        return sampler(self, x, self.schedule, noise)


@pytest.mark.parametrize("sampler", ["ddim", "ddim:0.5", "ddpm"])
def test_a_sample_depends_on_its_number_alone(sampler):
    module = Linear()

    def samples(batch_size, numbers):
        evaluation = Evaluation(num_samples=10, sampling_steps=7, batch_size=batch_size, sampler=sampler)
        return evaluation.sample(module, numbers, (2,))

    whole = samples(10, range(10))
    assert torch.equal(samples(3, range(10)), whole)
    assert torch.equal(samples(4, range(5, 10)), whole[5:])
    assert len(whole.unique(dim=0)) == 10


@pytest.mark.parametrize("batch_size", [4, 10, 100])
def test_what_is_drawn_is_told_at_every_step_of_the_sampler(batch_size):
    """Ten samples of five steps: the share grows from call to call, evenly in full batches, and never passes 1."""
    shares = []
    evaluation = Evaluation(num_samples=10, sampling_steps=5, batch_size=batch_size)
    evaluation.sample(Linear(), range(10), (2,), lambda: shares.append(evaluation.share_sampled))
    num_batches = -(-10 // batch_size)
    assert len(shares) == num_batches * (1 + 5)
    assert shares == sorted(shares)
    assert (shares[0], shares[1]) == (0, pytest.approx(min(batch_size, 10) / 10 / 5))
    assert shares[-1] == pytest.approx(1)
