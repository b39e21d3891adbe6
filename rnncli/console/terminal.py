"""The two streams: results to stdout, everything else to stderr, and whether a person looks on."""

import json
import math
import os
import sys
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from rnncli.console.safe_text import one_line


def stderr_console() -> Console:
    """Knows NO_COLOR, TERM=dumb and the width of the window."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def stdout_console() -> Console:
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def is_live(stream: IO[str]) -> bool:
    """A terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def note(message: str) -> None:
    """One line about what is going on, for a person."""
    stderr_console().print(Text(one_line(message), style="dim"))


def error(message: str, hint: str) -> None:
    """The two lines of every foreseen error: what and where, and what next."""
    console = stderr_console()
    console.print(Text.assemble(("error: ", "bold red"), one_line(message)))
    console.print(Text.assemble(("hint: ", "bold"), one_line(hint)))


def print_json(record: dict[str, Any]) -> None:
    """One object on stdout; what is not a finite number becomes null, since JSON has no NaN."""
    print(json.dumps({key: _jsonable(value) for key, value in record.items()}, allow_nan=False))  # noqa: T201


def _jsonable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _jsonable(inner) for key, inner in value.items()}
    return [_jsonable(inner) for inner in value] if isinstance(value, list | tuple) else value
