"""What an evaluation draws."""

import pytest
import torch

from diffmem.callbacks.generated import GeneratedSamples
from diffmem.callbacks.views import View
from diffmem.diffusion.schedule import LinearSchedule
from diffmem.errors import ConfigError


class Linear(torch.nn.Module):
    """A model of which only samples are asked."""

    device, schedule = torch.device("cpu"), LinearSchedule(20)

    def forward(self, x, _):
        return 0.1 * x

    def sample(self, x, sampler, noise):
        return sampler(self, x, self.schedule, noise)


@pytest.mark.parametrize("sampler", ["ddim", "ddim:0.5", "ddpm"])
def test_a_sample_depends_on_its_number_alone(sampler):
    view = View().prepared(sampler, 7)

    def samples(batch_size, numbers, first=0, seed=0):
        drawn = GeneratedSamples(10, batch_size, seed)
        drawn.first = first
        return drawn.draw(Linear(), numbers, (2,), view)

    whole = samples(10, range(10))
    assert torch.equal(samples(3, range(10)), whole)
    assert torch.equal(samples(4, range(5, 10)), whole[5:])
    assert len(whole.unique(dim=0)) == 10
    assert torch.equal(samples(4, range(4), first=6), whole[6:]), "a later set goes on where one ended"
    assert not samples(10, range(10), seed=1).isclose(whole).any()


@pytest.mark.parametrize("batch_size", [4, 10, 100])
def test_what_is_drawn_is_told_at_every_step_of_the_sampler(batch_size):
    """Ten samples of five steps: the share grows from call to call, evenly in full batches, and never passes 1."""
    shares, drawn = [], GeneratedSamples(10, batch_size, 0)
    drawn.draw(Linear(), range(10), (2,), View().prepared("ddim", 5), lambda: shares.append(drawn.share_drawn))
    num_batches = -(-10 // batch_size)
    assert len(shares) == num_batches * (1 + 5)
    assert shares == sorted(shares)
    assert (shares[0], shares[1]) == (0, pytest.approx(min(batch_size, 10) / 10 / 5))
    assert shares[-1] == pytest.approx(1)


def test_the_noise_of_each_step_and_the_first_are_fresh():
    class Noises(Linear):
        def sample(self, x, sampler, noise):
            self.seen = torch.stack([x, noise(19), noise(7)])
            return x

    model = Noises()
    GeneratedSamples(10, 10, 0).draw(model, range(10), (2,), View().prepared("ddpm", 7))
    assert len(model.seen.unique()) == 60


def test_a_model_that_cannot_sample_has_no_samples():
    assert GeneratedSamples(10, 4, 0).num_of(Linear()) == 10
    assert GeneratedSamples(10, 4, 0).num_of(torch.nn.Linear(2, 2)) == 0
    with pytest.raises(ConfigError, match=r"evaluation\.num_samples: got 0"):
        GeneratedSamples(0, 4, 0)
