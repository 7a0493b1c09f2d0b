"""Errors a user can fix: one line that says what, got, expected, and where to change it."""

from collections.abc import Iterable

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_CONFIG = 2
EXIT_DATA = 3
EXIT_UNEXPECTED = 70
EXIT_SYSTEM = 74
EXIT_REQUEUE = 75
EXIT_INTERRUPTED = 130
EXIT_CLOSED_PIPE = 141


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


def require_at_least(least: int, group: str, **values: int | None) -> None:
    """Refuse a value of the config key ``group.name`` that is below ``least``; None is not a value.

    Raises:
        ConfigError: The first such key.
    """
    for name, value in values.items():
        if value is not None and value < least:
            key = f"{group}.{name}"
            raise ConfigError(key, got=value, expected=f"at least {least}", remedy=f"set --{key}")


def require_one_of(choices: Iterable[object], key: str, value: object) -> None:
    """Refuse a value of the config key ``key`` that is not among ``choices``.

    Raises:
        ConfigError: It is not.
    """
    if value not in (known := list(choices)):
        raise ConfigError(key, got=repr(value), expected=f"one of {', '.join(map(str, known))}", remedy=f"set --{key}")


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


class DivergenceError(UserError):
    """A loss, a weight or a sample is no longer a number (exit code 1).

    Args:
        step: Number of optimizer updates made.
        got: What was found.
    """

    def __init__(self, step: int, got: str) -> None:
        remedy = "lower --optimizer.lr; no checkpoint was saved since"
        super().__init__(f"step {step}", got=got, expected="finite numbers", remedy=remedy)
