"""Requests to stop: SIGUSR1, a scheduler's warning before the time limit; SIGTERM, a preemption; SIGINT, Ctrl-C.

They only set a flag, which the run checks wherever it can stop cleanly. The signals are blocked in every thread and
received by one that waits for them: so none is lost while packages are imported, and no handler that a library installs
later, Lightning's included (it calls a collective on one rank alone), ever runs. A second Ctrl-C ends the process at
once; files are whole or absent at any moment.
"""

import os
import signal
import sys
import threading

from diffmem.errors import EXIT_INTERRUPTED

_SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
_received: set[int] = set()


class StopRequested(Exception):  # noqa: N818
    """The run stops because it was asked to; raised on every rank at the same point.

    Attributes:
        requeue: Whether the run is to put its own job back in the queue. A scheduler that sends SIGTERM has decided
            on that itself, and so has a person.
    """

    def __init__(self, requeue: bool) -> None:
        self.requeue = requeue
        super().__init__("asked to stop by a signal")


def listen() -> None:
    """Take note of the signals from now on. Call it in the main thread before any import that starts threads."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    threading.Thread(target=_wait, name="signals", daemon=True).start()


def _wait() -> None:
    while True:
        received = signal.sigwait(_SIGNALS)
        if received == signal.SIGINT:
            if received in _received:
                os._exit(EXIT_INTERRUPTED)
            print("\nstopping and saving; Ctrl-C again to end at once", file=sys.stderr, flush=True)
        _received.add(received)


def stop_requested() -> bool:
    """Whether this process has received one of the signals."""
    return bool(_received)


def requeue_requested() -> bool:
    """Whether one of them was SIGUSR1."""
    return signal.SIGUSR1 in _received
