"""A text of any size, read once: checked, hashed, counted, and marked out in blocks to be read again.

    sources  --decode-->  UTF-8, all sources in a row  --marked out-->  | block | block | block |

A plain UTF-8 file is read again where it lies. What cannot be (stdin, packed files, other encodings)
is copied to a spool file as UTF-8. Blocks end after a line where they can, so that each can be cut
into tokens on its own, in any process.
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

from rnncli.data.config import ReadConfig
from rnncli.data.counting import code_points
from rnncli.data.decoding import opened
from rnncli.data.reading import BLOCK_BYTES, CharacterStream, joined_name
from rnncli.data.sources import expand
from rnncli.errors import CorpusError, StorageError

_CODE_POINTS = 0x110000
_SPOOL = "spool"
_LAST_SPACE = re.compile(r"(?<!\s)\s+\S*\Z")
# From how many places a sample is drawn at most.
_STRETCHES = 32


@dataclass(frozen=True)
class Source:
    """One source as it was read; `modified_ns` is None for what cannot be looked at again."""

    path: str
    sha256: str
    bytes: int
    modified_ns: int | None
    encoding: str


class Run(NamedTuple):
    """Bytes start..stop of a file, UTF-8."""

    path: Path
    start: int
    stop: int


class Block(NamedTuple):
    """Bytes start..stop of the whole text, and the characters and line ends before them."""

    start: int
    stop: int
    characters_before: int
    lines_before: int


class Passage(NamedTuple):
    """A block and where its bytes lie: all that another process needs to read it."""

    block: Block
    runs: tuple[Run, ...]

    def read(self) -> str:
        """Raises CorpusError where a file is no longer what it was."""
        return _read_runs(self.runs, "strict")

    def beginning(self, most_bytes: int) -> str:
        """As much of it as so many bytes hold."""
        runs, left = [], most_bytes
        for run in self.runs:
            runs.append(run._replace(stop=min(run.stop, run.start + left)))
            left -= runs[-1].stop - run.start
        return _read_runs(runs, "ignore")  # it may end inside a character


@dataclass(frozen=True)
class Corpus:
    """`given` is what a person named; `histogram` (C,) counts each of the code points `symbols` (C,)."""

    name: str
    given: tuple[str, ...]
    sources: tuple[Source, ...]
    reading: ReadConfig
    bytes: int
    characters: int
    lines: int
    symbols: npt.NDArray[np.int64]
    histogram: npt.NDArray[np.int64]
    blocks: tuple[Block, ...]
    runs: tuple[Run, ...]

    @classmethod
    def survey(cls, given: Sequence[str], reading: ReadConfig, scratch: Path) -> Self:
        """Read everything once; a spool file goes into the folder `scratch`. Raises CorpusError."""
        paths = expand(given)
        survey = _Survey()
        sources = [survey.read(path, reading, scratch / _SPOOL) for path in paths]
        return cls(
            name=joined_name(paths),
            given=tuple(given),
            sources=tuple(sources),
            reading=reading,
            bytes=survey.bytes,
            characters=survey.characters,
            lines=survey.line_ends + (not survey.ends_with_line_end),
            symbols=np.flatnonzero(survey.histogram),
            histogram=survey.histogram[survey.histogram > 0],
            blocks=tuple(survey.all_blocks()),
            runs=tuple(survey.runs),
        )

    @property
    def encoding(self) -> str:
        return ", ".join(dict.fromkeys(source.encoding for source in self.sources))

    @property
    def alphabet(self) -> str:
        """Every distinct character, in code point order."""
        return "".join(map(chr, self.symbols))

    def passages(self) -> Iterator[Passage]:
        """All blocks in order, each with the files that hold it."""
        ends = list(accumulate(run.stop - run.start for run in self.runs))
        for block in self.blocks:
            index, position, runs = bisect_right(ends, block.start), block.start, []
            while position < block.stop:
                run, end = self.runs[index], ends[index]
                taken = min(block.stop, end) - position
                start = run.stop - (end - position)
                runs.append(Run(run.path, start, start + taken))
                index, position = index + 1, position + taken
            yield Passage(block, tuple(runs))

    def sample(self, characters: int) -> str:
        """The whole text where it is no longer than that; else stretches of it, from evenly spread blocks."""
        passages = list(self.passages())
        if self.characters <= characters:
            return "".join(passage.read() for passage in passages)
        chosen = {index * len(passages) // _STRETCHES for index in range(_STRETCHES)}
        length = characters // len(chosen)
        return "".join(passages[index].beginning(length) for index in sorted(chosen))

    def refuse_changed(self) -> None:
        """Raises CorpusError where a file is not what it was when it was read."""
        for source in self.sources:
            if source.modified_ns is not None and stamp(source.path) != (source.bytes, source.modified_ns):
                raise _changed(Path(source.path))


def stamp(path: str) -> tuple[int, int] | None:
    """A file's size and time of change, None where it is gone."""
    try:
        facts = Path(path).stat()
    except (OSError, ValueError):  # gone, or not even a possible name of a file
        return None
    return facts.st_size, facts.st_mtime_ns


