"""A text of any size, read once: checked, hashed, counted, and divided into blocks that are read again later.

    sources  --decode-->  UTF-8, one source after another  --divide-->  | block | block | block |

A plain UTF-8 file is read again where it is. What cannot be read twice as UTF-8 (stdin, compressed files,
other encodings) is copied to a spool file. Blocks end after a line where possible, so that each can be
tokenized on its own, in any process.

C distinct code points.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from rnncli.data.compression import open_source
from rnncli.data.config import ReadOptions
from rnncli.data.decoding import BLOCK_BYTES, CharacterStream, joined_name
from rnncli.data.sources import expand_sources
from rnncli.data.tokenizers.base import code_points
from rnncli.errors import CorpusError, StorageError

_CODE_POINTS = 0x110000
_SPOOL = "spool"
_LAST_SPACE = re.compile(r"(?<!\s)\s+\S*\Z")
# A sample comes from at most this many places.
_SAMPLE_PLACES = 32


@dataclass(frozen=True)
class SourceInfo:
    """One source as it was read; `modified_ns` is None for a source that is not a regular file."""

    path: str
    sha256: str
    bytes: int
    modified_ns: int | None
    encoding: str


class ByteRange(NamedTuple):
    """Bytes start..stop of a UTF-8 file."""

    path: Path
    start: int
    stop: int


class TextBlock(NamedTuple):
    """Bytes start..stop of the whole text, and how many characters and line ends come before them."""

    start: int
    stop: int
    characters_before: int
    lines_before: int


class ReadableBlock(NamedTuple):
    """A block and the files that hold its bytes: all that another process needs to read it."""

    bounds: TextBlock
    ranges: tuple[ByteRange, ...]

    def read(self) -> str:
        """Return the text of the block; raises CorpusError if a file has changed."""
        return _read_ranges(self.ranges, "strict")

    def beginning(self, max_bytes: int) -> str:
        """Return the text of the first `max_bytes` bytes."""
        ranges, remaining = [], max_bytes
        for one in self.ranges:
            ranges.append(one._replace(stop=min(one.stop, one.start + remaining)))
            remaining -= ranges[-1].stop - one.start
        return _read_ranges(ranges, "ignore")  # the last character may be incomplete


@dataclass(frozen=True)
class Corpus:
    """A text that has been read once.

    Attributes:
        name: The text by name, for messages.
        inputs: Files, folders and patterns as they were given.
        sources: The files that were read.
        reading: How bytes were decoded.
        bytes: Size in UTF-8.
        characters: Number of code points.
        lines: Number of lines.
        code_points: The distinct code points (C,), sorted.
        histogram: How often each of them occurs (C,).
        blocks: Where the blocks begin and end.
        ranges: Where the bytes of the whole text are.
    """

    name: str
    inputs: tuple[str, ...]
    sources: tuple[SourceInfo, ...]
    reading: ReadOptions
    bytes: int
    characters: int
    lines: int
    code_points: npt.NDArray[np.int64]
    histogram: npt.NDArray[np.int64]
    blocks: tuple[TextBlock, ...]
    ranges: tuple[ByteRange, ...]

    @classmethod
    def scan(cls, inputs: Sequence[str], reading: ReadOptions, scratch: Path) -> Self:
        """Read everything once.

        Args:
            inputs: Files, folders and patterns; see rnncli/data/sources.py.
            reading: How to decode them.
            scratch: A folder for the spool file.

        Raises:
            CorpusError: A source cannot be read or decoded.
        """
        paths = expand_sources(inputs)
        scanner = _CorpusScanner()
        sources = [scanner.read(path, reading, scratch / _SPOOL) for path in paths]
        return cls(
            name=joined_name(paths),
            inputs=tuple(inputs),
            sources=tuple(sources),
            reading=reading,
            bytes=scanner.bytes,
            characters=scanner.characters,
            lines=scanner.line_ends + (not scanner.ends_with_line_end),
            code_points=np.flatnonzero(scanner.histogram),
            histogram=scanner.histogram[scanner.histogram > 0],
            blocks=tuple(scanner.all_blocks()),
            ranges=tuple(scanner.ranges),
        )

    @property
    def encoding(self) -> str:
        return ", ".join(dict.fromkeys(source.encoding for source in self.sources))

    @property
    def alphabet(self) -> str:
        """Every distinct character, in code point order."""
        return "".join(map(chr, self.code_points))

    def readable_blocks(self) -> Iterator[ReadableBlock]:
        """Yield all blocks in order, each with the files that hold it."""
        ends = list(accumulate(one.stop - one.start for one in self.ranges))
        for block in self.blocks:
            index, position, ranges = bisect_right(ends, block.start), block.start, []
            while position < block.stop:
                one, end = self.ranges[index], ends[index]
                length = min(block.stop, end) - position
                start = one.stop - (end - position)
                ranges.append(ByteRange(one.path, start, start + length))
                index, position = index + 1, position + length
            yield ReadableBlock(block, tuple(ranges))

    def sample(self, characters: int) -> str:
        """Return the whole text if it is no longer than that; else passages from evenly spaced blocks."""
        blocks = list(self.readable_blocks())
        if self.characters <= characters:
            return "".join(block.read() for block in blocks)
        chosen = {index * len(blocks) // _SAMPLE_PLACES for index in range(_SAMPLE_PLACES)}
        length = characters // len(chosen)
        return "".join(blocks[index].beginning(length) for index in sorted(chosen))

    def check_unchanged(self) -> None:
        """Raise CorpusError if a file has changed since it was read."""
        for source in self.sources:
            if source.modified_ns is not None and stamp(source.path) != (source.bytes, source.modified_ns):
                raise _changed(Path(source.path))


def stamp(path: str) -> tuple[int, int] | None:
    """Return the size and the modification time (ns) of a file, None if it does not exist."""
    try:
        facts = Path(path).stat()
    except (OSError, ValueError):  # ValueError: no possible file name
        return None
    return facts.st_size, facts.st_mtime_ns


class _CorpusScanner:
    """Reads sources one after another and collects what is known about them."""

    def __init__(self) -> None:
        self.bytes = self.characters = self.line_ends = 0
        self.histogram: npt.NDArray[np.int64] = np.zeros(_CODE_POINTS, np.int64)
        self.ranges: list[ByteRange] = []
        self.ends_with_line_end = True  # an empty text has no lines
        self._starts = [TextBlock(0, 0, 0, 0)]

    def read(self, path: str, reading: ReadOptions, spool: Path) -> SourceInfo:
        with open_source(path) as file:
            stream = CharacterStream(file, reading)
            is_plain_utf8 = file.regular and file.compression is None and stream.encoding == "utf-8"
            before = self.bytes
            if is_plain_utf8 and reading == ReadOptions(encoding=reading.encoding):
                for text in stream:
                    self._add(text, text.encode("utf-8"))
                start = stream.mark_bytes
                self.ranges.append(ByteRange(Path(path).absolute(), start, start + self.bytes - before))
            else:
                self._spool(stream, spool)
            return SourceInfo(path, file.sha256, file.disk_bytes, file.modified_ns, stream.description)

    def all_blocks(self) -> Iterator[TextBlock]:
        ends = [block.start for block in self._starts[1:]] + [self.bytes]
        for block, end in zip(self._starts, ends, strict=True):
            if end > block.start:
                yield block._replace(stop=end)

    def _spool(self, stream: CharacterStream, path: Path) -> None:
        try:
            with path.open("ab") as spool:
                start = spool.tell()
                for text in stream:
                    data = text.encode("utf-8")
                    spool.write(data)
                    self._add(text, data)
                self.ranges.append(ByteRange(path.absolute(), start, spool.tell()))
        except OSError as error:
            raise StorageError(
                f"cannot write {path.parent}: {error.strerror or error}",
                hint="check its free space: it holds a temporary copy of texts that cannot be read twice",
            ) from error

    def _add(self, text: str, data: bytes) -> None:
        self._count_characters(text)
        lines = text.count("\n")
        size = self.bytes + len(data) - self._starts[-1].start
        cut = text.rfind("\n") + 1 if size >= BLOCK_BYTES // 2 else 0
        if not cut and size >= BLOCK_BYTES:
            # A line longer than a block is divided before whitespace, else anywhere.
            space = _LAST_SPACE.search(text)
            cut = (space.start() if space else 0) or len(text)
        if cut:
            after = len(text[cut:].encode("utf-8"))
            self._starts.append(
                TextBlock(self.bytes + len(data) - after, 0, self.characters + cut, self.line_ends + lines)
            )
        self.bytes += len(data)
        self.characters += len(text)
        self.line_ends += lines
        self.ends_with_line_end = text.endswith("\n")

    def _count_characters(self, text: str) -> None:
        if text.isascii():
            # Count pairs of characters: half as many steps.
            pairs = np.frombuffer(text.encode("ascii") + b"\0" * (len(text) % 2), np.uint16)
            table = np.bincount(pairs, minlength=2**16).reshape(256, 256)
            found = table.sum(0) + table.sum(1)
            found[0] -= len(text) % 2
        else:
            found = np.bincount(code_points(text))
        self.histogram[: len(found)] += found


def _read_ranges(ranges: Sequence[ByteRange], errors: str) -> str:
    try:
        return b"".join(map(_read_range, ranges)).decode("utf-8", errors)
    except (OSError, UnicodeDecodeError) as error:
        raise _changed(ranges[0].path) from error


def _read_range(part: ByteRange) -> bytes:
    with part.path.open("rb") as file:
        file.seek(part.start)
        data = file.read(part.stop - part.start)
    if len(data) < part.stop - part.start:
        raise _changed(part.path)
    return data


def _changed(path: Path) -> CorpusError:
    return CorpusError(
        f"{path} changed while it was read", hint="wait until it is complete, or copy it first"
    )
