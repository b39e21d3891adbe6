"""Signal handlers, before there is anything to save and during training."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Never

from rnncli.runtime import BROKEN_PIPE, SAVING, STOPPING

if TYPE_CHECKING:
    from rnncli.workflows.training_session import StopRequest


def leave_on_signals() -> None:
    """Until there is something to save, exit at once on a signal to stop, and ignore SIGUSR1.

    A signal that the parent process made this one ignore, as nohup does, stays ignored.
    """

    def leave(number: int, frame: FrameType | None) -> Never:
        raise SystemExit(128 + number)

    for number in STOPPING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, leave)
    for number in SAVING:
        signal.signal(number, signal.SIG_IGN)
    for number in BROKEN_PIPE:
        signal.signal(number, signal.SIG_DFL)  # a closed pipe ends this process quietly


@contextmanager
def signal_requests() -> "Iterator[StopRequest]":
    """Turn signals into requests: the first one asks the training to save and stop, SIGUSR1 asks it to save.

    A second signal exits at once. SIGPIPE is ignored: a reader of the output that goes away must not end a
    training.
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
