"""What all commands share: a mistake ends in one line, and a reader that has seen enough is no mistake."""

import argparse
import io
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from diffmem.errors import EXIT_CLOSED_PIPE, EXIT_CONFIG, UserError


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the command line in one line, without the usage text; the exit code is 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_CONFIG, f"diffmem: {message}; see {self.prog} --help\n")


def exit_code_of(command: Callable[[], int]) -> int:
    """Exit code of ``command``; a user error is printed as one line and has its own, a closed pipe a shell's 141."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # τ in a locale that has none
    try:
        code = command()
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"diffmem: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end of the process
        return EXIT_CLOSED_PIPE
