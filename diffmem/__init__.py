"""diffmem: when do diffusion models generalize, and when do they start to memorize?"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["load_run"]


def __getattr__(name: str) -> Any:
    """``load_run`` is imported when it is asked for: the package itself imports nothing heavy."""
    if name == "load_run":
        from diffmem.revisit.reopen import load_run

        return load_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
