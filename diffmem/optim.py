"""Optimizers that torch has in parts."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

from diffmem.errors import ConfigError


class MuonAdamW(Optimizer):
    """Muon for the weight matrices inside the network, AdamW for everything else, as ``torch.optim`` has them.

    Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) moves a matrix by its momentum with all singular values
    made about 1. The weight of a convolution is the matrix (out channels, in channels · height · width). The step is
    0.2 √max(rows, columns) times the rate (Liu et al. 2025, arXiv 2502.16982, equation 4), as large as that of AdamW,
    so that one rate serves both.

    The layers at the data, whose in- or output is the narrowest there is, go to AdamW with the vectors, as recommended
    there. A trained embedding counts as a matrix.

    Args:
        params: Parameters, as of any optimizer.
        lr: Rate of both.
        momentum: Momentum of Muon, Nesterov's.
        betas: Of AdamW.
        eps: Of AdamW.
        weight_decay: Decoupled weight decay of both.

    Raises:
        ConfigError: A torch before 2.9, which has no Muon.
        ValueError: A rate, momentum or weight decay below 0.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise ConfigError(
                "optimizer", got=f"MuonAdamW with torch {torch.__version__}", expected="torch 2.9 or later",
                remedy="update torch or choose another optimizer",
            )  # fmt: skip
        params = list(params)
        inner = _inner_matrices(params)
        rest = [each for each in params if all(each is not matrix for matrix in inner)]
        flat = [torch.empty_like(matrix.detach().flatten(1)) for matrix in inner]
        self._muon = torch.optim.Muon([{"params": flat}], lr, weight_decay, momentum, adjust_lr_fn="match_rms_adamw")
        self._adamw = AdamW([{"params": rest}], lr, betas, eps, weight_decay)
        self._flat = flat
        super().__init__([{**self._muon.param_groups[0], "params": inner}, self._adamw.param_groups[0]], {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One update of all parameters."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        matrices, rest = self.param_groups
        self._adamw.state, self._adamw.param_groups = self.state, [rest]
        self._adamw.step()
        self._muon.param_groups = [{**matrices, "params": self._flat}]
        for matrix, flat in zip(matrices["params"], self._flat, strict=True):
            flat.data, flat.grad = matrix.data.flatten(1), None if matrix.grad is None else matrix.grad.flatten(1)
            self._muon.state[flat] = self.state[matrix]
        self._muon.step()
        for matrix, flat in zip(matrices["params"], self._flat, strict=True):
            if flat.data_ptr() != matrix.data_ptr():  # a weight in another layout was copied when it was flattened
                matrix.copy_(flat.view_as(matrix))
        return loss


def _inner_matrices(params: list[Tensor]) -> list[Tensor]:
    """Weights of two or more dimensions, without those of the narrowest in- or output unless all are as narrow."""
    weights = [each for each in params if each.ndim >= 2 and each.requires_grad]
    narrowest = min((min(each.shape[:2]) for each in weights), default=0)
    return [each for each in weights if min(each.shape[:2]) > narrowest] or weights
