"""The two streams: results to stdout, everything else to stderr, and whether a person looks on."""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from rnncli.events import to_json
from rnncli.safe_text import one_line


def stderr_console() -> Console:
    """Knows NO_COLOR, TERM=dumb and the width of the window."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def stdout_console() -> Console:
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def is_live(stream: IO[str]) -> bool:
    """A terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


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
    log.handlers = [_LogHandler(_print_note)]
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


def _print_note(message: str) -> None:
    stderr_console().print(Text(one_line(message), style="dim"))


def error(message: str, hint: str) -> None:
    """The two lines of every foreseen error: what and where, and what next."""
    console = stderr_console()
    console.print(Text.assemble(("error: ", "bold red"), one_line(message)))
    console.print(Text.assemble(("hint: ", "bold"), one_line(hint)))


def print_lines(lines: Iterable[str]) -> None:
    """Results that are sentences."""
    for line in lines:
        print(one_line(line))  # noqa: T201


def print_document(text: str) -> None:
    """A page as it is."""
    sys.stdout.write(text)


def print_json(record: Mapping[str, Any]) -> None:
    """One object on stdout."""
    print(to_json(record))  # noqa: T201
