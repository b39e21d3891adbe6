"""Opening a source: its bytes are decompressed, hashed, and checked for changes while they are read."""

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

from rnncli.data.sources import READ_HINT, STDIN, readable_name
from rnncli.errors import CorpusError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# First bytes of compressed files; no text begins like them.
_MAGIC = {
    b"\x1f\x8b\x08": "gzip",
    **{b"BZh%d1AY&SY" % level: "bzip2" for level in range(1, 10)},
    **{b"BZh%d\x17rE8P\x90" % level: "bzip2" for level in range(1, 10)},  # an empty stream
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    **{bytes([0x50 + kind]) + b"\x2a\x4d\x18": "zstd" for kind in range(16)},  # a skippable frame
}
_DECOMPRESSORS: dict[str, Callable[[Any], "ByteReader"]] = {
    "gzip": lambda raw: gzip.GzipFile(fileobj=raw),
    "bzip2": lambda raw: _MemberDecompressor(raw, bz2.BZ2Decompressor),
    "xz": lambda raw: _MemberDecompressor(raw, lzma.LZMADecompressor),
    "zstd": zstd.ZstdFile,
}
_READ_BYTES = 2**16
_DAMAGE_ERRORS = (OSError, ValueError, zlib.error, lzma.LZMAError, zstd.ZstdError)
# What decompresses to more than this and to more than this many times its size is a decompression bomb.
_BOMB_BYTES, _BOMB_RATIO = 100_000_000, 200


class ByteReader(Protocol):
    """Anything with a read method."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""


@contextmanager
def open_source(source: str) -> Iterator["SourceFile"]:
    """Open a file, a FIFO or "-" (stdin) for reading; raises CorpusError."""
    if source == STDIN:
        if sys.stdin is None:
            raise CorpusError("stdin is closed", hint="pipe a text into it, or name a file")
        yield SourceFile(source, sys.stdin.buffer, None)
        return
    try:
        file = Path(source).open("rb", buffering=0)  # noqa: SIM115 - closed below
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise CorpusError(f"cannot read {source}: {reason}", hint=READ_HINT) from error
    with file:
        info = os.fstat(file.fileno())
        if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
            raise CorpusError(f"{source} is a device, not a text", hint="name a file, or - for stdin")
        yield SourceFile(source, file, info)


class SourceFile:
    """The decompressed bytes of a source.

    Attributes:
        name: The file name, for messages.
        regular: Whether it is a regular file, which can be read again.
        modified_ns: Modification time of a regular file, in nanoseconds.
        compression: gzip, bzip2, xz, zstd or None.
    """

    def __init__(self, source: str, file: BinaryIO, info: os.stat_result | None) -> None:
        self.name = readable_name(source)
        self.regular = info is not None and stat.S_ISREG(info.st_mode)
        self.modified_ns = info.st_mtime_ns if info is not None and self.regular else None
        self._file = file
        self._raw = _RawFile(file, self.name)
        start = self._raw.peek(tuple(_MAGIC))
        self.compression = next(
            (compression for magic, compression in _MAGIC.items() if start.startswith(magic)), None
        )
        self._decompressed = _DECOMPRESSORS[self.compression](self._raw) if self.compression else self._raw
        self._text_bytes = 0

    @property
    def disk_bytes(self) -> int:
        """How many bytes of the file have been read, before decompression."""
        return self._raw.bytes_read

    @property
    def sha256(self) -> str:
        """The hash of these bytes."""
        return self._raw.digest.hexdigest()

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer only at the end.

        Raises:
            CorpusError: The file cannot be read or is damaged, or it is a decompression bomb.
        """
        parts: list[bytes] = []
        missing = size
        while missing and (part := self.read_some(missing)):
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_some(self, size: int) -> bytes:
        """Return what has arrived, at least one byte; none at the end. Raises as `read` does."""
        if self.compression is None:
            return self._raw.read(size)
        try:
            data = self._decompressed.read(size)
        except EOFError as error:
            raise self._damaged("is cut off") from error
        except _DAMAGE_ERRORS as error:
            raise self._damaged(f"is damaged ({error})") from error
        self._text_bytes += len(data)
        if self._text_bytes > max(_BOMB_BYTES, _BOMB_RATIO * self.disk_bytes):
            raise CorpusError(
                f"{self.name} decompresses to more than {_BOMB_RATIO} times its size, "
                "like a decompression bomb",
                hint="if it is a text nevertheless, decompress it first",
            )
        return data

    def finish(self) -> None:
        """Read what the decompressor left; raises CorpusError if the file has changed meanwhile."""
        # Not for an uncompressed stream: a terminal would wait for more input.
        while (self.regular or self.compression is not None) and self._raw.read(1 << 20):
            pass
        if self.regular:
            now = os.fstat(self._file.fileno())
            if (now.st_size, now.st_mtime_ns) != (self.disk_bytes, self.modified_ns):
                raise CorpusError(
                    f"{self.name} changed while it was read",
                    hint="wait until it is complete, or copy it first",
                )

    def _damaged(self, how: str) -> CorpusError:
        return CorpusError(
            f"{self.name} ({self.compression}) {how} after {self.disk_bytes:,} bytes",
            hint="download or copy it again",
        )


class _MemberDecompressor:
    """Decompresses several streams one after another, as pbzip2 and cat write them, and NULs after the last.

    BZ2File and LZMAFile ignore a later stream whose first bytes are damaged.
    """

    def __init__(
        self,
        raw: "_RawFile",
        new_decompressor: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor],
    ) -> None:
        self._raw = raw
        self._new_decompressor = new_decompressor
        self._member = new_decompressor()

    def read(self, size: int, /) -> bytes:
        """Raises EOFError if a stream is cut off, OSError or LZMAError if it is damaged."""
        while True:
            compressed = b""
            if self._member.eof:
                compressed = self._member.unused_data.lstrip(b"\0")
                while not compressed:
                    more = self._raw.read(_READ_BYTES)
                    if not more:
                        return b""
                    compressed = more.lstrip(b"\0")
                self._member = self._new_decompressor()
            elif self._member.needs_input:
                compressed = self._raw.read(_READ_BYTES)
                if not compressed:
                    raise EOFError
            if data := self._member.decompress(compressed, size):
                return data


class _RawFile:
    """The bytes as they are on disk, counted and hashed."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._head = b""
        self.digest = hashlib.sha256()
        self.bytes_read = 0

    def peek(self, magics: Sequence[bytes]) -> bytes:
        """Return the first bytes, as many as it takes to know which of `magics` they begin with."""
        while possible := [
            len(magic) for magic in magics if magic != self._head and magic.startswith(self._head)
        ]:
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
            # read1 does not wait until a pipe has delivered `size` bytes.
            read = getattr(self._file, "read1", self._file.read)
            data: bytes = read(size)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise CorpusError(f"cannot read {self._name}: {reason}", hint=READ_HINT) from error
        self.bytes_read += len(data)
        self.digest.update(data)
        return data
