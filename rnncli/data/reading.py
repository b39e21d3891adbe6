"""Bytes to characters, in blocks: strictly decoded, nothing changed and nothing guessed.

A byte order mark decides the encoding and is dropped; else --encoding does; else it is UTF-8. What does
not decode is an error that says where, and what the encoding may be.
"""

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from rnncli.data.config import ReadConfig
from rnncli.data.decoding import Opened, opened
from rnncli.data.sources import expand, readable_name
from rnncli.errors import CorpusError

# Large enough for numpy and the disk, small enough for any memory.
BLOCK_BYTES = 2**21
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LONGEST_MARK = max(len(mark) for mark, _ in _BYTE_ORDER_MARKS)
# Of fewer bytes, being full of NULs says nothing.
_ENOUGH_TO_TELL = 16
_REPLACING = "rnncli-replace"
# Enough for charset-normalizer to be sure, little enough to take no time.
_SUSPECT_BYTES = 2**16


@dataclass(frozen=True)
class Text:
    """Documents held in memory, one a source: `name` and `encoding` are for people."""

    documents: tuple[str, ...]
    name: str
    encoding: str

    @cached_property
    def content(self) -> str:
        """All of them, with nothing between."""
        return "".join(self.documents)


def read(given: Sequence[str], config: ReadConfig) -> Text:
    """Whole texts, in the order given and with nothing between them; raises CorpusError."""
    sources = expand(given)
    documents, encodings = [], []
    for source in sources:
        with opened(source) as file:
            stream = CharacterStream(file, config)
            documents.append("".join(stream))
            encodings.append(stream.described)
    return Text(tuple(documents), joined_name(sources), ", ".join(dict.fromkeys(encodings)))


def joined_name(sources: Sequence[str]) -> str:
    """ "a.txt", "a.txt, b.txt", or "a.txt and 9 more"."""
    names = [readable_name(source) for source in sources]
    return ", ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1:,} more"


class CharacterStream:
    """The characters of one source, block by block, once; `replaced` counts U+FFFD put for damage.

    `encoding` is the one in use, `mark_bytes` the length of the byte order mark that chose it. Blocks
    are full ones unless `as_it_comes`.
    """

    def __init__(self, file: Opened, config: ReadConfig, as_it_comes: bool = False) -> None:
        self.replaced = 0
        self._file = file
        self._config = config
        self._read = file.read_some if as_it_comes else file.read
        self._first = self._read(BLOCK_BYTES)
        while any(mark != self._first and mark.startswith(self._first) for mark, _ in _BYTE_ORDER_MARKS):
            more = self._read(_LONGEST_MARK - len(self._first))  # what comes as it comes may begin with less
            if not more:
                break
            self._first += more
        self.encoding, self.mark_bytes = self._choose_encoding()
        self._fed_bytes = self.mark_bytes

    @property
    def described(self) -> str:
        """For people: "utf-8", "gb18030, 3 replaced", "utf-8, gzip"."""
        replaced = f"{self.replaced:,} replaced" if self.replaced else None
        return ", ".join(filter(None, (self.encoding, self._file.packing, replaced)))

    def __iter__(self) -> Iterator[str]:
        """Raises CorpusError where the bytes do not decode, or the file changed meanwhile."""
        held = ""  # a \r at the end of a block: whether a \n follows is not known yet
        for text in self._decoded():
            if self._config.newlines == "keep":
                yield text
                continue
            text = held + text
            held = "\r" if text.endswith("\r") else ""
            if text != held:
                yield text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
        if held:
            yield "\n"

    def _decoded(self) -> Iterator[str]:
        decoder = self._decoder()
        block = self._first[self.mark_bytes :] or self._read(BLOCK_BYTES)
        self._first, told = b"", False
        while True:
            self._fed_bytes += len(block)
            if not told and len(block) >= _ENOUGH_TO_TELL:  # what comes as it comes may begin with less
                self._refuse_nulls(block)
                told = True
            try:
                text = decoder.decode(block, final=not block)
                text.encode("utf-8")  # some codecs, such as utf-7, let lone surrogates through
            except UnicodeError as error:
                raise self._undecodable(error) from error
            if text:
                yield text
            if not block:
                self._file.finish()
                return
            block = self._read(BLOCK_BYTES)

    def _choose_encoding(self) -> tuple[str, int]:
        for mark, marked in _BYTE_ORDER_MARKS:
            if self._first.startswith(mark):
                return marked, len(mark)
        return self._config.encoding or "utf-8", 0

    def _refuse_nulls(self, block: bytes) -> None:
        if self._config.encoding is None and not self.mark_bytes and 5 * block.count(0) > len(block):
            raise CorpusError(
                f"{self._file.name} is full of NUL bytes, as UTF-16 without a byte order mark is",
                hint="name its encoding, for example --encoding utf-16-le; if it is right, --encoding utf-8",
            )

    def _decoder(self) -> codecs.IncrementalDecoder:
        def replace(error: UnicodeError) -> tuple[str, int]:
            assert isinstance(error, UnicodeDecodeError)
            self.replaced += 1
            return "\N{REPLACEMENT CHARACTER}", error.end

        codecs.register_error(_REPLACING, replace)
        try:
            "".encode(self.encoding)  # refuses what is a codec but no encoding, such as base64
            make = codecs.getincrementaldecoder(self.encoding)
        except (LookupError, ValueError) as error:  # ValueError: a NUL in the name
            raise CorpusError(
                f"there is no encoding named {self.encoding!r}", hint="for example --encoding gb18030"
            ) from error
        return make(_REPLACING if self._config.errors == "replace" else "strict")

    def _undecodable(self, error: UnicodeError) -> CorpusError:
        name, where, hint = self._file.name, "", "name another encoding with --encoding"
        if isinstance(error, UnicodeDecodeError):
            offset = self._fed_bytes - len(error.object) + error.start
            where = f" at byte offset {offset:,} (0x{error.object[error.start]:02X})"
            likely = likely_encodings(_around(error.object, error.start))
            hint = f"it looks like {' or '.join(likely)}: try --encoding {likely[0]}" if likely else hint
        return CorpusError(
            f"{name} is not valid {self.encoding}{where}",
            hint=hint
            if self._config.errors == "replace"
            else f"{hint}; --errors replace puts U+FFFD for what does not decode",
        )


def likely_encodings(data: bytes) -> list[str]:
    """At most three encodings in which `data`, which may end inside a character, makes sense."""
    # Imported here since only a failure needs it, and it takes a while.
    from charset_normalizer import from_bytes  # noqa: PLC0415

    guessed = [match.encoding.replace("_", "-") for match in from_bytes(data)]
    candidates = dict.fromkeys([*guessed[:2], "gb18030"])
    return [name for name in candidates if name != "utf-8" and _decodes(data, name)]


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(data)
    except (UnicodeError, LookupError):
        return False
    return True


def _around(data: bytes, position: int) -> bytes:
    """The bytes about the place that did not decode, from a line's beginning where there is one near."""
    start = max(0, position - _SUSPECT_BYTES // 2)
    if start:
        start = max(start, data.find(b"\n", start, position) + 1)
    suspect = data[start : start + _SUSPECT_BYTES]
    if len(suspect) == _SUSPECT_BYTES and 0 not in suspect:
        # Cut inside a character, it would be none of the encodings of many bytes a character.
        suspect = suspect[: suspect.rfind(b"\n") + 1] or suspect
    return suspect
