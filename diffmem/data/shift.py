"""Whether two sets of images can be subsets of one: by the distance of their means."""

import math

import torch
from torch import Tensor

_MOST = 1024  # of each set
_DEVIATIONS = 10  # none of random subsets; what exceeds it is no chance


def mean_distance(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Squared distance of the means of two sets in units of what random subsets have, and how large that may be.

    Random subsets of sizes n and m of one population with covariance Σ have E‖ā − b̄‖² = tr Σ (1/n + 1/m), with the
    relative deviation √(2 tr Σ²)/tr Σ for nearly normal means. Of large sets some are taken, evenly spread.

    Args:
        a: Images (n, \\*), n ≥ 2.
        b: Images (m, \\*), m ≥ 2.

    Returns:
        ‖ā − b̄‖² over its expectation, and the value ten deviations above the expected 1; 1 and infinity for sets
        without any spread.
    """
    a, b = (each[:: -(-len(each) // _MOST)].flatten(1).double() for each in (a, b))
    centred = torch.cat([a - a.mean(0), b - b.mean(0)])
    freedom = len(centred) - 2
    products = centred @ centred.T / freedom
    trace = products.trace().item()
    if trace == 0:
        return 1.0, math.inf
    distance = (a.mean(0) - b.mean(0)).square().sum().item() / (trace * (1 / len(a) + 1 / len(b)))
    return distance, 1 + _DEVIATIONS * math.sqrt(2) * products.norm().item() / trace
