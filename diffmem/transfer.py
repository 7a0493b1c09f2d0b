"""From the CPU, where random numbers are drawn, to where the network is."""

import torch
from torch import Tensor


def send(values: Tensor, device: torch.device) -> Tensor:
    """``values``, which are on the CPU, on ``device``; nothing waits for a GPU to be done with its work before."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)
