"""Sources are read whole, decompressed and hashed, or refused with a reason."""

import bz2
import errno
import gzip
import hashlib
import io
import lzma
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from rnncli.data import compression
from rnncli.data.compression import SourceFile, open_source
from rnncli.data.config import ReadOptions
from rnncli.data.decoding import read_texts
from rnncli.errors import CorpusError
from tests.systems import needs_fifos, needs_permissions, on_posix

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def zstd_with_checksum(data: bytes) -> bytes:
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd_with_checksum,
}
# Packed it still has many bytes to damage.
NOISE = bytes(random.Random(5).choices(range(32, 127), k=3_000))


@pytest.fixture(params=list(COMPRESSORS))
def algorithm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Pipe:
    """A pipe that has sent `chunks` so far; asking for more would wait for ever."""

    def __init__(self, *chunks: bytes, ends: bool) -> None:
        self._chunks = list(chunks) + [b""] * ends

    def read1(self, size: int) -> bytes:
        assert self._chunks, "it would wait"
        first = self._chunks.pop(0)
        if len(first) > size:
            self._chunks.insert(0, first[size:])
        return first[:size]

    read = read1


def content(name: str) -> bytes:
    with open_source(name) as file:
        data = file.read(10**6)
        file.finish()
        return data


# -- plain files


