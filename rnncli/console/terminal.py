"""Output: results to stdout, everything else to stderr."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from rnncli.events import to_json
from rnncli.safe_text import one_line, visible

# Streamed text is written at most this often, so that a fast model does not wait for the terminal.
_WRITE_INTERVAL_SECONDS = 0.02


def stderr_console() -> Console:
    """Return a console on stderr that respects NO_COLOR, TERM=dumb and the width of the window."""
    return Console(stderr=True, highlight=False, soft_wrap=not is_terminal(sys.stderr))


def stdout_console() -> Console:
    return Console(highlight=False, soft_wrap=not is_terminal(sys.stdout))


def is_terminal(stream: IO[str] | None) -> bool:
    """Return whether a stream is a terminal; a stream that was closed at the start is None."""
    return stream is not None and stream.isatty()


def is_live(stream: IO[str] | None) -> bool:
    """Return whether a stream is a terminal that can move its cursor."""
    return is_terminal(stream) and os.environ.get("TERM") not in ("dumb", "unknown")


class _LogHandler(logging.Handler):
    """Passes the message of each record to `show`."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        self._show(record.getMessage())


def show_log() -> None:
    """Print messages of the logger `rnncli` on stderr, from level INFO on."""
    log = logging.getLogger("rnncli")
    log.handlers = [_LogHandler(_print_remark)]
    log.propagate = False
    log.setLevel(logging.INFO)


@contextmanager
def redirected_log(show: Callable[[str], None]) -> Iterator[None]:
    """Pass messages of the logger `rnncli` to `show` instead, until the end of the block."""
    log = logging.getLogger("rnncli")
    before = log.handlers
    log.handlers = [_LogHandler(show)]
    try:
        yield
    finally:
        log.handlers = before


def _print_remark(message: str) -> None:
    stderr_console().print(Text(one_line(message), style="dim"))


def error(message: str, hint: str) -> None:
    """Print the two lines of a foreseen error on stderr: what happened, and a hint."""
    console = stderr_console()
    console.print(Text.assemble(("error: ", "bold red"), one_line(message)))
    console.print(Text.assemble(("hint: ", "bold"), one_line(hint)))


def print_lines(lines: Iterable[str]) -> None:
    """Print lines on stdout, without control characters."""
    for line in lines:
        print(one_line(line))  # noqa: T201


def print_document(text: str) -> None:
    """Write a text to stdout as it is."""
    sys.stdout.write(text)


def print_json(record: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout."""
    print(to_json(record))  # noqa: T201


def write_stream(pieces: Iterable[str]) -> None:
    """Write a prompt and the pieces that follow it as they come, to stdout."""
    held, shown, last = list[str](), 0.0, ""
    try:
        for piece in pieces:
            held.append(piece)
            last = piece or last
            if time.monotonic() - shown >= _WRITE_INTERVAL_SECONDS:
                now = "".join(held)
                held.clear()  # first: what is shown when Ctrl-C comes is not shown again
                write(now)
                shown = time.monotonic()
    finally:
        write("".join(held))
        if sys.stdout.isatty() and not last.endswith("\n"):
            write("\n")


def write(text: str) -> None:
    """Write to stdout: made safe on a terminal, elsewhere exact UTF-8 with undecodable bytes as they were."""
    write_bytes(text.encode("utf-8", "surrogateescape"))


def write_bytes(data: bytes) -> None:
    """Write UTF-8 bytes to stdout: made safe on a terminal, elsewhere as they are."""
    if sys.stdout.isatty():
        sys.stdout.write(visible(data.decode("utf-8", "replace")))
        sys.stdout.flush()
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
