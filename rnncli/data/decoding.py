"""Decoding bytes to characters, block by block, strictly and without guessing.

The encoding is that of a byte order mark, which is removed; else --encoding; else UTF-8. Bytes that do not
decode are an error that states where they are and which encoding the text may have.
"""

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from rnncli.data.compression import SourceFile, open_source
from rnncli.data.config import ReadOptions
from rnncli.data.sources import expand_sources, readable_name
from rnncli.errors import CorpusError, OptionError

# Large enough for NumPy and the disk, small enough for any memory.
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
# With fewer bytes than this, a large fraction of NULs means nothing.
_MIN_NUL_CHECK = 16
_REPLACING = "rnncli-replace"
# Enough for charset-normalizer to be certain, and little enough to be fast.
_GUESS_BYTES = 2**16


@dataclass(frozen=True)
class Text:
    """Documents in memory, one per source; `name` and `encoding` are for messages."""

    documents: tuple[str, ...]
    name: str
    encoding: str

    @cached_property
    def content(self) -> str:
        """All documents with nothing between them."""
        return "".join(self.documents)


def read_texts(inputs: Sequence[str], config: ReadOptions) -> Text:
    """Read whole texts into memory, in the given order; raises CorpusError."""
    sources = expand_sources(inputs)
    documents, encodings = [], []
    for source in sources:
        with open_source(source) as file:
            stream = CharacterStream(file, config)
            documents.append("".join(stream))
            encodings.append(stream.description)
    return Text(tuple(documents), joined_name(sources), ", ".join(dict.fromkeys(encodings)))


def joined_name(sources: Sequence[str]) -> str:
    """Return "a.txt", "a.txt, b.txt", or "a.txt and 9 more"."""
    names = [readable_name(source) for source in sources]
    return ", ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1:,} more"


class CharacterStream:
    """Iterates over the characters of one source, block by block, once.

    Blocks are full unless `as_available` is true: then they hold what has arrived.

    Attributes:
        encoding: The encoding in use.
        mark_bytes: Length of the byte order mark; 0 if there is none.
        replaced: How many times invalid bytes have been replaced by U+FFFD so far.
    """

    def __init__(self, file: SourceFile, config: ReadOptions, as_available: bool = False) -> None:
        self.replaced = 0
        self._file = file
        self._config = config
        self._read = file.read_some if as_available else file.read
        self._first = self._read(BLOCK_BYTES)
        while any(mark != self._first and mark.startswith(self._first) for mark, _ in _BYTE_ORDER_MARKS):
            more = self._read(_LONGEST_MARK - len(self._first))  # a stream may deliver less at first
            if not more:
                break
            self._first += more
        self.encoding, self.mark_bytes = self._choose_encoding()
        self._fed_bytes = self.mark_bytes

    @property
    def description(self) -> str:
        """The encoding for messages: "utf-8", "gb18030, 3 replaced", "utf-8, gzip"."""
        replaced = f"{self.replaced:,} replaced" if self.replaced else None
        return ", ".join(filter(None, (self.encoding, self._file.compression, replaced)))

    def __iter__(self) -> Iterator[str]:
        """Yield the text of each block; raises CorpusError if bytes do not decode or the file has changed."""
        held = ""  # a \r at the end of a block: a \n may follow in the next block
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
        self._first, nul_checked = b"", False
        while True:
            self._fed_bytes += len(block)
            if not nul_checked and len(block) >= _MIN_NUL_CHECK:  # a stream may deliver less at first
                self._check_nuls(block)
                nul_checked = True
            try:
                text = decoder.decode(block, final=not block)
                text.encode("utf-8")  # some codecs, such as utf-7, pass lone surrogates through
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

    def _check_nuls(self, block: bytes) -> None:
        if self._config.encoding is None and not self.mark_bytes and 5 * block.count(0) > len(block):
            raise CorpusError(
                f"{self._file.name} is full of NUL bytes, like UTF-16 without a byte order mark",
                hint="give its encoding, for example --encoding utf-16-le (if it is UTF-8, --encoding utf-8)",
            )

    def _decoder(self) -> codecs.IncrementalDecoder:
        def replace(error: UnicodeError) -> tuple[str, int]:
            assert isinstance(error, UnicodeDecodeError)
            self.replaced += 1
            return "\N{REPLACEMENT CHARACTER}", error.end

        codecs.register_error(_REPLACING, replace)
        try:
            "".encode(self.encoding)  # raises for a codec that is no text encoding, such as base64
            make = codecs.getincrementaldecoder(self.encoding)
        except (LookupError, ValueError) as error:  # ValueError: a NUL in the name
            raise OptionError(
                f"there is no encoding named {self.encoding!r}", hint="for example --encoding gb18030"
            ) from error
        return make(_REPLACING if self._config.errors == "replace" else "strict")

    def _undecodable(self, error: UnicodeError) -> CorpusError:
        name, where, hint = self._file.name, "", "give another encoding with --encoding"
        if isinstance(error, UnicodeDecodeError):
            offset = self._fed_bytes - len(error.object) + error.start
            where = f" at byte offset {offset:,} (0x{error.object[error.start]:02X})"
            likely = likely_encodings(_around(error.object, error.start))
            hint = f"it looks like {' or '.join(likely)}: try --encoding {likely[0]}" if likely else hint
        return CorpusError(
            f"{name} is not valid {self.encoding}{where}",
            hint=hint
            if self._config.errors == "replace"
            else f"{hint}; --errors replace puts U+FFFD for invalid bytes",
        )


def likely_encodings(data: bytes) -> list[str]:
    """Return at most three encodings that decode `data`, which may end inside a character."""
    # Imported here because only an error needs it and it is slow to import.
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
    """Return the bytes around a position, beginning with a line if possible."""
    start = max(0, position - _GUESS_BYTES // 2)
    if start:
        start = max(start, data.find(b"\n", start, position) + 1)
    nearby = data[start : start + _GUESS_BYTES]
    if len(nearby) == _GUESS_BYTES and 0 not in nearby:
        # End with a line: an incomplete character would be invalid in every multibyte encoding.
        nearby = nearby[: nearby.rfind(b"\n") + 1] or nearby
    return nearby
