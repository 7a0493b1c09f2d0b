"""Columns of quality and diversity."""

import numpy as np
import pytest
import torch
from hand_made import HandMade, snapshot

from diffmem.callbacks.prdc import PRDC
from diffmem.errors import ConfigError
from diffmem.metrics.prdc import prdc

GENERATOR = np.random.default_rng(0)
SAMPLES, TRAIN, HELD_OUT = (GENERATOR.normal(at, 1, (30, 1, 2, 2)).astype("f4") for at in (0, 0.3, 0.6))


def test_columns_compare_with_the_held_out_images():
    columns = PRDC(k=3).measure(snapshot(SAMPLES, TRAIN, HELD_OUT))
    assert columns == prdc(torch.from_numpy(HELD_OUT), torch.from_numpy(SAMPLES), 3)._asdict()
    assert columns != prdc(torch.from_numpy(TRAIN), torch.from_numpy(SAMPLES), 3)._asdict()


def test_off_by_default_and_too_few_are_refused_before_a_run():
    assert PRDC().measure(snapshot(SAMPLES, TRAIN, HELD_OUT)) == {}
    data = HandMade(torch.zeros(4, 1), torch.zeros(4, 1))
    data.num_test = 4
    PRDC(k=3).check(data, 10, None)
    with pytest.raises(ConfigError, match=r"prdc\.k: got 4, expected below the 10 samples and 4 held-out images"):
        PRDC(k=4).check(data, 10, None)
    with pytest.raises(ConfigError, match=r"prdc\.k"):
        PRDC(k=0)