class _Survey:
    """What has been found so far, while sources are read."""

    def __init__(self) -> None:
        self.bytes = self.characters = self.line_ends = 0
        self.histogram: npt.NDArray[np.int64] = np.zeros(_CODE_POINTS, np.int64)
        self.runs: list[Run] = []
        self.ends_with_line_end = True  # of nothing
        self._cuts = [Block(0, 0, 0, 0)]  # where blocks begin

    def read(self, path: str, reading: ReadConfig, spool: Path) -> Source:
        with opened(path) as file:
            stream = CharacterStream(file, reading)
            as_it_is = file.regular and file.packing is None and stream.encoding == "utf-8"
            before = self.bytes
            if as_it_is and reading == ReadConfig(reading.encoding):
                for text in stream:
                    self._add(text, text.encode("utf-8"))
                start = stream.mark_bytes
                self.runs.append(Run(Path(path).absolute(), start, start + self.bytes - before))
            else:
                self._spool(stream, spool)
            return Source(path, file.sha256, file.disk_bytes, file.modified_ns, stream.described)

    def all_blocks(self) -> Iterator[Block]:
        ends = [block.start for block in self._cuts[1:]] + [self.bytes]
        for block, end in zip(self._cuts, ends, strict=True):
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
                self.runs.append(Run(path.absolute(), start, spool.tell()))
        except OSError as error:
            raise StorageError(
                f"cannot write {path.parent}: {error.strerror or error}",
                hint="check the free space there; what cannot be read twice is kept there meanwhile",
            ) from error

    def _add(self, text: str, data: bytes) -> None:
        self._count_symbols(text)
        lines = text.count("\n")
        size = self.bytes + len(data) - self._cuts[-1].start
        cut = text.rfind("\n") + 1 if size >= BLOCK_BYTES // 2 else 0
        if not cut and size >= BLOCK_BYTES:
            # A line longer than a block: it is cut before white space, else anywhere.
            space = _LAST_SPACE.search(text)
            cut = (space.start() if space else 0) or len(text)
        if cut:
            behind = len(text[cut:].encode("utf-8"))
            self._cuts.append(
                Block(self.bytes + len(data) - behind, 0, self.characters + cut, self.line_ends + lines)
            )
        self.bytes += len(data)
        self.characters += len(text)
        self.line_ends += lines
        self.ends_with_line_end = text.endswith("\n")

    def _count_symbols(self, text: str) -> None:
        if text.isascii():
            # Pairs of characters at once: half as many steps.
            pairs = np.frombuffer(text.encode("ascii") + b"\0" * (len(text) % 2), np.uint16)
            table = np.bincount(pairs, minlength=2**16).reshape(256, 256)
            found = table.sum(0) + table.sum(1)
            found[0] -= len(text) % 2
        else:
            found = np.bincount(code_points(text))
        self.histogram[: len(found)] += found


def _read_runs(runs: Sequence[Run], errors: str) -> str:
    try:
        return b"".join(map(_read_run, runs)).decode("utf-8", errors)
    except (OSError, UnicodeDecodeError) as error:
        raise _changed(runs[0].path) from error


def _read_run(run: Run) -> bytes:
    with run.path.open("rb") as file:
        file.seek(run.start)
        data = file.read(run.stop - run.start)
    if len(data) < run.stop - run.start:
        raise _changed(run.path)
    return data


def _changed(path: Path) -> CorpusError:
    return CorpusError(f"{path} changed while it was read", hint="wait until it is whole, or copy it first")
