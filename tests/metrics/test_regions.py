"""Distances of scores that are known, at points and times that are known."""

import pytest
import torch

from diffmem.diffusion.schedule import LinearSchedule
from diffmem.diffusion.scores import empirical_law, gaussian
from diffmem.metrics.regions import noise_distance, score_regions, spread_indices

TIMES = LinearSchedule().time
TRAIN = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
LAWS = {"empirical": empirical_law(TRAIN), "population": gaussian(torch.ones(6))}
REFERENCES = {name: lambda x, index, law=law: law.score(x, TIMES[index].item()) for name, law in LAWS.items()}
POINTS = {index: torch.randn(50, 6, generator=torch.Generator().manual_seed(index)) for index in (40, 400, 999)}


@pytest.mark.parametrize("own", LAWS)
def test_a_score_is_at_distance_zero_from_itself_alone(own):
    (other,) = LAWS.keys() - {own}
    found = list(score_regions(REFERENCES[own], REFERENCES, {"anywhere": POINTS}, TIMES))
    means = {(each.reference, each.diffusion_step): each.distances.mean().item() for each in found}
    assert all(means[own, index] == pytest.approx(0, abs=1e-20) for index in POINTS)
    assert means[other, 40] > means[other, 400] > means[other, 999], "the two part at small times"
    assert means[other, 40] > 1e-2
    assert {each.place for each in found} == {"anywhere"}
    assert len(found) == 6


def test_the_distance_is_that_of_the_noises_that_two_scores_predict():
    index, ours, theirs = 300, torch.randn(5, 2, 3), torch.randn(5, 2, 3)
    deviation = (1 - LinearSchedule().alpha_bar[index]).sqrt()
    scores = -ours / deviation, -theirs / deviation
    expected = (ours - theirs).double().square().mean((1, 2))
    assert noise_distance(*scores, TIMES[index].item()).tolist() == pytest.approx(expected.tolist())


def test_times_are_spread_in_the_logarithm_over_those_that_a_sampler_visits():
    visited = torch.linspace(999, 0, 50).long().tolist()
    chosen = spread_indices(TIMES, visited, 6)
    assert set(chosen) <= set(visited)
    assert chosen[0] == 0
    assert chosen[-1] == 999
    assert chosen == sorted(set(chosen))
    assert spread_indices(TIMES, visited, 500) == sorted(visited)
