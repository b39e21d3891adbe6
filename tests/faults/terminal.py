"""Hostile strings, a terminal, and whether what commands show there would be obeyed."""

import os
import random
import re
import string
import sys
import termios
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rnncli.__main__ import main
from rnncli.training import trainer
from tests.faults.conftest import ended
from tests.processor import ON_PROCESSOR

# Half a character, the last, is what does not decode. Of ESC the sequences that rnncli sends itself are none.
FOREIGN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
# So wide that hardly any markup is cut in two by the end of a line.
ROWS, COLUMNS = 50, 20_000
ENVIRONMENT = {"LANG": "C.UTF-8", "TERM": "xterm", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
# After everything that a command has written.
MARK = b"<that was all>\r\n"
# So many strings stand together in one argument; it may have 128 kB.
TOGETHER = 2500

WORDS = ("the", "rain", "lamp", "is", "Straße", "雨", "下雨了", "学而时习之", "\N{GRINNING FACE}", "a\u200db")
MARKUP = (
    *("[bold]", "[red]x[/red]", "[/]", "[/nope]", "[reverse", "[link=x:y]z[/link]", "[@click=f]z[/]"),
    *(":smiley:", ":warning:", "[#ff0000]"),
)
LIVE = (
    # CSI: colours, clearing, the cursor, the other screen, questions that a terminal answers by typing
    *("\x1b[95;44m", "\x1b[38;5;9m", "\x1b[8m", "\x1b[3J", "\x1b[7;7H", "\x1b[?1049h", "\x1b[6n", "\x1b[21t"),
    # OSC: the clipboard, a title, a link, notifications, a file; with either end
    *("\x1b]52;c;aGk=\x07", "\x1b]52;c;aGk=\x1b\\", "\x1b]0;title\x07", "\x1b]2;title\x1b\\"),
    *("\x1b]8;;x:y\x1b\\link\x1b]8;;\x1b\\", "\x1b]777;notify;a;b\x07", "\x1b]1337;File=inline=1:aGk=\x07"),
    # DCS, PM, APC, a reset, another alphabet, and an ESC that waits for what follows
    *("\x1bP$qm\x1b\\", "\x1bP+q544e\x1b\\", "\x1b^x\x1b\\", "\x1b_Gx\x1b\\", "\x1bc", "\x1b(0", "\x1b"),
    # the same without an ESC
    *("\x9b91m", "\x9d52;c;aGk=\x9c", "\x90$qm\x9c", "\x9b3J"),
    *(chr(point) for point in (*range(9), *range(11, 32), *range(0x7F, 0xA0))),
    *(chr(point) for point in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))),
    *("\b\b\brm", "x\rerror: no", "\x7f\x7f"),
)
UNDECODABLE = os.fsdecode(b"\x9b\xff")


def at_a_terminal(
    folder: Path,
    given: Sequence[Sequence[str]],
    typed: Sequence[str] = (),
    stdin: Path | None = None,
    **variables: str,
) -> Iterator[str]:
    """What each command writes to a terminal, one after another; a line is `typed` whenever one is asked for.

    They run in one process, which has imported everything already.
    """
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (ROWS, COLUMNS))
    process = os.fork()
    if not process:
        try:
            os.close(ours)  # so that it hears when nobody looks on any more
            os.login_tty(theirs)
            if stdin is not None:
                os.dup2(os.open(stdin, os.O_RDONLY), 0)
            os.environ.clear()
            os.environ.update(ENVIRONMENT | ON_PROCESSOR | variables)
            os.chdir(folder)
            run_each(given)
        finally:
            os._exit(0)
    os.close(theirs)
    shown, lines, number = bytearray(), list(typed), 0
    while True:
        try:
            read = os.read(ours, 65_536)
        except OSError:  # the other end is closed
            break
        shown += read
        if MARK in shown[-len(read) - len(MARK) :]:
            *whole, shown = shown.split(MARK)
            number += len(whole)
            yield from (text.decode("utf-8", "surrogateescape") for text in whole)
        if lines and shown.endswith(b"> "):
            os.write(ours, lines.pop(0).encode() + b"\n")
    os.close(ours)
    assert ended(process) == 0
    assert (number, bytes(shown)) == (len(given), b"")


def run_each(given: Sequence[Sequence[str]]) -> None:
    """As the interpreter would begin and end them."""
    sys.stdin = os.fdopen(0, encoding="utf-8")
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    trainer.REPORT_SECONDS = 0.0  # there is a bar, however short the training
    for arguments in given:
        sys.argv = ["rnncli", *arguments]
        try:
            main()
        except SystemExit:
            pass
        except Exception:
            traceback.print_exc()
        sys.stdout.flush()
        os.write(1, MARK.replace(b"\r", b""))


class Campaign:
    """Commands with hostile strings, and what is wrong with what they show."""

    def __init__(self, own: set[str]) -> None:
        self._own = re.compile("|".join(re.escape(sequence) for sequence in sorted(own, key=len)[::-1]))
        self._commands = self._foreign_bytes = 0
        self._wrong: list[str] = []

    def run(
        self,
        folder: Path,
        said: str,
        named: Sequence[Sequence[str]],
        unnamed: Sequence[Sequence[str]] = (),
        **terminal: Any,
    ) -> None:
        """The markup in what is `said` stands in the output of a command as it was, where that is `named`."""
        given = [*named, *unnamed]
        for number, shown in enumerate(at_a_terminal(folder, given, **terminal)):
            what = [argument[:40] for argument in given[number]]
            markup = [markup for markup in MARKUP if markup in said] if number < len(named) else []
            self._wrong += [ascii((*what, mismatches)) for mismatches in self._judged(shown, markup)]

    def _judged(self, shown: str, markup: Sequence[str]) -> Iterator[str]:
        shown = self._own.sub("", shown)
        foreign = list(FOREIGN.finditer(shown))
        self._commands += 1
        self._foreign_bytes += sum(len(found[0].encode("utf-8", "surrogateescape")) for found in foreign)
        for found in foreign[:1]:
            yield shown[max(found.start() - 40, 0) : found.end() + 10]
        if "Traceback" in shown:
            yield shown[shown.index("Traceback") :][-400:]
        missing = [part for part in markup if part not in shown]
        if missing:
            yield f"without {' '.join(missing)}"

    def end(self, strings: int, figure: Callable[[str], None]) -> None:
        figure(f"{strings:,} strings in {self._commands:,} commands: {self._foreign_bytes:,} foreign bytes")
        assert not self._wrong, "\n".join(self._wrong)


def hostile_strings(number: int) -> list[str]:
    """The same ones every time; each begins with a letter and has something to obey."""
    rng, found = random.Random(0), []
    for _ in range(number):
        pieces = [rng.choice(LIVE), *(rng.choice(rng.choice((WORDS, MARKUP, LIVE))) for _ in range(5))]
        rng.shuffle(pieces)
        found.append(rng.choice(string.ascii_letters) + rng.choice(("", " ")).join(pieces))
    return found


def together(strings: Sequence[str]) -> Iterator[str]:
    """As many at once as an argument can hold."""
    for first in range(0, len(strings), TOGETHER):
        yield " ".join(strings[first : first + TOGETHER])


def as_name(said: str) -> str:
    """Of a file or a folder."""
    return said.translate({0: None, ord("/"): None}).encode()[:120].decode(errors="ignore")


def as_toml(said: str) -> str:
    escaped = (character if character.isalnum() else f"\\U{ord(character):08x}" for character in said)
    return f'"{"".join(escaped)}"'


def as_word(said: str) -> str:
    """Without white space, some of which are controls."""
    return "".join(said.split())
