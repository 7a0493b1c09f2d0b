"""Errors a user can fix: one line that says what, got, expected, and where to change it."""

import contextlib
import errno
import re
from collections.abc import Iterable, Iterator

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_CONFIG = 2
EXIT_DATA = 3
EXIT_UNEXPECTED = 70
EXIT_SYSTEM = 74
EXIT_REQUEUE = 75
EXIT_INTERRUPTED = 130
EXIT_CLOSED_PIPE = 141

#: What the machine refuses, whatever the program: no room, no permission, a broken disk.
_REFUSALS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
    *(errno.EMFILE, errno.ENFILE),
}


class UserError(ValueError):
    """A mistake outside the program. ``str(error)`` is the one line the user reads.

    Args:
        what: The key, file or quantity that is wrong, e.g. ``"data.n"``.
        got: The value found.
        expected: What would have been right.
        remedy: Where or how to change it.
    """

    exit_code = EXIT_FAILED

    def __init__(self, what: str, *, got: object, expected: str, remedy: str) -> None:
        self.what, self.got, self.expected, self.remedy = what, got, expected, remedy
        super().__init__(f"{what}: got {got}, expected {expected}; {remedy}")


class ConfigError(UserError):
    """A value in the config or on the command line cannot be used (exit code 2)."""

    exit_code = EXIT_CONFIG


class ParameterError(ConfigError):
    """An argument of a function or class that knows no config: it is named as in the signature.

    Args:
        name: The argument.
        got: The value found.
        expected: What would have been right.
        remedy: How to change it; None to say that it is to be changed.
    """

    def __init__(self, name: str, *, got: object, expected: str, remedy: str | None = None) -> None:
        self._own_remedy = remedy
        super().__init__(name, got=got, expected=expected, remedy=remedy or f"change {name}")

    def under(self, group: str, **keys: str) -> ConfigError:
        """The same about the config key ``group.name``, or ``group.`` and what ``keys`` has for the name.

        Without a group it is an option of a command of its own, ``--name`` with hyphens. What a list holds,
        ``group[item].name``, is changed where the list is: ``--group``.
        """
        name = keys.get(self.what, self.what)
        key = f"{group}.{name}" if group else f"--{name.replace('_', '-')}"
        remedy = self._own_remedy or f"set --{key.lstrip('-').partition('[')[0]}"
        return ConfigError(key, got=self.got, expected=self.expected, remedy=remedy)


@contextlib.contextmanager
def parameters_of(group: str = "", **keys: str) -> Iterator[None]:
    """Errors about arguments from a config group, or from options, name these; see :meth:`ParameterError.under`.

    Raises:
        ConfigError: In place of a ParameterError.
    """
    try:
        yield
    except ParameterError as error:
        raise error.under(group, **keys) from error


def require_at_least(least: int, group: str | None = None, **values: float | None) -> None:
    """Refuse a value below ``least`` and NaN; None is not a value.

    Args:
        least: The smallest value allowed.
        group: Config group whose keys these are; None for arguments of a function.
        **values: The values by name.

    Raises:
        ConfigError: The first value that is too small.
    """
    for name, value in values.items():
        if value is not None and not value >= least:  # so that NaN is refused
            error = ParameterError(name, got=value, expected=f"at least {least}")
            raise error.under(group) if group else error


def require_one_of(choices: Iterable[object], name: str, value: object) -> None:
    """Refuse a value that is not among ``choices``.

    Args:
        choices: The values allowed.
        name: The config key, with its group, or the argument of a function.
        value: The value.

    Raises:
        ConfigError: It is not among them.
    """
    if value not in (known := list(choices)):
        group, _, leaf = name.rpartition(".")
        names = ", ".join(str(each) or "''" for each in known)
        error = ParameterError(leaf, got=repr(value), expected=f"one of {names}")
        raise error.under(group) if group else error


class DataError(UserError):
    """A file of the user's is missing, damaged or of the wrong form (exit code 3)."""

    exit_code = EXIT_DATA


class CheckpointError(DataError):
    """No usable checkpoint where one is needed (exit code 3)."""


class MachineError(UserError):
    """The machine did not let a file be written or read: a full disk, a quota, permissions (exit code 74).

    Args:
        error: What the system said.
        path: The file, where ``error`` does not name it.
    """

    exit_code = EXIT_SYSTEM

    def __init__(self, error: OSError, path: object = None) -> None:
        reason = error.strerror or str(error)
        what = path or error.filename or "a file"
        super().__init__(
            str(what),
            got=reason[:1].lower() + reason[1:],
            expected="a disk with room that may be written",
            remedy="mend that and run the same command again",
        )


class MemoryShortageError(UserError):
    """The memory of the machine or of its GPU does not hold what is computed (exit code 74).

    Args:
        error: What Python, numpy or torch said.
    """

    exit_code = EXIT_SYSTEM

    def __init__(self, error: BaseException) -> None:
        found = re.search(r"(?:tried to|unable to) allocate ([\d.]+) (\w+)", str(error), re.IGNORECASE)
        wanted = f" for {float(found[1]):.4g} {found[2]} more" if found else ""
        super().__init__(
            "GPU" if "CUDA" in str(error) else "memory",
            got=f"no room{wanted}",
            expected="room for a batch of images in the network",
            remedy="lower --evaluation.batch_size, --losses.batch_size or --data.batch_size, or take a smaller network",
        )


class DivergenceError(UserError):
    """A loss, a weight or a sample is no longer a number (exit code 1).

    Args:
        step: Number of optimizer updates made.
        got: What was found.
    """

    def __init__(self, step: int, got: str) -> None:
        remedy = "lower --optimizer.lr; no checkpoint was saved since"
        super().__init__(f"step {step}", got=got, expected="finite numbers", remedy=remedy)


def as_user_error(error: BaseException) -> UserError | None:
    """``error`` as one that a user can mend, what the machine refuses among them; None where it is no such thing."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        return MachineError(error)
    without_memory = isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM
    if without_memory or re.search(r"out of memory|can't allocate memory|std::bad_alloc", str(error)):
        return MemoryShortageError(error)
    return None
