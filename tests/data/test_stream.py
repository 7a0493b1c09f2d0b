import torch
from hypothesis import given
from hypothesis import strategies as st

from diffmem.data.stream import BatchStream, RankBatches

SIZES = st.integers(1, 40)


@given(SIZES, SIZES, st.integers(0, 5))
def test_batches_end_to_end_are_permutations(n, batch_size, seed):
    stream = BatchStream(n, batch_size, seed)
    members = torch.cat([stream.members(k) for k in range(2 * n)])
    epochs = members[: len(members) // n * n].view(-1, n)
    assert torch.equal(epochs.sort(dim=1).values, torch.arange(n).expand(len(epochs), n))


@given(SIZES, SIZES, st.lists(st.integers(0, 1000), min_size=1, max_size=5))
def test_a_batch_does_not_depend_on_what_was_asked_before(n, batch_size, numbers):
    stream = BatchStream(n, batch_size, seed=1)
    for k in numbers:
        assert torch.equal(stream.members(k), BatchStream(n, batch_size, seed=1).members(k))


def test_every_epoch_has_an_order_of_its_own_and_so_has_every_seed():
    stream = BatchStream(50, 50, seed=0)
    assert not torch.equal(stream.members(0), stream.members(1))
    assert not torch.equal(stream.members(0), BatchStream(50, 50, seed=1).members(0))


@given(st.sampled_from([1, 2, 3]), st.integers(0, 9))
def test_the_shares_of_the_ranks_make_up_the_batch(world_size, first):
    stream = BatchStream(10, 6, seed=0)
    import diffmem.ranks

    shares = []
    for rank in range(world_size):
        original = diffmem.ranks.rank_and_world
        diffmem.ranks.rank_and_world = lambda rank=rank: (rank, world_size)
        try:
            number, members = next(iter(RankBatches(stream, lambda: first)))
        finally:
            diffmem.ranks.rank_and_world = original
        assert number == first
        shares.append(members)
    assert torch.equal(torch.cat(shares), stream.members(first))
