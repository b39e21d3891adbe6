"""Bytes to characters: files and stdin, strictly decoded, nothing changed and nothing guessed."""

import codecs
import hashlib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rnncli.errors import CorpusError

STDIN = "-"
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class TextCounts(NamedTuple):
    """Sizes of a text in units that no tokenizer can change; words are runs between white space."""

    characters: int
    words: int
    bytes: int


@dataclass(frozen=True)
class Text:
    """A text as read: `name` for people, the SHA-256 of the bytes, the encoding that was used."""

    content: str
    name: str
    sha256: str
    encoding: str


def count(text: str) -> TextCounts:
    """Characters are Unicode code points; bytes are those of UTF-8, whatever the file used."""
    words = sum(1 for _ in re.finditer(r"\S+", text))
    return TextCounts(len(text), words, len(text.encode("utf-8")))


def read(sources: Sequence[str], encoding: str | None = None) -> Text:
    """Read files, in the order given and with nothing between them; "-" is stdin.

    A byte order mark decides the encoding and is dropped; else `encoding`; else strict UTF-8.
    Raises CorpusError when a source cannot be opened or decoded.
    """
    digest = hashlib.sha256()
    parts, encodings = [], []
    for source in sources:
        data = _read_bytes(source)
        digest.update(data)
        content, used = _decode(data, encoding, _name(source))
        parts.append(content)
        encodings.append(used)
    return Text(
        content="".join(parts),
        name=", ".join(_name(source) for source in sources),
        sha256=digest.hexdigest(),
        encoding=", ".join(dict.fromkeys(encodings)),
    )


def _name(source: str) -> str:
    """For people: a name whose bytes are no UTF-8 comes out with escapes instead of half characters."""
    if source == STDIN:
        return "stdin"
    return os.fsencode(Path(source).name).decode("utf-8", "backslashreplace")


def _read_bytes(source: str) -> bytes:
    if source == STDIN:
        if sys.stdin is None:
            raise CorpusError("stdin is closed", hint="pipe a text into it, or name a file")
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except IsADirectoryError as error:
        raise CorpusError(
            f"{source} is a folder",
            hint="name a text file; a token store, made by rnncli tokenize, goes to rnncli train alone",
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise CorpusError(
            f"cannot read {source}: {reason}", hint="check the name and its permissions"
        ) from error


def _decode(data: bytes, encoding: str | None, name: str) -> tuple[str, str]:
    used, start = encoding or "utf-8", 0
    for mark, marked in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            used, start = marked, len(mark)
            break
    try:
        content = data[start:].decode(used)
        content.encode("utf-8")  # some codecs, such as utf-7, let lone surrogates through
    except LookupError as error:
        raise CorpusError(
            f"there is no encoding named {used!r}", hint="for example --encoding gb18030"
        ) from error
    except UnicodeError as error:
        where = f" at byte offset {start + error.start:,}" if isinstance(error, UnicodeDecodeError) else ""
        raise CorpusError(
            f"{name} is not valid {used}{where}",
            hint="name its encoding, for example --encoding gb18030, big5, utf-16 or latin-1",
        ) from error
    if used == "utf-8" and encoding is None and 5 * content.count("\0") > len(content):
        raise CorpusError(
            f"{name} is full of NUL characters, as UTF-16 without a byte order mark is",
            hint="name its encoding, for example --encoding utf-16-le; if it is right, --encoding utf-8",
        )
    return content, used
