"""Training subsets of n images, held-out sets, and step-addressed batches."""

from diffmem.data.digits import Digits
from diffmem.data.images import Batch, ImageData

__all__ = ["Batch", "Digits", "ImageData"]
