"""What all commands share: a mistake of the user ends in one line, and a closed pipe ends the command quietly."""

import argparse
import contextlib
import errno
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from diffmem.errors import EXIT_CLOSED_PIPE, EXIT_CONFIG, EXIT_UNEXPECTED, ConfigError, as_user_error
from diffmem.text import one_line


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the command line in one line, without the usage text; the exit code is 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_CONFIG, f"diffmem: {message}; see {self.prog} --help\n")


def is_full(error: OSError) -> bool:
    """Whether there is no room for a file, which no option mends."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)


@contextlib.contextmanager
def writing(out: Path, expected: str) -> Iterator[None]:
    """Name the option ``--out`` where what it names cannot be written.

    Raises:
        ConfigError: In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise
        raise ConfigError("--out", got=f"{out} ({error.strerror})", expected=expected, remedy="set --out") from error


def require_folder(out: Path) -> None:
    """Refuse an ``--out`` that is no folder to write in and cannot become one, before what is to go there is computed.

    Raises:
        ConfigError: Another kind of file is in the way, or permissions are.
    """
    nearest = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    with writing(out, "a folder to write in"):
        if not nearest.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def add_sampling(parser: argparse.ArgumentParser, num: int, out: Path, out_help: str) -> None:
    """The options of commands that draw samples: ``--num``, ``--seed``, ``--trust`` and ``--out``."""
    parser.add_argument("--num", type=int, default=num, metavar="N", help=f"number of samples (default: {num})")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the starting noise (default: 0)")
    add_trust(parser)
    parser.add_argument("--out", type=Path, default=out, help=f"{out_help} (default: {out})")


def add_trust(parser: argparse.ArgumentParser) -> None:
    """``--trust``, of commands that make objects of a run's config."""
    parser.add_argument(
        "--trust", action="store_true", help="take classes from outside diffmem, torch and lightning, which are code"
    )


def exit_code_of(command: Callable[[], int]) -> int:
    """Exit code of ``command``.

    A user error is printed as one line and has its own code, a closed pipe a shell's 141. What nobody foresaw shows its
    traceback, and has a code that no other end has.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # τ in a locale that has none
    try:
        code = command()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end of the process
        return EXIT_CLOSED_PIPE
    except Exception as error:
        known = as_user_error(error)
        if known is not None:
            print(f"diffmem: {one_line(known)}", file=sys.stderr)
            return known.exit_code
        traceback.print_exc()
        print(f"diffmem: unexpected {type(error).__name__}: {one_line(error)}; see above", file=sys.stderr)
        return EXIT_UNEXPECTED
