"""LightningModules."""

from diffmem.models.ddpm import DDPM

__all__ = ["DDPM"]
