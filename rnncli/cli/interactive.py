"""`rnncli generate --interactive`: a person and a model write in turns."""

import logging
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from types import FrameType

from rnncli import runtime
from rnncli.cli import writing
from rnncli.console import terminal
from rnncli.data.tokenizers.base import Tokenizer
from rnncli.errors import ConfigError, GenerationError, RnncliError
from rnncli.generation.interactive import Conversation
from rnncli.workflows.prompts import name_unseen

_log = logging.getLogger(__name__)
_HELP = """what you write goes before what the model writes; nothing lets it go on. Besides:
/again       another text instead of the last
/temp 0.7    the temperature from now on; also /length 200, /seed 1
/forget      as if nothing had been said
/help  /quit (or {end}); Ctrl-C stops a text"""


def converse(conversation: Conversation, tokenizer: Tokenizer) -> None:
    """Read lines from stdin and answer each, to the end of the input or /quit; raises GenerationError."""
    if sys.stdin is None:
        raise GenerationError("stdin is closed", hint="say something through it")
    if sys.stdin.isatty():
        with suppress(ImportError):  # lines are edited and remembered where there is readline
            import readline  # noqa: F401
        _help()
    while (line := _line()) is not None:
        command, _, value = line[1:].partition(" ") if line.startswith("/") else ("", "", "")
        if command == "quit":
            return
        try:
            if not command:
                name_unseen(tokenizer, line)
                _answer(conversation, line)
            elif command == "again":
                _answer(conversation, None)
            elif command == "forget":
                conversation.forget()
            elif command in ("temp", "temperature", "length", "seed"):
                _set(conversation, command, value)
            else:
                _help()
        except RnncliError as error:
            terminal.error(str(error), error.hint)


def _help() -> None:
    for line in _HELP.format(end=runtime.END_OF_INPUT).splitlines():
        _log.info(line)


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
            except UnicodeDecodeError as error:
                raise GenerationError("what was said is not valid UTF-8", hint="say it in UTF-8") from error
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
    """Raises ConfigError where it is no number, or out of bounds."""
    try:
        number = float(value) if name.startswith("temp") else int(value)
    except ValueError as error:
        raise ConfigError(
            f"/{name} needs a number, not {value!r}", hint="for example /temp 0.7 or /length 200"
        ) from error
    if name == "length":
        conversation.limits = replace(conversation.limits, tokens=int(number))
    elif name == "seed":
        conversation.begin_seed(int(number))
    else:
        conversation.sampling = replace(conversation.sampling, temperature=number)
