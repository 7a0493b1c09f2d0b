"""LightningModules."""

from diffmem.models.ddpm import DDPM
from diffmem.models.random_features import RandomFeatures

__all__ = ["DDPM", "RandomFeatures"]
