"""What an evaluation draws."""

import pytest
import torch

from diffmem.callbacks import Evaluation
from diffmem.diffusion.schedule import LinearSchedule


@pytest.mark.parametrize("sampler", ["ddim", "ddim:0.5", "ddpm"])
def test_a_sample_depends_on_its_number_alone(sampler):
    schedule = LinearSchedule(20)

    class Linear(torch.nn.Module):
        device = torch.device("cpu")

        def sample(self, x, sampler, noise):
            return sampler(lambda x, _: 0.1 * x, x, schedule, noise)

    module = Linear()

    def samples(batch_size, numbers):
        evaluation = Evaluation(num_samples=10, sampling_steps=7, batch_size=batch_size, sampler=sampler)
        return evaluation.sample(module, numbers, (2,))

    whole = samples(10, range(10))
    assert torch.equal(samples(3, range(10)), whole)
    assert torch.equal(samples(4, range(5, 10)), whole[5:])
    assert len(whole.unique(dim=0)) == 10
