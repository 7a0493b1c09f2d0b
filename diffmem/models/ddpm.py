"""The denoising diffusion model as a LightningModule: wiring only."""

from functools import partial
from typing import ClassVar, Literal

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from diffmem import ranks, rng
from diffmem.data.subset import Batch
from diffmem.diffusion.guidance import UNGUIDED, Guidance, drop_labels
from diffmem.diffusion.objective import NoisePredictor, Objective, Prediction, noise_prediction_loss, score_of
from diffmem.diffusion.sampling import Sampler, StepNoise
from diffmem.diffusion.schedule import LinearSchedule
from diffmem.diffusion.times import Law, TrainingTimes
from diffmem.errors import ParameterError, parameters_of
from diffmem.networks.adapters import adapt
from diffmem.roles import Role
from diffmem.transfer import send

#: Modes of ``torch.compile``.
CompileMode = Literal["default", "reduce-overhead", "max-autotune"]


class DDPM(pl.LightningModule):
    """Diffusion model (arXiv 2505.17638, section 2).

    Whatever the network predicts, ``forward``, ``score`` and ``losses`` are those of the noise, so that runs compare.

    Args:
        network: ``network(x_t, index)`` (B, \\*), for images or vectors, or a UNet of diffusers; what it stands for
            is ``prediction``. One with ``num_classes`` K above 0 is conditional: ``network(x_t, index, labels)``, label
            K for none.
        num_steps: Number T of diffusion steps.
        beta_start: First β of the linear schedule.
        beta_end: Last β of the linear schedule.
        seed: Seed of the diffusion times, the noise and the dropout masks of every step.
        compile: Mode of ``torch.compile`` for the network, e.g. ``"default"``, or ``"reduce-overhead"`` for CUDA
            graphs; None runs it as written. Changes results by rounding, and takes one or two minutes for each batch
            size: set ``evaluation.batch_size`` and ``losses.batch_size`` to one number that divides num_samples, n and
            num_test. Compiles ``network`` in place, and sets two options of torch's compiler for the process.
        prediction: What the network predicts: noise, image or velocity; see :class:`Objective`.
        min_snr_gamma: γ of the min-SNR-γ weights of the training loss; None for none, as in the paper.
        time_law: Law of the training times; see :class:`TrainingTimes`.
        time_range: Smallest and largest diffusion time t to train at; None for all, as in the paper.
        label_dropout: Share of the training images whose label is left out, from which a conditional network learns
            what guidance needs.

    Attributes:
        num_classes: Number K of labels; 0 for an unconditional model.

    Raises:
        ConfigError: A value that cannot be used.
    """

    roles: ClassVar[dict[str, Role]] = {"compile": "operation"}

    def __init__(
        self,
        network: nn.Module,
        num_steps: int = 1000,
        beta_start: float = 1e-4,
        beta_end: float = 2e-2,
        seed: int = 0,
        compile: CompileMode | None = None,
        prediction: Prediction = "epsilon",
        min_snr_gamma: float | None = None,
        time_law: Law = "uniform",
        time_range: tuple[float, float] | None = None,
        label_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.network = network = adapt(network)
        self.num_classes: int = getattr(network, "num_classes", 0)
        if not 0 <= label_dropout < 1:
            raise ParameterError("label_dropout", got=label_dropout, expected="0 <= label_dropout < 1").under("model")
        self.label_dropout = label_dropout
        if compile is not None:
            from torch._inductor import config

            config.fallback_random = True  # the same dropout masks as without compiling
            config.force_layout_optimization = True  # else given up for networks with wide skips, like this one
            network.compile(mode=compile, dynamic=False)
        with parameters_of("model", t="time_range"):
            self.schedule = LinearSchedule(num_steps, beta_start, beta_end)
            self.objective = Objective(self.schedule, prediction, min_snr_gamma)
            self.times = TrainingTimes(self.schedule, time_law, time_range)
        self.seed = seed

    def forward(self, x: Tensor, index: Tensor, labels: Tensor | None = None) -> Tensor:
        """Predicted noise of ``x`` (B, \\*) at diffusion steps ``index`` (B,) for ``labels`` (B,), if any."""
        return self.objective.noise(self._network_for(labels)(x, index), x, index)

    def _network_for(self, labels: Tensor | None) -> NoisePredictor:
        """The network's output as a function of x_t and index alone."""
        return self.network if labels is None else lambda x, index: self.network(x, index, labels)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Weighted loss of what the network predicts on one batch.

        Times, noise, dropout masks and labels left out of batch k are drawn for the global batch; each rank takes
        its share.
        """
        number, images, _, labels = Batch.of(batch)
        size, mine = ranks.batch_share(len(images))
        index = self.times.draw(size, rng.stream(self.seed, "time", number))
        noise = rng.normal(self.seed, "noise", number, (size, *images.shape[1:]))
        if labels is not None:
            uniform = torch.rand(size, generator=rng.stream(self.seed, "label dropout", number))[mine]
            labels = drop_labels(labels, send(uniform, labels.device), self.label_dropout, self.num_classes)
        rng.seed_global(self.seed, "dropout", number)
        noise, index = (send(values[mine], images.device) for values in (noise, index))
        return self.objective.losses(self._network_for(labels), images, noise, index).mean()

    def losses(self, images: Tensor, noise: Tensor, index: Tensor, labels: Tensor | None = None) -> Tensor:
        """Noise-prediction loss of each image, (B,)."""
        return noise_prediction_loss(partial(self, labels=labels), images, noise, index, self.schedule)

    def score(self, x_t: Tensor, index: Tensor) -> Tensor:
        """∇log P_t as learned, at ``x_t`` (B, \\*) and diffusion steps ``index`` (B,)."""
        return score_of(self, x_t, index, self.schedule)

    def sample(
        self,
        noise: Tensor,
        sampler: Sampler,
        step_noise: StepNoise | None = None,
        labels: Tensor | None = None,
        guidance: Guidance = UNGUIDED,
    ) -> Tensor:
        """Samples (B, \\*) from ``noise``, standard normal of the same shape.

        Args:
            noise: Where the samples start.
            sampler: E.g. :class:`diffmem.diffusion.sampling.DDIMSampler`.
            step_noise: Standard normal (B, \\*) for each step; only stochastic samplers ask for it.
            labels: (B,) int64, of a conditional model; None for samples without a label.
            guidance: How labels act.

        Raises:
            ParameterError: ``step_noise`` is asked for and missing, or the sampler has more steps than the model.
        """
        predict: NoisePredictor = self
        if labels is not None:
            predict = guidance.predictor(self, labels, self.num_classes, self.schedule)
        return sampler(predict, noise, self.schedule, step_noise or _missing)


def _missing(index: int) -> Tensor:
    raise ParameterError("step_noise", got=None, expected="the noise of each step, for this sampler is stochastic")
