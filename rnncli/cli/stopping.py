"""Signals: what each does before there is anything to save, and while there is."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Never

from rnncli.runtime import BROKEN_PIPE, SAVING, STOPPING


@dataclass
class Requests:
    """`signal` is the number of the one that asked to stop, 0 while none has; `save`: one asked to save."""

    signal: int = 0
    save: bool = False


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
def noted_requests() -> Iterator[Requests]:
    """What asks to stop is noted instead of obeyed, and a second time leaves at once; SIGUSR1 asks to save.

    A reader of our output that goes away (SIGPIPE) must not end a training either.
    """
    requests = Requests()

    def stop(number: int, frame: FrameType | None) -> None:
        if requests.signal:
            raise SystemExit(128 + number)
        requests.signal = number

    def save(number: int, frame: FrameType | None) -> None:
        requests.save = True

    handlers = dict.fromkeys(STOPPING, stop) | dict.fromkeys(SAVING, save)
    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        if number in SAVING or signal.getsignal(number) != signal.SIG_IGN
    }
    for number in BROKEN_PIPE:
        before[number] = signal.signal(number, signal.SIG_IGN)
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
