"""Noise schedules: the variance-preserving forward process x_t = √ᾱ x + √(1−ᾱ) ξ."""

import math

import torch
from torch import Tensor

from diffmem.errors import ParameterError, require_at_least

_MOST_STEPS = 1_000_000


class Schedule:
    """The times of a diffusion process that a model knows, by index.

    Args:
        alpha_bar: (num_steps,) float64, descending.

    Attributes:
        alpha_bar: (num_steps,) float64.
        time: (num_steps,) float64, the time t = −½ log ᾱ of dx = −x dt + √2 dB that each index stands for.
    """

    def __init__(self, alpha_bar: Tensor) -> None:
        self.num_steps = len(alpha_bar)
        self.alpha_bar = alpha_bar
        self.time = -0.5 * torch.log(alpha_bar)
        self._on_device = alpha_bar  # where the network is: copied once, for a copy would make every step wait

    def index_of(self, t: float) -> int:
        """Index whose time is nearest to the diffusion time ``t``.

        Raises:
            ParameterError: ``t`` is not a positive time up to that of the last index.
        """
        last = self.time[-1].item()
        if not 0 < t <= last:
            raise ParameterError("t", got=t, expected=f"a diffusion time 0 < t <= {last:.4g}")
        return int(torch.argmin((self.time - t).abs()))

    def signal_and_noise(self, index: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """√ᾱ and √(1−ᾱ) at ``index`` (B,), shaped to multiply ``like`` (B, \\*), in its dtype and on its device."""
        if self._on_device.device != index.device:
            self._on_device = self.alpha_bar.to(index.device)
        alpha_bar = self._on_device[index].reshape(-1, *[1] * (like.dim() - 1))
        return alpha_bar.sqrt().to(like), (1 - alpha_bar).sqrt().to(like)


class LinearSchedule(Schedule):
    """β grows linearly over the steps (Ho et al. 2020, arXiv 2006.11239).

    Args:
        num_steps: Number T of diffusion steps, indexed 0 … T−1.
        beta_start: β of the first step.
        beta_end: β of the last step.

    Attributes:
        beta: (num_steps,) float64.
        alpha_bar: (num_steps,) float64, ∏(1−β).

    Raises:
        ParameterError: Fewer than 2 steps or more than a million, not 0 < beta_start ≤ beta_end < 1, or values so small
            or large that ᾱ is 1 at the first step or 0 at the last, in float64.
    """

    def __init__(self, num_steps: int = 1000, beta_start: float = 1e-4, beta_end: float = 2e-2) -> None:
        require_at_least(2, num_steps=num_steps)
        if num_steps > _MOST_STEPS:
            raise ParameterError("num_steps", got=num_steps, expected=f"at most {_MOST_STEPS:,}")
        if not 0 < beta_start <= beta_end < 1:
            raise ParameterError("beta_start", got=(beta_start, beta_end), expected="0 < beta_start <= beta_end < 1")
        self.beta = torch.linspace(beta_start, beta_end, num_steps, dtype=torch.float64)
        super().__init__(torch.cumprod(1 - self.beta, dim=0))
        if self.alpha_bar[0] == 1:
            raise ParameterError("beta_start", got=beta_start, expected="large enough to add noise: 1 - beta_start < 1")
        if self.alpha_bar[-1] == 0:
            expected = f"small enough that {num_steps:,} steps leave something of the image"
            raise ParameterError("beta_end", got=beta_end, expected=expected)


class SingleTime(Schedule):
    """One time ``t``, at index 0, exactly: for a model that knows no other.

    Args:
        t: Diffusion time, above 0.

    Raises:
        ParameterError: ``t`` is not in (0, 20]; at 20 nothing of the image is left.
    """

    def __init__(self, t: float) -> None:
        if not 0 < t <= 20:
            raise ParameterError("t", got=t, expected="a diffusion time in (0, 20]")
        super().__init__(torch.tensor([math.exp(-2 * t)], dtype=torch.float64))
        self.t = t

    def index_of(self, t: float) -> int:
        """0 for the time itself.

        Raises:
            ParameterError: ``t`` is another time.
        """
        if not math.isclose(t, self.t, rel_tol=1e-9):
            expected = f"{self.t:g}, the diffusion time the model is trained at"
            raise ParameterError("t", got=t, expected=expected)
        return 0
