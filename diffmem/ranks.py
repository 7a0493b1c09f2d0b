"""This process among the ranks of a distributed run; alone, it is rank 0 of 1."""

import torch
import torch.distributed as dist
from torch import Tensor


def rank_and_world() -> tuple[int, int]:
    """This process's rank and the number of ranks."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def share(num: int) -> range:
    """The contiguous items of 0 … num−1 that are this rank's; shares differ by one at most; rank 0 has a largest."""
    rank, world_size = rank_and_world()
    return range(-(-num * rank // world_size), -(-num * (rank + 1) // world_size))


def batch_share(num_local: int) -> tuple[int, slice]:
    """Size of the global batch to which every rank brings ``num_local`` items, and which of them are this rank's."""
    rank, world_size = rank_and_world()
    return num_local * world_size, slice(rank * num_local, (rank + 1) * num_local)


def sum_over_ranks(values: Tensor) -> Tensor:
    """Sum of ``values`` over the ranks, on every rank. A collective: all ranks call it or none."""
    if rank_and_world()[1] > 1:
        values = values.clone()
        dist.all_reduce(values)
    return values


def same_on_all_ranks(value: int, device: torch.device) -> bool:
    """Whether every rank calls this with the same ``value``. A collective."""
    if rank_and_world()[1] == 1:
        return True
    ends = torch.tensor([value, -value], device=device)
    dist.all_reduce(ends, op=dist.ReduceOp.MAX)
    return bool(ends[0] == -ends[1])


def any_rank(flag: bool, device: torch.device) -> bool:
    """Whether ``flag`` is set on any rank. A collective."""
    if rank_and_world()[1] == 1:
        return flag
    return bool(sum_over_ranks(torch.tensor(int(flag), device=device)))
