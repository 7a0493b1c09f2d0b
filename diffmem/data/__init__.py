"""Training subsets of n images, held-out sets, and step-addressed batches."""

from diffmem.data.digits import Digits
from diffmem.data.gaussian import Gaussian, GaussianDigits, SymmetricMixture
from diffmem.data.images import ImageData
from diffmem.data.mnist import MNIST
from diffmem.data.patches import Patches
from diffmem.data.prepared import CelebA, PreparedImages
from diffmem.data.subset import Batch

__all__ = [
    "MNIST",
    "Batch",
    "CelebA",
    "Digits",
    "Gaussian",
    "GaussianDigits",
    "ImageData",
    "Patches",
    "PreparedImages",
    "SymmetricMixture",
]
