import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffmem import rng

SEEDS, STEPS = st.integers(-(2**40), 2**40), st.integers(0, 2**32 - 1)


@given(SEEDS, st.text(max_size=10), STEPS, STEPS)
def test_steps_of_a_stream_never_share_what_the_engine_reads(seed, name, step, other):
    low, other_low = (rng.derive_seed(seed, name, k) & 0xFFFFFFFF for k in (step, other))
    assert (low == other_low) == (step == other)


@given(SEEDS, STEPS)
def test_a_stream_is_a_function_of_its_address(seed, step):
    first, again = (rng.normal(seed, "noise", step, (3,)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, rng.normal(seed, "other", step, (3,)))
    assert not torch.equal(first, rng.normal(seed + 1, "noise", step, (3,)))


@given(st.integers(0, 50), st.integers(0, 50))
def test_a_row_does_not_depend_on_the_rows_beside_it(start, length):
    numbers = range(start, start + length)
    every = rng.normals(0, "sample", range(100), (2, 3))
    assert torch.equal(rng.normals(0, "sample", numbers, (2, 3)), every[start : start + length])


@pytest.mark.parametrize(
    ("address", "seed"),
    [
        ((0, "batch", 0), 2891272606965696619),
        ((0, "batch", 1), 2891272608458523230),
        ((7, "noise", 123456), 6618120107732534979),
        ((-1, "weights", 0), 7169484737022876802),
    ],
)
def test_the_numbers_of_a_run_are_those_of_every_version(address, seed):
    """Another seed here is another number in every table; a run would not go on as it began."""
    assert rng.derive_seed(*address) == seed


def test_streams_leave_the_global_generator_alone():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    rng.normal(0, "noise", 0, (8,))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("accelerator", [False, True])
def test_the_global_generator_draws_by_address_with_an_accelerator_and_without(monkeypatch, accelerator):
    monkeypatch.setattr(rng, "_has_accelerator", lambda: accelerator)
    rng.seed_global(0, "dropout", 3)
    drawn = torch.rand(4)
    torch.manual_seed(rng.derive_seed(0, "dropout", 3))
    assert torch.equal(drawn, torch.rand(4))
