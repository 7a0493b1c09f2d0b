"""Plain torch modules, without a word about training."""

from diffmem.networks.mlp import ResidualMLP
from diffmem.networks.unet import UNet

__all__ = ["ResidualMLP", "UNet"]
