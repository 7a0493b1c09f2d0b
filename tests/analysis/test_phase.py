"""Phases of cells whose times and laws are known."""

from dataclasses import replace

import numpy as np
import pytest

from diffmem.analysis.gap import between_run_weights, pool
from diffmem.analysis.phase import Phase, phase_of
from diffmem.analysis.scaling import fit_exponent
from diffmem.analysis.timescales import tau_gen, tau_mem

STEPS = np.r_[0, 10 * 2.0 ** np.arange(16)]
LAW = fit_exponent([16, 32, 64, 64], np.array([0.95, 1.0, 1.0, 1.05]) * 100 * np.array([16, 32, 64, 64]))


def memorized_at(time, last=np.inf):
    steps = STEPS[last >= STEPS]
    return tau_mem(steps, (steps > time) * 0.5)


def good_at(time, last=np.inf):
    steps = STEPS[last >= STEPS]
    return tau_gen(steps, np.where(steps > time, 1.0, 100.0), level=10)


@pytest.mark.parametrize(
    ("gen", "mem", "law", "phase"),
    [
        (good_at(500), memorized_at(20_000), None, Phase.TRAINING_TIME),
        (good_at(20_000), memorized_at(500), None, Phase.MEMORIZING),
        (good_at(np.inf), memorized_at(500), None, Phase.MEMORIZING),
        (good_at(500), memorized_at(np.inf, last=12_000), LAW, Phase.TRAINING_TIME),
        (good_at(500), memorized_at(np.inf), LAW, Phase.ARCHITECTURE),
        (good_at(500), memorized_at(np.inf), None, Phase.UNDECIDED),
        (good_at(np.inf, last=6000), memorized_at(np.inf, last=6000), LAW, Phase.UNDECIDED),
        (good_at(np.inf, last=6000), memorized_at(20_000), None, Phase.UNDECIDED),
        (None, memorized_at(500), None, Phase.UNDECIDED),
    ],
)
def test_phase(gen, mem, law, phase):
    """The law predicts copies near 12,800 updates at n = 128; the longest runs have 327,680."""
    assert phase_of(gen, mem, [mem], law, n=128) is phase


def test_copies_at_the_time_of_good_samples_leave_no_window():
    gen = good_at(500)
    mem = replace(memorized_at(500), value=gen.value)
    assert phase_of(gen, mem, [mem], None, n=128) is Phase.MEMORIZING


def test_architecture_protects_only_beyond_the_upper_end_of_the_prediction():
    predicted = LAW.predict(128)
    for last, phase in ((0.99 * predicted.high, Phase.TRAINING_TIME), (1.01 * predicted.high, Phase.ARCHITECTURE)):
        mem = tau_mem([0, 100, last], [0, 0, 0])
        assert mem.last > predicted.value
        assert phase_of(good_at(500), mem, [mem], LAW, n=128) is phase


def test_architecture_protects_no_cell_in_which_a_run_copied():
    copied, never = memorized_at(20_000), memorized_at(np.inf)
    cell = pool([copied, never], between_run_weights(2, 1000, seed=0), confidence=0.95)
    assert cell.censored
    assert phase_of(good_at(500), cell, [never, never], LAW, n=128) is Phase.ARCHITECTURE
    assert phase_of(good_at(500), cell, [copied, never], LAW, n=128) is Phase.TRAINING_TIME
