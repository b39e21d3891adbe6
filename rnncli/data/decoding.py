"""The bytes of one source: opened, unpacked, hashed, and watched for changes while they are read."""

import bz2
import gzip
import hashlib
import lzma
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from rnncli.data.sources import HOW_TO_READ, STDIN, readable_name
from rnncli.errors import CorpusError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# First bytes of packed files; no text begins like them.
_MARKS = {
    b"\x1f\x8b\x08": "gzip",
    **{b"BZh%d1AY&SY" % level: "bzip2" for level in range(1, 10)},
    **{b"BZh%d\x17rE8P\x90" % level: "bzip2" for level in range(1, 10)},  # of nothing
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    **{bytes([0x50 + kind]) + b"\x2a\x4d\x18": "zstd" for kind in range(16)},  # a frame to be skipped
}
_UNPACKERS: dict[str, Callable[[Any], "Bytes"]] = {
    "gzip": lambda raw: gzip.GzipFile(fileobj=raw),
    "bzip2": lambda raw: _Members(raw, bz2.BZ2Decompressor),
    "xz": lambda raw: _Members(raw, lzma.LZMADecompressor),
    "zstd": zstd.ZstdFile,
}
_PACKED_BYTES = 2**16
_DAMAGES = (OSError, ValueError, zlib.error, lzma.LZMAError, zstd.ZstdError)
# What unpacks to more than this, and to this many times its size, is a bomb and not a text.
_BOMB_BYTES, _BOMB_RATIO = 100_000_000, 200


class Bytes(Protocol):
    """read(n) -> up to n bytes, none at the end."""

    def read(self, size: int, /) -> bytes: ...


@contextmanager
def opened(source: str) -> Iterator["Opened"]:
    """A file, a FIFO or "-", open for reading; raises CorpusError."""
    if source == STDIN:
        if sys.stdin is None:
            raise CorpusError("stdin is closed", hint="pipe a text into it, or name a file")
        yield Opened(source, sys.stdin.buffer, None)
        return
    try:
        file = Path(source).open("rb", buffering=0)  # noqa: SIM115 - closed below
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise CorpusError(f"cannot read {source}: {reason}", hint=HOW_TO_READ) from error
    with file:
        facts = os.fstat(file.fileno())
        if stat.S_ISCHR(facts.st_mode) or stat.S_ISBLK(facts.st_mode):
            raise CorpusError(f"{source} is a device, not a text", hint="name a file, or - for stdin")
        yield Opened(source, file, facts)


class Opened:
    """A source's text as bytes, unpacked; `packing` is gzip, bzip2, xz, zstd or None.

    `regular` is true of a file that can be read again; `modified_ns` is its time stamp then.
    """

    def __init__(self, source: str, file: BinaryIO, facts: os.stat_result | None) -> None:
        self.name = readable_name(source)
        self.regular = facts is not None and stat.S_ISREG(facts.st_mode)
        self.modified_ns = facts.st_mtime_ns if facts is not None and self.regular else None
        self._file = file
        self._raw = _Raw(file, self.name)
        head = self._raw.peek(tuple(_MARKS))
        self.packing = next((packing for mark, packing in _MARKS.items() if head.startswith(mark)), None)
        self._unpacked = _UNPACKERS[self.packing](self._raw) if self.packing else self._raw
        self._text_bytes = 0

    @property
    def disk_bytes(self) -> int:
        """How many bytes were read of it, packed ones unopened."""
        return self._raw.taken_bytes

    @property
    def sha256(self) -> str:
        """Of those bytes."""
        return self._raw.digest.hexdigest()

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer at the end only; raises CorpusError where they are damaged or a bomb."""
        parts: list[bytes] = []
        missing = size
        while missing and (part := self.read_some(missing)):
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_some(self, size: int) -> bytes:
        """What has come by now, but at least one byte; none at the end."""
        if self.packing is None:
            return self._raw.read(size)
        try:
            data = self._unpacked.read(size)
        except EOFError as error:
            raise self._damaged("is cut off") from error
        except _DAMAGES as error:
            raise self._damaged(f"is damaged ({error})") from error
        self._text_bytes += len(data)
        if self._text_bytes > max(_BOMB_BYTES, _BOMB_RATIO * self.disk_bytes):
            raise CorpusError(
                f"{self.name} unpacks to more than {_BOMB_RATIO} times its size, as bombs do",
                hint="if it is a text all the same, unpack it yourself and name the unpacked file",
            )
        return data

    def finish(self) -> None:
        """Read what an unpacker left over; raises CorpusError where the file changed meanwhile."""
        # A terminal that was read to its end would ask for more.
        while (self.regular or self.packing is not None) and self._raw.read(1 << 20):
            pass
        if self.regular:
            now = os.fstat(self._file.fileno())
            if (now.st_size, now.st_mtime_ns) != (self.disk_bytes, self.modified_ns):
                raise CorpusError(
                    f"{self.name} changed while it was read", hint="wait until it is whole, or copy it first"
                )

    def _damaged(self, how: str) -> CorpusError:
        return CorpusError(
            f"{self.name}, packed by {self.packing}, {how} after {self.disk_bytes:,} bytes",
            hint="fetch or copy it again",
        )


class _Members:
    """Packed texts one after another, as pbzip2 and cat leave them, and NULs after the last.

    BZ2File and LZMAFile take a later one whose first bytes are damaged for something that is not theirs.
    """

    def __init__(self, raw: "_Raw", begin: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]) -> None:
        self._raw = raw
        self._begin = begin
        self._member = begin()

    def read(self, size: int, /) -> bytes:
        """Raises EOFError where a member is cut off, OSError and LZMAError where it is damaged."""
        while True:
            packed = b""
            if self._member.eof:
                packed = self._member.unused_data.lstrip(b"\0")
                while not packed:
                    more = self._raw.read(_PACKED_BYTES)
                    if not more:
                        return b""
                    packed = more.lstrip(b"\0")
                self._member = self._begin()
            elif self._member.needs_input:
                packed = self._raw.read(_PACKED_BYTES)
                if not packed:
                    raise EOFError
            if data := self._member.decompress(packed, size):
                return data


class _Raw:
    """The bytes as they lie on disk, counted and hashed; as much of a file as an unpacker needs."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._head = b""
        self.digest = hashlib.sha256()
        self.taken_bytes = 0

    def peek(self, marks: Sequence[bytes]) -> bytes:
        """The first bytes, as many as tell which of the marks they begin with."""
        while possible := [len(mark) for mark in marks if mark != self._head and mark.startswith(self._head)]:
            more = self._take(min(possible) - len(self._head))
            if not more:
                break
            self._head += more
        return self._head

    def read(self, size: int) -> bytes:
        if self._head:
            taken, self._head = self._head[:size], self._head[size:]
            return taken
        return self._take(size)

    def _take(self, size: int) -> bytes:
        try:
            # read1: a pipe's reader need not wait until so much has come.
            read = getattr(self._file, "read1", self._file.read)
            data: bytes = read(size)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise CorpusError(f"cannot read {self._name}: {reason}", hint=HOW_TO_READ) from error
        self.taken_bytes += len(data)
        self.digest.update(data)
        return data
