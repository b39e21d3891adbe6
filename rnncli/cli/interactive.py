"""`rnncli generate --interactive`: the loop and the commands of interactive mode."""

import logging
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from types import FrameType

from rnncli import runtime
from rnncli.console import terminal
from rnncli.errors import ConfigError, GenerationError, RnncliError
from rnncli.generation.interactive import InteractiveSession

_log = logging.getLogger(__name__)
_HELP = """Type a line, and the model continues it; press Enter on an empty line to continue the text.
/again       generate another text in place of the last
/temp 0.7    set the temperature; also /length 200, /seed 1
/reset       reset the hidden state and start over
/help  /quit (or {end}); Ctrl-C stops a text"""


def converse(session: InteractiveSession) -> None:
    """Read lines from stdin and reply to each, until the end of the input or /quit.

    Raises:
        GenerationError: stdin is closed or not UTF-8.
    """
    if sys.stdin is None:
        raise GenerationError("stdin is closed", hint="open stdin to type lines")
    if sys.stdin.isatty():
        with suppress(ImportError):  # readline, where there is one, adds line editing and a history
            import readline  # noqa: F401
        _help()
    while (line := _read_line()) is not None:
        command, _, value = line[1:].partition(" ") if line.startswith("/") else ("", "", "")
        if command == "quit":
            return
        try:
            if not command:
                _reply(session, line)
            elif command == "again":
                _reply(session, None)
            elif command == "reset":
                session.reset()
            elif command in ("temp", "temperature", "length", "seed"):
                _set(session, command, value)
            else:
                _help()
        except RnncliError as error:
            terminal.error(str(error), error.hint)


def _help() -> None:
    for line in _HELP.format(end=runtime.END_OF_INPUT).splitlines():
        _log.info(line)


def _read_line() -> str | None:
    """A line without its end, None at the end of the input; Ctrl-C discards the line."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        while True:
            try:
                return input("> " if sys.stdin.isatty() and sys.stdout.isatty() else "")
            except KeyboardInterrupt:
                terminal.write("\n")
            except EOFError:
                return None
            except UnicodeDecodeError as error:
                raise GenerationError("stdin is not valid UTF-8", hint="type or pipe UTF-8 text") from error
    finally:
        signal.signal(signal.SIGINT, before)


def _reply(session: InteractiveSession, text: str | None) -> None:
    """Write the reply to a text, or another one to the last text; Ctrl-C stops the reply only."""

    def stop(number: int, frame: FrameType | None) -> None:
        session.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        terminal.write_stream(session.again() if text is None else session.reply(text))
        if not sys.stdout.isatty():
            terminal.write("\n")
    finally:
        signal.signal(signal.SIGINT, before)


def _set(session: InteractiveSession, name: str, value: str) -> None:
    """Change an option; raises ConfigError if the value is not a number or out of range."""
    try:
        number = float(value) if name.startswith("temp") else int(value)
    except ValueError as error:
        raise ConfigError(
            f"/{name} needs a number, not {value!r}", hint="for example /temp 0.7 or /length 200"
        ) from error
    generator = session.generator
    if name == "length":
        session.generator = replace(generator, stopping=replace(generator.stopping, length=int(number)))
    elif name == "seed":
        session.restart_seed(int(number))
    else:
        session.generator = replace(generator, sampling=replace(generator.sampling, temperature=number))
