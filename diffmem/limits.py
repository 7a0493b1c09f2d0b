"""What no machine can hold or finish is refused before a run begins."""

import math
import os

from diffmem.errors import ParameterError

#: Most images through the network for one row of a table: three hours at a million a second.
MOST_CALLS = 10**10


def require_memory(
    name: str, value: object, num_bytes: float, group: str | None = None, remedy: str | None = None
) -> None:
    """Refuse a value that needs more memory than the machine has, whatever else a run holds.

    Args:
        name: The config key without its group, or the argument of a function.
        value: Its value.
        num_bytes: Bytes that one process holds at least because of it.
        group: Config group of the key; None for an argument of a function.
        remedy: What to do instead; None to say that the value is to be lowered.

    Raises:
        ConfigError: ``num_bytes`` is more than the machine's memory.
    """
    room = _machine_bytes()
    if num_bytes > room:
        got = f"{value}, which takes at least {num_bytes / 2**30:,.0f} GiB of memory"
        _refuse(name, got, f"less than the {room / 2**30:,.0f} GiB of this machine", group, remedy)


def require_calls(name: str, value: object, num_images: float, group: str | None = None) -> None:
    """Refuse a value for which a row of a table would not come in days; arguments as in :func:`require_memory`.

    Args:
        name: The config key without its group, or the argument of a function.
        value: Its value.
        num_images: Images through the network for one row, over all ranks, an image at each of its steps.
        group: Config group of the key; None for an argument of a function.

    Raises:
        ConfigError: ``num_images`` is more than ``MOST_CALLS``.
    """
    if num_images > MOST_CALLS:
        got = f"{value}, which sends {num_images:.3g} images through the network for each row"
        _refuse(name, got, f"at most {MOST_CALLS:.0e}", group)


def _refuse(name: str, got: str, expected: str, group: str | None, remedy: str | None = None) -> None:
    if remedy is None and group is not None:
        remedy = f"lower --{group}.{name}"
    error = ParameterError(name, got=got, expected=expected, remedy=remedy)
    raise error.under(group) if group else error


def _machine_bytes() -> float:
    """Memory of this machine; without end where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return math.inf
