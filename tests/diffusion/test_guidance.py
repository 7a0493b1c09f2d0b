"""Guidance against its formula."""

from math import inf, nan

import pytest
import torch

from diffmem.diffusion.guidance import Guidance, drop_labels
from diffmem.diffusion.schedule import LinearSchedule
from diffmem.errors import ParameterError

SCHEDULE = LinearSchedule(100)
X, LABELS = torch.randn(3, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 0])
NONE = 2


def network(calls):
    scale = torch.tensor([1.0, 3.0, 0.5])

    def predict(x, index, labels):
        calls.append(len(x))
        return scale[labels][:, None] * x + index[:, None]

    return predict


def at(guidance, index):
    calls = []
    found = guidance.predictor(network(calls), LABELS, NONE, SCHEDULE)(X, torch.full((3,), index))
    return found, calls


@pytest.mark.parametrize("weight", [-1.0, 0.5, 3.0])
def test_the_prediction_is_that_of_the_formula_from_one_call_of_twice_the_batch(weight):
    found, calls = at(Guidance(weight), 7)
    conditional, free = torch.tensor([[1.0], [3.0], [1.0]]) * X + 7, 0.5 * X + 7
    torch.testing.assert_close(found, free + (1 + weight) * (conditional - free))
    assert calls == [6]


def test_an_image_is_guided_as_the_vector_of_its_pixels():
    vectors = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))

    def predict(x, index, labels):
        return (labels + 1.0).reshape(-1, *[1] * (x.dim() - 1)) * x

    guided = Guidance(2.0).predictor(predict, LABELS, NONE, SCHEDULE)
    index = torch.full((3,), 7)
    torch.testing.assert_close(guided(vectors.view(3, 2, 2, 2), index).flatten(1), guided(vectors, index))


def test_at_weight_0_it_is_the_conditional_model_itself():
    found, calls = at(Guidance(0.0), 7)
    assert torch.equal(found, network([])(X, torch.full((3,), 7), LABELS))
    assert calls == [3]


def test_it_acts_inside_its_interval_alone():
    low, high = SCHEDULE.time[20].item(), SCHEDULE.time[40].item()
    guidance = Guidance(3.0, (low, high))
    assert [at(guidance, index)[1] for index in (19, 20, 40, 41)] == [[3], [6], [6], [3]]


@pytest.mark.parametrize(
    ("weight", "interval"),
    [
        (-2.0, None),
        (inf, None),
        (nan, None),
        (1.0, (2.0, 1.0)),
        (1.0, (1.0, 1.0)),
        (1.0, (-1.0, 1.0)),
        (1.0, (0.0, nan)),
    ],
)
def test_impossible_guidance_is_refused(weight, interval):
    with pytest.raises(ParameterError):
        Guidance(weight, interval)


def test_labels_are_dropped_where_the_number_is_below_the_probability():
    assert drop_labels(LABELS, torch.tensor([0.05, 0.1, 0.9]), 0.1, NONE).tolist() == [2, 1, 0]
