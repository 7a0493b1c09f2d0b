"""The digits model on a network of plain PyTorch, as a class of the user's own."""

from benchmarks.reference import PlainUNet, copy_weights

from diffmem.models import DDPM
from diffmem.networks import UNet


class PlainDDPM(DDPM):
    """The digits model on a network of plain PyTorch, from the same weights."""

    def __init__(self, network: UNet, seed: int = 0) -> None:
        super().__init__(network, seed=seed)
        self.network = copy_weights(network, PlainUNet(16, (1, 2), (False, True), dropout=0.0))
