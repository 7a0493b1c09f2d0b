import pytest
import torch
from scipy.special import expit
from scipy.stats import kstest, norm

from diffmem.diffusion.schedule import LinearSchedule
from diffmem.diffusion.times import TrainingTimes
from diffmem.errors import ConfigError

SCHEDULE = LinearSchedule()


def draw(*options, size=20_000):
    return TrainingTimes(SCHEDULE, *options).draw(size, torch.Generator().manual_seed(0))


def test_the_papers_times_are_those_of_its_code():
    expected = torch.randint(1, 1000, (20_000,), generator=torch.Generator().manual_seed(0))
    assert torch.equal(draw(), expected)
    assert set(draw(size=100_000).tolist()) == set(range(1, 1000))


@pytest.mark.parametrize("law", ["uniform", "logit_normal"])
def test_a_range_holds_its_ends_and_nothing_beyond(law):
    index = draw(law, (0.1, 1.0))
    t = SCHEDULE.time[index]
    low, high = SCHEDULE.index_of(0.1), SCHEDULE.index_of(1.0)
    assert index.min() >= low and index.max() <= high
    assert abs(t.min() - 0.1) < 0.02 and abs(t.max() - 1.0) < 0.02
    if law == "uniform":
        assert set(index.tolist()) == set(range(low, high + 1))


def test_the_logit_of_the_share_is_normal():
    generator = torch.Generator().manual_seed(1)
    index = draw("logit_normal")
    share = (index - 1 + torch.rand(len(index), generator=generator)) / 999  # an index is a cell of width 1/999
    assert kstest(share.numpy(), lambda u: norm.cdf(norm.ppf(u))).pvalue < 1e-6, "uniform it is not"
    assert kstest(torch.logit(share.double()).numpy(), norm.cdf).pvalue > 0.01
    assert abs((index < 1 + 999 * expit(-1.0)).double().mean().item() - norm.cdf(-1)) < 0.01


@pytest.mark.parametrize("time_range", [(1.0, 0.1), (0.0, 1.0), (0.1, 99.0), (1e-6, 5e-5)])
def test_an_impossible_range_is_refused(time_range):
    with pytest.raises(ConfigError):
        TrainingTimes(SCHEDULE, "uniform", time_range)


def test_an_unknown_law_is_refused():
    with pytest.raises(ConfigError, match="logit_normal"):
        TrainingTimes(SCHEDULE, "cosine")
