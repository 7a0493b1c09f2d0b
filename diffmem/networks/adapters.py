"""Networks of other libraries, called as diffmem calls a network."""

import inspect

from torch import Tensor, nn


class DiffusersNetwork(nn.Module):
    """A UNet of diffusers: its output object unpacked, and its class embeddings as labels.

    Args:
        unet: E.g. ``diffusers.UNet2DModel``. With ``num_class_embeds`` = K + 1 it has K labels, and K stands for none.

    Attributes:
        num_classes: Number K of labels, 0 where the UNet has none.
    """

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.unet = unet
        embeddings = getattr(unet.config, "num_class_embeds", None)
        self.num_classes = embeddings - 1 if embeddings else 0

    def forward(self, x: Tensor, t_B: Tensor, labels_B: Tensor | None = None) -> Tensor:
        """What the UNet makes of images ``x`` (B, C, H, W) at diffusion steps ``t_B`` (B,), of the shape of ``x``."""
        if not self.num_classes:
            return self.unet(x, t_B, return_dict=False)[0]
        labels = t_B.new_full(t_B.shape, self.num_classes) if labels_B is None else labels_B
        return self.unet(x, t_B, class_labels=labels, return_dict=False)[0]


def adapt(network: nn.Module) -> nn.Module:
    """``network`` as diffmem calls it; one that needs no adapter is returned as it is."""
    of_diffusers = any(base.__module__.partition(".")[0] == "diffusers" for base in inspect.getmro(type(network)))
    return DiffusersNetwork(network) if of_diffusers else network
