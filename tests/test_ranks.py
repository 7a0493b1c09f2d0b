"""What each rank has to do, by its number; collectives are tested where they are used."""

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffmem import ranks


def of_each_rank(world_size, what, *arguments):
    found = []
    for rank in range(world_size):
        with mock.patch.object(ranks, "rank_and_world", return_value=(rank, world_size)):
            found.append(what(*arguments))
    return found


@given(st.integers(0, 200), st.integers(1, 9))
def test_shares_are_contiguous_whole_and_nearly_equal_and_the_first_is_a_largest(num, world_size):
    shares = of_each_rank(world_size, ranks.share, num)
    assert [item for share in shares for item in share] == list(range(num))
    sizes = [len(share) for share in shares]
    assert sizes[0] == max(sizes) <= min(sizes) + 1


@given(st.integers(1, 20), st.integers(1, 9))
def test_the_items_of_all_ranks_make_the_global_batch(num_local, world_size):
    found = of_each_rank(world_size, ranks.batch_share, num_local)
    assert {size for size, _ in found} == {num_local * world_size}
    items = [item for size, part in found for item in range(size)[part]]
    assert items == list(range(num_local * world_size))


@pytest.mark.parametrize("flag", [False, True])
def test_alone_a_process_is_rank_0_of_1(flag):
    assert ranks.rank_and_world() == (0, 1)
    assert ranks.any_rank(flag, "cpu") == flag
    assert ranks.same_on_all_ranks(3, "cpu")
