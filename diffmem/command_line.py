"""What all commands share: a mistake of the user ends in one line, and a closed pipe ends the command quietly."""

import argparse
import io
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from diffmem.errors import EXIT_CLOSED_PIPE, EXIT_CONFIG, EXIT_UNEXPECTED, as_user_error
from diffmem.text import one_line


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the command line in one line, without the usage text; the exit code is 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_CONFIG, f"diffmem: {message}; see {self.prog} --help\n")


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
