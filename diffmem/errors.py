"""Errors a user can mend: one line that says what, got, expected, and where to change it."""

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_CONFIG = 2
EXIT_DATA = 3
EXIT_REQUEUE = 75


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


class DataError(UserError):
    """A file of the user's is missing, damaged or of the wrong form (exit code 3)."""

    exit_code = EXIT_DATA


class CheckpointError(DataError):
    """No usable checkpoint where one is needed (exit code 3)."""


class DivergenceError(UserError):
    """A loss, a weight or a sample is no longer a number (exit code 1).

    Args:
        step: Number of optimizer updates made.
        got: What was found.
    """

    def __init__(self, step: int, got: str) -> None:
        remedy = "lower --optimizer.lr; the last checkpoint is from before"
        super().__init__(f"step {step}", got=got, expected="finite numbers", remedy=remedy)
