"""Random-feature score network: one frozen random layer, one trained linear layer."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from diffmem.errors import DataError, ParameterError, require_at_least
from diffmem.rng import stream

Activation = Callable[[Tensor], Tensor]


def centered_relu(gamma: float = 1.0) -> Activation:
    """x ↦ max(x, 0) − E max(γu, 0) with u ~ N(0, 1), i.e. ReLU less its mean γ/√(2π).

    Args:
        gamma: Standard deviation of the preactivations, Γ_t in the paper; 1 for data of unit variance.
    """
    mean = gamma / math.sqrt(2 * math.pi)
    return lambda x: torch.relu(x) - mean


def resolve_activation(activation: str | Activation, gamma: float = 1.0) -> Activation:
    """Elementwise function named ``"tanh"``, ``"erf"`` or ``"relu"`` (:func:`centered_relu`), or the callable itself.

    Raises:
        ParameterError: There is no activation of that name.
    """
    if callable(activation):
        return activation
    named = {"tanh": torch.tanh, "erf": torch.erf, "relu": centered_relu(gamma)}
    if activation not in named:
        expected = f"one of {', '.join(named)} or a callable"
        raise ParameterError("activation", got=repr(activation), expected=expected)
    return named[activation]


class RandomFeatureNetwork(nn.Module):
    """s_A(x) = (A/√p) σ(W x/√d) with W frozen (arXiv 2505.17638, section 3).

    Args:
        dim: Number d of input dimensions.
        num_features: Number p of random features.
        activation: ``"tanh"``, ``"erf"``, ``"relu"`` (ReLU less its mean at unit variance) or an elementwise
            callable whose mean under the preactivations' law is 0.
        seed: Seed of W (p, d), whose entries are independent N(0, 1).

    ``A`` (d, p) is the one parameter and starts from 0; ``W`` is a buffer, so a checkpoint holds it.

    Raises:
        ParameterError: A size is below 1, or the activation is unknown.
    """

    W: Tensor

    def __init__(self, dim: int, num_features: int, activation: str | Activation = "tanh", seed: int = 0) -> None:
        super().__init__()
        require_at_least(1, dim=dim, num_features=num_features)
        self.activation = resolve_activation(activation)
        self.register_buffer("W", torch.randn(num_features, dim, generator=stream(seed, "random_features.W")))
        self.A = nn.Parameter(torch.zeros(dim, num_features))

    def features(self, x: Tensor) -> Tensor:
        """σ(W x/√d): (B, d) → (B, p)."""
        return self.activation(x @ self.W.T / math.sqrt(self.W.shape[1]))

    def forward(self, x: Tensor) -> Tensor:
        """Score of ``x``, of the shape of ``x``: (B, d), or (B, \\*shape) whose sizes multiply to d.

        Raises:
            DataError: A row of ``x`` does not have d entries.
        """
        flat = x.flatten(1)
        num_features, dim = self.W.shape
        if flat.shape[1] != dim:
            raise DataError("input of the random-feature network", got=f"{flat.shape[1]} values a sample",
                            expected=f"{dim}", remedy="set the network's dim to the data's")  # fmt: skip
        return (self.features(flat) @ self.A.T / math.sqrt(num_features)).reshape(x.shape)
