"""`rnncli generate --interactive`: a person and a model write in turns."""

import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import FrameType

from rnncli.cli import writing
from rnncli.errors import RnncliError
from rnncli.inference.conversation import Conversation

_HELP = """what you write goes before what the model writes; nothing lets it go on. Besides:
/again       another text instead of the last
/temp 0.7    the temperature from now on; also /length 200, /seed 1
/forget      as if nothing had been said
/help  /quit (or Ctrl-D); Ctrl-C stops a text"""


def converse(conversation: Conversation, note: Callable[[str], None]) -> None:
    """Read lines from stdin and answer each, to the end of the input or /quit."""
    if sys.stdin.isatty():
        with suppress(ImportError):  # lines are edited and remembered where there is readline
            import readline  # noqa: F401
        _help(note)
    while (line := _line()) is not None:
        command, _, value = line[1:].partition(" ") if line.startswith("/") else ("", "", "")
        if command == "quit":
            return
        try:
            if not command:
                _answer(conversation, line)
            elif command == "again":
                _answer(conversation, None)
            elif command == "forget":
                conversation.forget()
            elif command in ("temp", "temperature", "length", "seed"):
                _set(conversation, command, value)
            else:
                _help(note)
        except RnncliError as error:
            note(f"{error}; {error.hint}")
        except ValueError:
            note(f"/{command} needs a number, not {value!r}")


def _help(note: Callable[[str], None]) -> None:
    for line in _HELP.splitlines():
        note(line)


def _line() -> str | None:
    """A line without its end, None at the end of the input; Ctrl-C begins it anew."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        while True:
            try:
                return input("> " if sys.stdin.isatty() and sys.stdout.isatty() else "")
            except KeyboardInterrupt:
                writing.write("\n")
            except EOFError:
                return None
    finally:
        signal.signal(signal.SIGINT, before)


def _answer(conversation: Conversation, text: str | None) -> None:
    """What follows a text, or another answer to the last; Ctrl-C stops it and not the program."""

    def stop(number: int, frame: FrameType | None) -> None:
        conversation.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        pieces = conversation.again() if text is None else conversation.say(text)
        writing.stream("", pieces)
        if not sys.stdout.isatty():
            writing.write("\n")
    finally:
        signal.signal(signal.SIGINT, before)


def _set(conversation: Conversation, name: str, value: str) -> None:
    """Raises ValueError where it is no number, ConfigError where it is out of bounds."""
    if name == "length":
        conversation.limits = replace(conversation.limits, tokens=max(int(value), 0))
    elif name == "seed":
        conversation.begin_seed(int(value))
    else:
        conversation.sampling = replace(conversation.sampling, temperature=float(value))
