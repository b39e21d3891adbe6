"""Run a function with a deadline in a thread; if it hangs, the process can end all the same.

Standard library only.
"""

import atexit
import contextvars
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")


# Threads that have not been seen to end: native code that is still running when Python exits may abort the
# process.
_running: list[threading.Thread] = []


_SLICE_SECONDS, _GRACE_SECONDS = 0.1, 2.0


def within(seconds: float, work: Callable[[], Result]) -> Result:
    """Return work(), run in a thread of its own.

    Python cannot stop a thread that hangs: it stays behind, and `leave` ends the process all the same.

    Args:
        seconds: Deadline.
        work: Function to call; its exceptions are raised here.

    Raises:
        TimeoutError: The work has not ended within `seconds`.
    """
    results: list[Result] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # raised in the waiting thread
            errors.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True)
    _running.append(thread)
    thread.start()
    deadline = time.monotonic() + seconds
    while thread.is_alive() and time.monotonic() < deadline:
        thread.join(_SLICE_SECONDS)  # on Windows, Ctrl-C does not interrupt a longer wait
    if thread.is_alive():
        raise TimeoutError
    _running.remove(thread)
    if errors:
        raise errors[0]
    return results[0]


@atexit.register
def let_threads_end() -> None:
    """Wait up to two seconds for threads that were only slow when they were left, as by Ctrl-C."""
    deadline = time.monotonic() + _GRACE_SECONDS
    for thread in _running:
        thread.join(max(deadline - time.monotonic(), 0.0))


def leave(code: int) -> None:
    """End the process with an exit code if a thread hangs in it; otherwise return, for a normal exit."""
    let_threads_end()
    if any(thread.is_alive() for thread in _running):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):  # closed, or its reader is gone
                stream.flush()
        os._exit(code)
