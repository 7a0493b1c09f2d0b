"""The random-feature score model at one diffusion time as a LightningModule: wiring only."""

import lightning.pytorch as pl
import torch
from torch import Tensor

from diffmem import ranks, rng
from diffmem.data.subset import Batch
from diffmem.diffusion.objective import noise_prediction_loss, score_of
from diffmem.diffusion.schedule import SingleTime
from diffmem.errors import parameters_of, require_at_least
from diffmem.networks.random_features import RandomFeatureNetwork
from diffmem.transfer import send


class RandomFeatures(pl.LightningModule):
    """s_A(x) = (A/√p) σ(W x/√d), A trained from 0 at one time t (arXiv 2505.17638, section 3).

    The loss is L_t = (1/d) E‖√Δ_t s_A(x_t) + ξ‖² with x_t = e^{−t}x + √Δ_t ξ. Plain SGD of rate η makes η/d² of the
    paper's time per update, τ = kη/d²; rates are therefore large, of the order of d². Knowing one time, the model
    cannot sample.

    Args:
        dimension: Number d of values of a sample; images are flattened.
        num_features: Number p of random features.
        activation: ``"tanh"``, ``"erf"`` or ``"relu"`` (less its mean).
        t: Diffusion time.
        num_noisings: Number m of fixed noises for each training sample, all in each batch; None for a fresh noise at
            every step.
        feature_seed: Seed of W; None for ``seed``.
        seed: Seed of the noise.

    Raises:
        ConfigError: A size below 1, a time outside (0, 20], or an unknown activation.
    """

    def __init__(
        self,
        dimension: int,
        num_features: int,
        activation: str = "tanh",
        t: float = 0.01,
        num_noisings: int | None = None,
        feature_seed: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_at_least(1, "model", num_noisings=num_noisings)
        with parameters_of("model", dim="dimension"):
            self.schedule = SingleTime(t)
            self.network = RandomFeatureNetwork(
                dimension, num_features, activation, seed if feature_seed is None else feature_seed
            )
        self.num_noisings, self.seed = num_noisings, seed
        self._noises: Tensor | None = None

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Predicted noise −√Δ_t s_A(x) of ``x`` (B, \\*); ``index`` (B,) is 0, the one time there is."""
        _, deviation = self.schedule.signal_and_noise(index, x)
        return -deviation * self.network(x)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch; fresh noises are drawn for the global batch, and each rank takes its share."""
        number, images, *_ = Batch.of(batch)
        if self.num_noisings is None:
            size, mine = ranks.batch_share(len(images))
            noise = send(rng.normal(self.seed, "noise", number, (size, *images.shape[1:]))[mine], images.device)
        else:
            if self._noises is None:
                num = len(self.trainer.datamodule.train_images)  # type: ignore[attr-defined]
                self._noises = self.fixed_noises(num, tuple(images.shape[1:])).to(images.device)
            noise = self._noises[batch.members].flatten(0, 1)
            images = images.repeat_interleave(self.num_noisings, dim=0)
        index = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        return self.losses(images, noise, index).mean()

    def fixed_noises(self, num: int, shape: tuple[int, ...]) -> Tensor:
        """The m noises of each of ``num`` training samples of ``shape``, (num, m, \\*shape)."""
        assert self.num_noisings is not None
        return rng.normals(self.seed, "noisings", range(num), (self.num_noisings, *shape))

    def losses(self, images: Tensor, noise: Tensor, index: Tensor) -> Tensor:
        """L_t of each image, (B,)."""
        return noise_prediction_loss(self, images, noise, index, self.schedule)

    def score(self, x_t: Tensor, index: Tensor) -> Tensor:
        """s_A of ``x_t`` (B, \\*)."""
        return score_of(self, x_t, index, self.schedule)

    def columns(self, step: int) -> dict[str, float | None]:
        """``tau``, the paper's time τ = kη/d² of update k = ``step`` of plain SGD; empty for other ways to train."""
        optimizer = self.configure_optimizers()
        if type(optimizer) is not torch.optim.SGD:
            return {"tau": None}
        group = optimizer.param_groups[0]
        clipped = self._trainer is not None and self._trainer.gradient_clip_val
        plain = not (group["momentum"] or group["weight_decay"] or clipped)
        return {"tau": step * group["lr"] / self.network.W.shape[1] ** 2 if plain else None}
