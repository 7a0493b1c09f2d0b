"""diffmem: when do diffusion models generalize, and when do they start to memorize?"""

__version__ = "0.1.0"
