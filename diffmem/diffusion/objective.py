"""Training objective: what the network predicts, and how its squared errors are weighted over the diffusion times."""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from diffmem.diffusion.schedule import Schedule
from diffmem.errors import ParameterError, require_one_of

#: ``predict_noise(x_t, index)``: x_t (B, \*), index (B,) int64 → the predicted ξ (B, \*).
NoisePredictor = Callable[[Tensor, Tensor], Tensor]
Prediction = Literal["epsilon", "sample", "velocity"]


class Objective:
    """Mean squared error of the network's output, for each image, of x_t = √ᾱ x + √(1−ᾱ) ξ.

    The output stands for

    - ``"epsilon"``: the noise ξ (Ho et al. 2020, arXiv 2006.11239, equation 14), as in the paper;
    - ``"sample"``: the image x;
    - ``"velocity"``: v = √ᾱ ξ − √(1−ᾱ) x (Salimans and Ho 2022, arXiv 2202.00512, appendix D).

    At one x_t an error e of the predicted noise is an error −e/√SNR of the image and e/√ᾱ of the velocity, with
    SNR = ᾱ/(1−ᾱ): the three differ in their weights over the times, and in what the network has to represent.

    Args:
        schedule: The noise schedule.
        prediction: See above.
        min_snr_gamma: γ of the min-SNR-γ weights (Hang et al. 2023, arXiv 2303.09556, section 3.4): the squared error
            of the image counts min(SNR, γ) times, which is min(SNR, γ)/SNR for the noise and min(SNR, γ)/(SNR + 1)
            for the velocity. γ = 5 there. None weights the squared errors of the output alike.

    Raises:
        ParameterError: An unknown prediction, or γ not above 0.
    """

    def __init__(
        self, schedule: Schedule, prediction: Prediction = "epsilon", min_snr_gamma: float | None = None
    ) -> None:
        require_one_of(get_args(Prediction), "prediction", prediction)
        if min_snr_gamma is not None and not min_snr_gamma > 0:
            raise ParameterError("min_snr_gamma", got=min_snr_gamma, expected="above 0, or null for no weights")
        self.schedule, self.prediction, self.min_snr_gamma = schedule, prediction, min_snr_gamma

    def noise(self, output: Tensor, x_t: Tensor, index: Tensor) -> Tensor:
        """The noise (B, \\*) that ``output`` (B, \\*) at ``x_t`` and diffusion steps ``index`` (B,) stands for."""
        if self.prediction == "epsilon":
            return output
        signal, deviation = self.schedule.signal_and_noise(index, x_t)
        if self.prediction == "sample":
            return (x_t - signal * output) / deviation
        return signal * output + deviation * x_t

    def target(self, x: Tensor, noise: Tensor, index: Tensor) -> Tensor:
        """What the output should be for ``x`` and ``noise`` (B, \\*) at diffusion steps ``index`` (B,)."""
        if self.prediction == "epsilon":
            return noise
        if self.prediction == "sample":
            return x
        signal, deviation = self.schedule.signal_and_noise(index, x)
        return signal * noise - deviation * x

    def losses(self, network: NoisePredictor, x: Tensor, noise: Tensor, index: Tensor) -> Tensor:
        """Weighted ‖network(x_t, index) − target‖² / d of each of the B images, (B,)."""
        error = network(add_noise(x, noise, index, self.schedule), index) - self.target(x, noise, index)
        losses = error.square().flatten(1).mean(1)
        return losses if self.min_snr_gamma is None else self.weights(index, losses) * losses

    def weights(self, index: Tensor, like: Tensor) -> Tensor:
        """min-SNR-γ weights (B,) of the output's squared errors at ``index`` (B,), in the dtype of ``like``."""
        assert self.min_snr_gamma is not None
        signal, deviation = self.schedule.signal_and_noise(index, like)
        snr = (signal / deviation).square()
        per_error_of_image = {"epsilon": snr, "sample": torch.ones_like(snr), "velocity": snr + 1}
        return snr.clamp(max=self.min_snr_gamma) / per_error_of_image[self.prediction]


def add_noise(x: Tensor, noise: Tensor, index: Tensor, schedule: Schedule) -> Tensor:
    """x_t = √ᾱ x + √(1−ᾱ) ξ for ``x``, ``noise`` (B, \\*) at diffusion steps ``index`` (B,)."""
    signal, deviation = schedule.signal_and_noise(index, x)
    return signal * x + deviation * noise


def noise_prediction_loss(
    predict_noise: NoisePredictor, x: Tensor, noise: Tensor, index: Tensor, schedule: Schedule
) -> Tensor:
    """‖ε_θ(x_t, index) − ξ‖² / d for each of the B images, (B,)."""
    return Objective(schedule).losses(predict_noise, x, noise, index)


def score_of(predict_noise: NoisePredictor, x_t: Tensor, index: Tensor, schedule: Schedule) -> Tensor:
    """Score −ε_θ(x_t, index)/√(1−ᾱ) of ``x_t`` (B, \\*) at diffusion steps ``index`` (B,)."""
    _, deviation = schedule.signal_and_noise(index, x_t)
    return -predict_noise(x_t, index) / deviation
