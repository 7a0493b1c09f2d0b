"""Endless batches, each a pure function of its number."""

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from diffmem import ranks, rng


class BatchStream:
    """Members of the training set in batch after batch, every epoch a fresh permutation.

    The permutations are laid end to end and cut into batches, so there is neither padding nor a short last batch; a
    batch may reach into the next epoch. Batch k depends on nothing but ``(seed, k)``.

    Args:
        n: Number of training images.
        batch_size: Images of a (global) batch.
        seed: Seed of the run.
    """

    def __init__(self, n: int, batch_size: int, seed: int) -> None:
        self.n, self.batch_size, self.seed = n, batch_size, seed
        self._permutations: dict[int, Tensor] = {}

    def members(self, k: int) -> Tensor:
        """Which training images batch ``k`` has, (batch_size,) int64."""
        first, end = k * self.batch_size, (k + 1) * self.batch_size
        epochs = range(first // self.n, (end - 1) // self.n + 1)
        self._permutations = {epoch: self._permutation(epoch) for epoch in epochs}
        offset = epochs.start * self.n
        return torch.cat(list(self._permutations.values()))[first - offset : end - offset]

    def _permutation(self, epoch: int) -> Tensor:
        if epoch in self._permutations:
            return self._permutations[epoch]
        return torch.randperm(self.n, generator=rng.stream(self.seed, "permutation", epoch))


class RankBatches:
    """Iterable over ``(k, members)`` for one rank: its contiguous share of each global batch.

    Args:
        stream: The global batches.
        first: Number of the first batch, asked for when iteration begins: the batches that a resumed run has seen.
    """

    def __init__(self, stream: BatchStream, first: Callable[[], int]) -> None:
        self.stream, self.first = stream, first

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        _, mine = ranks.batch_share(self.stream.batch_size // ranks.rank_and_world()[1])
        for k in itertools.count(self.first()):
            yield k, self.stream.members(k)[mine]