@pytest.mark.parametrize("data", [b"", b"a", b"\0", NOISE], ids=["empty", "1 byte", "NUL", "long"])
def test_a_plain_file_comes_as_it_is_with_its_size_and_hash(data: bytes) -> None:
    path = Path("a.txt")
    path.write_bytes(data)
    with open_source("a.txt") as file:
        assert file.read(1) + file.read(5) + file.read(10**6) == data
        assert file.read(1) == b""
        file.finish()
    assert (file.name, file.compression, file.regular) == ("a.txt", None, True)
    assert (file.disk_bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert file.modified_ns == path.stat().st_mtime_ns


@pytest.mark.parametrize(
    "data", [b"\x1f\x8b", b"BZh9 is what bzip2 writes", b"\xfd7zXZ", b"\x28\xb5\x2f", b"PK"]
)
def test_what_only_begins_like_a_compressed_file_is_plain(data: bytes) -> None:
    Path("a.gz").write_bytes(data)
    assert content("a.gz") == data


@on_posix
@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null"])
def test_a_device_is_not_a_text(name: str) -> None:
    with pytest.raises(CorpusError, match=f"^{name} is a device, not a text$"), open_source(name):
        pass


@pytest.mark.parametrize(
    "name", ["absent.txt", "absent/deeper.txt", "nul\0.txt", "n" * 300, "folder", "circle"]
)
def test_what_cannot_be_opened_is_named(name: str) -> None:
    Path("folder").mkdir()
    Path("circle").symlink_to("circle")
    with pytest.raises(CorpusError, match=f"^cannot read {name}: "), open_source(name):
        pass


@needs_permissions
def test_a_file_without_permission_is_an_error() -> None:
    Path("a.txt").touch(mode=0)
    with pytest.raises(CorpusError, match=r"^cannot read a\.txt: Permission denied$"), open_source("a.txt"):
        pass


def test_a_failing_disk_is_an_error_that_names_the_file() -> None:
    def fail(size: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(CorpusError, match=r"^cannot read a\.txt: Input/output error$"):
        SourceFile("a.txt", SimpleNamespace(read=fail), None)  # type: ignore[arg-type]


# -- compressed files


@pytest.mark.parametrize("size", [1, 3_000])
def test_a_compressed_file_is_recognized_by_its_first_bytes(algorithm: str, size: int) -> None:
    compressed = COMPRESSORS[algorithm](NOISE[:size])
    Path("novel.txt").write_bytes(compressed)
    with open_source("novel.txt") as file:
        assert file.read(7) + file.read(10**6) == NOISE[:size]
        file.finish()
    assert file.compression == algorithm
    assert (file.disk_bytes, file.sha256) == (len(compressed), hashlib.sha256(compressed).hexdigest())


def test_a_compressed_file_of_nothing_is_an_empty_text(algorithm: str) -> None:
    Path("a.txt").write_bytes(COMPRESSORS[algorithm](b""))
    assert content("a.txt") == b""


def test_all_members_of_a_compressed_file_are_read(algorithm: str) -> None:
    compress = COMPRESSORS[algorithm]
    Path("a.txt").write_bytes(compress(b"one ") + compress(b"") + compress(b"two ") + compress(b"three"))
    assert content("a.txt") == b"one two three"


def test_what_follows_the_last_member_is_hashed_too() -> None:
    compressed = gzip.compress(b"text") + b"\0" * 512
    Path("a.gz").write_bytes(compressed)
    with open_source("a.gz") as file:
        assert file.read(100) == b"text"
        file.finish()
    assert file.sha256 == hashlib.sha256(compressed).hexdigest()


def test_a_compressed_file_cut_off_anywhere_is_an_error(algorithm: str) -> None:
    compressed = COMPRESSORS[algorithm](NOISE[:40])
    for length in range(10, len(compressed)):
        Path("a.txt").write_bytes(compressed[:length])
        with pytest.raises(CorpusError, match=rf"^a\.txt \({algorithm}\) is cut off after \d+ bytes"):
            content("a.txt")


def test_a_second_member_that_is_cut_off_is_an_error(algorithm: str) -> None:
    compressed = COMPRESSORS[algorithm](NOISE)
    Path("a.txt").write_bytes(compressed + compressed[: len(compressed) // 2])
    with pytest.raises(CorpusError, match=r"is cut off after [\d,]+ bytes"):
        content("a.txt")


def test_a_damaged_compressed_file_is_an_error(algorithm: str) -> None:
    compressed = bytearray(COMPRESSORS[algorithm](NOISE))
    for position in range(len(compressed) // 4, len(compressed) * 3 // 4, 97):
        damaged = compressed.copy()
        damaged[position] ^= 0x55
        Path("a.txt").write_bytes(damaged)
        with pytest.raises(CorpusError, match=rf"^a\.txt \({algorithm}\) is (damaged \(.*\)|cut off) "):
            content("a.txt")


def test_a_later_member_that_is_damaged_is_an_error(algorithm: str) -> None:
    """Its first bytes above all: some readers take it for something that is not theirs."""
    first, second = (COMPRESSORS[algorithm](split) for split in (b"one ", NOISE))
    for position in (0, 2, len(second) // 2):
        damaged = bytearray(second)
        damaged[position] ^= 0x55
        Path("a.txt").write_bytes(first + damaged + first)
        with pytest.raises(CorpusError, match=rf"^a\.txt \({algorithm}\) is (damaged|cut off)"):
            content("a.txt")


@pytest.mark.parametrize("algorithm", ["gzip", "bzip2", "xz"])
def test_nuls_may_follow_a_compressed_text(algorithm: str) -> None:
    compressed = COMPRESSORS[algorithm](b"one ")
    Path("a.txt").write_bytes(compressed + b"\0" * 70_000)
    assert content("a.txt") == b"one "
    Path("a.txt").write_bytes(compressed + b"\0" * 70_000 + compressed)
    assert content("a.txt") == b"one one "


def test_a_bomb_is_refused_before_it_fills_the_memory(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "_BOMB_BYTES", 1_000)
    monkeypatch.setattr(compression, "_BOMB_RATIO", 3)
    Path("a.txt").write_bytes(COMPRESSORS[algorithm](b"\n" * 10**6))
    decompressed: list[bytes] = []
    with open_source("a.txt") as file:
        blocks = iter(lambda: file.read(500), b"")
        with pytest.raises(CorpusError, match=r"^a\.txt decompresses to more than 3 times its size"):
            decompressed.extend(blocks)
    assert 0 < sum(map(len, decompressed)) <= max(1_000, 3 * Path("a.txt").stat().st_size)


def test_a_small_text_may_shrink_as_much_as_it_likes(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_BOMB_RATIO", 3)
    Path("a.txt").write_bytes(COMPRESSORS[algorithm](b"\n" * 10**5))
    assert content("a.txt") == b"\n" * 10**5


# -- pipes


@needs_fifos
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_fifo_is_read_to_its_end(compress: Callable[[bytes], bytes]) -> None:
    os.mkfifo("fifo")
    writer = Thread(target=Path("fifo").write_bytes, args=[compress(NOISE * 50)])
    writer.start()
    with open_source("fifo") as file:
        assert file.read(10**6) == NOISE * 50
        file.finish()
    writer.join()
    assert (file.regular, file.modified_ns) == (False, None)


def test_a_pipe_that_dribbles_fills_whole_blocks_all_the_same() -> None:
    file = SourceFile("-", Pipe(*(bytes([byte]) for byte in NOISE), ends=True), None)  # type: ignore[arg-type]
    assert file.read(1_000) == NOISE[:1_000]
    assert file.read(10**6) == NOISE[1_000:]


def test_what_has_come_through_a_pipe_can_be_had_at_once() -> None:
    file = SourceFile("-", Pipe(b"hello, world\n", b"more", ends=False), None)  # type: ignore[arg-type]
    assert file.read_some(100) + file.read_some(100) == b"hello, world\n"
    assert file.read_some(100) == b"more"


def test_a_short_line_through_a_pipe_need_not_wait_for_the_next() -> None:
    file = SourceFile("-", Pipe(b"hi\n", ends=False), None)  # type: ignore[arg-type]
    assert file.read_some(100) == b"hi\n"


def test_stdin_is_read_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(lzma.compress(b"a\r\n\xff"))))
    with open_source("-") as file:
        assert file.read(100) == b"a\r\n\xff"
    assert (file.name, file.compression, file.regular) == ("stdin", "xz", False)


def test_a_closed_stdin_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(CorpusError, match=r"^stdin is closed$"), open_source("-"):
        pass
    closed = io.BytesIO()
    closed.close()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=closed))
    with pytest.raises(CorpusError, match=r"^cannot read stdin: "), open_source("-"):
        pass


# -- changes


@pytest.mark.parametrize(
    "meddled", [NOISE[:100], NOISE + b"more", NOISE[::-1]], ids=["less", "more", "other"]
)
def test_a_file_that_changes_while_it_is_read_is_an_error(meddled: bytes) -> None:
    path = Path("a.txt")
    path.write_bytes(NOISE)
    os.utime(path, ns=(0, 0))
    with open_source("a.txt") as file:
        file.read(10)
        path.write_bytes(meddled)
        file.read(10**6)
        with pytest.raises(CorpusError, match=r"^a\.txt changed while it was read$"):
            file.finish()


def test_a_file_name_with_markup_or_no_utf_8_reaches_the_error_readably() -> None:
    name = os.fsdecode(b"[bold]-\xff.gz")
    Path(name).write_bytes(gzip.compress(NOISE)[:-9])
    with pytest.raises(CorpusError, match=r"^\[bold\]-\\xff\.gz \(gzip\) is cut off"):
        read_texts([name], ReadOptions())
