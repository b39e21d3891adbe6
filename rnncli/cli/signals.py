"""Signals: what each does before there is anything to save, and while there is."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Never

from rnncli.runtime import BROKEN_PIPE, SAVING, STOPPING

if TYPE_CHECKING:
    from rnncli.workflows.training_session import StopRequest


def leave_on_signals() -> None:
    """Until there is something to save, leave at once; what asks for a save has no meaning yet (SIGUSR1).

    A signal that our parent has us ignore, as nohup does, stays ignored.
    """

    def leave(number: int, frame: FrameType | None) -> Never:
        raise SystemExit(128 + number)

    for number in STOPPING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, leave)
    for number in SAVING:
        signal.signal(number, signal.SIG_IGN)
    for number in BROKEN_PIPE:
        signal.signal(number, signal.SIG_DFL)  # a reader that has enough ends us quietly


@contextmanager
def signal_requests() -> "Iterator[StopRequest]":
    """What asks to stop is noted instead of obeyed, and a second time leaves at once; SIGUSR1 asks to save.

    A reader of our output that goes away (SIGPIPE) must not end a training either.
    """
    from rnncli.workflows.training_session import StopRequest  # imports torch

    request = StopRequest()

    def stop(number: int, frame: FrameType | None) -> None:
        if request.signal:
            raise SystemExit(128 + number)
        request.signal = number

    def save(number: int, frame: FrameType | None) -> None:
        request.save = True

    handlers = dict.fromkeys(STOPPING, stop) | dict.fromkeys(SAVING, save)
    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        if number in SAVING or signal.getsignal(number) != signal.SIG_IGN
    }
    for number in BROKEN_PIPE:
        before[number] = signal.signal(number, signal.SIG_IGN)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
