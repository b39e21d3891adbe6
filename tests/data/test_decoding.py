"""Bytes come off the disk whole, unpacked and hashed, or what is wrong with them is said."""

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

from rnncli.data import decoding
from rnncli.data.config import ReadConfig
from rnncli.data.decoding import Opened, opened
from rnncli.data.reading import read
from rnncli.errors import CorpusError
from tests.systems import needs_fifos, needs_permissions, on_posix

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def zstd_with_checksum(data: bytes) -> bytes:
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd_with_checksum,
}
# Packed it still has many bytes to damage.
NOISE = bytes(random.Random(5).choices(range(32, 127), k=3_000))


@pytest.fixture(params=list(PACKERS))
def packing(request: pytest.FixtureRequest) -> str:
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
    with opened(name) as file:
        data = file.read(10**6)
        file.finish()
        return data


# -- plain files


@pytest.mark.parametrize("data", [b"", b"a", b"\0", NOISE], ids=["empty", "1 byte", "NUL", "long"])
def test_a_plain_file_comes_as_it_is_with_its_size_and_hash(data: bytes) -> None:
    path = Path("a.txt")
    path.write_bytes(data)
    with opened("a.txt") as file:
        assert file.read(1) + file.read(5) + file.read(10**6) == data
        assert file.read(1) == b""
        file.finish()
    assert (file.name, file.packing, file.regular) == ("a.txt", None, True)
    assert (file.disk_bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert file.modified_ns == path.stat().st_mtime_ns


@pytest.mark.parametrize(
    "data", [b"\x1f\x8b", b"BZh9 is what bzip2 writes", b"\xfd7zXZ", b"\x28\xb5\x2f", b"PK"]
)
def test_what_only_begins_like_a_packed_file_is_plain(data: bytes) -> None:
    Path("a.gz").write_bytes(data)
    assert content("a.gz") == data


@on_posix
@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null"])
def test_a_device_is_not_a_text(name: str) -> None:
    with pytest.raises(CorpusError, match=f"^{name} is a device, not a text$"), opened(name):
        pass


@pytest.mark.parametrize(
    "name", ["absent.txt", "absent/deeper.txt", "nul\0.txt", "n" * 300, "folder", "circle"]
)
def test_what_cannot_be_opened_is_named(name: str) -> None:
    Path("folder").mkdir()
    Path("circle").symlink_to("circle")
    with pytest.raises(CorpusError, match=f"^cannot read {name}: "), opened(name):
        pass


@needs_permissions
def test_a_file_without_permission_is_an_error() -> None:
    Path("a.txt").touch(mode=0)
    with pytest.raises(CorpusError, match=r"^cannot read a\.txt: Permission denied$"), opened("a.txt"):
        pass


def test_a_failing_disk_is_an_error_that_names_the_file() -> None:
    def fail(size: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(CorpusError, match=r"^cannot read a\.txt: Input/output error$"):
        Opened("a.txt", SimpleNamespace(read=fail), None)  # type: ignore[arg-type]


# -- packed files


@pytest.mark.parametrize("size", [1, 3_000])
def test_a_packed_file_is_told_by_its_first_bytes_and_unpacked(packing: str, size: int) -> None:
    packed = PACKERS[packing](NOISE[:size])
    Path("novel.txt").write_bytes(packed)
    with opened("novel.txt") as file:
        assert file.read(7) + file.read(10**6) == NOISE[:size]
        file.finish()
    assert file.packing == packing
    assert (file.disk_bytes, file.sha256) == (len(packed), hashlib.sha256(packed).hexdigest())


def test_a_packed_file_of_nothing_is_an_empty_text(packing: str) -> None:
    Path("a.txt").write_bytes(PACKERS[packing](b""))
    assert content("a.txt") == b""


def test_all_members_of_a_packed_file_are_read(packing: str) -> None:
    pack = PACKERS[packing]
    Path("a.txt").write_bytes(pack(b"one ") + pack(b"") + pack(b"two ") + pack(b"three"))
    assert content("a.txt") == b"one two three"


def test_what_follows_the_last_member_is_hashed_too() -> None:
    packed = gzip.compress(b"text") + b"\0" * 512
    Path("a.gz").write_bytes(packed)
    with opened("a.gz") as file:
        assert file.read(100) == b"text"
        file.finish()
    assert file.sha256 == hashlib.sha256(packed).hexdigest()


def test_a_packed_file_cut_off_anywhere_is_an_error(packing: str) -> None:
    packed = PACKERS[packing](NOISE[:40])
    for length in range(10, len(packed)):
        Path("a.txt").write_bytes(packed[:length])
        with pytest.raises(CorpusError, match=rf"^a\.txt, packed by {packing}, is cut off after \d+ bytes"):
            content("a.txt")


def test_a_second_member_that_is_cut_off_is_an_error(packing: str) -> None:
    packed = PACKERS[packing](NOISE)
    Path("a.txt").write_bytes(packed + packed[: len(packed) // 2])
    with pytest.raises(CorpusError, match=r"is cut off after [\d,]+ bytes"):
        content("a.txt")


def test_a_damaged_packed_file_is_an_error(packing: str) -> None:
    packed = bytearray(PACKERS[packing](NOISE))
    for position in range(len(packed) // 4, len(packed) * 3 // 4, 97):
        damaged = packed.copy()
        damaged[position] ^= 0x55
        Path("a.txt").write_bytes(damaged)
        with pytest.raises(CorpusError, match=rf"^a\.txt, packed by {packing}, is (damaged \(.*\)|cut off) "):
            content("a.txt")


def test_a_later_member_that_is_damaged_is_an_error(packing: str) -> None:
    """Its first bytes above all: some readers take it for something that is not theirs."""
    first, second = (PACKERS[packing](part) for part in (b"one ", NOISE))
    for position in (0, 2, len(second) // 2):
        damaged = bytearray(second)
        damaged[position] ^= 0x55
        Path("a.txt").write_bytes(first + damaged + first)
        with pytest.raises(CorpusError, match=rf"^a\.txt, packed by {packing}, is (damaged|cut off)"):
            content("a.txt")


@pytest.mark.parametrize("packing", ["gzip", "bzip2", "xz"])
def test_nuls_may_follow_a_packed_text(packing: str) -> None:
    packed = PACKERS[packing](b"one ")
    Path("a.txt").write_bytes(packed + b"\0" * 70_000)
    assert content("a.txt") == b"one "
    Path("a.txt").write_bytes(packed + b"\0" * 70_000 + packed)
    assert content("a.txt") == b"one one "


def test_a_bomb_is_refused_before_it_fills_the_memory(packing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_BOMB_BYTES", 1_000)
    monkeypatch.setattr(decoding, "_BOMB_RATIO", 3)
    Path("a.txt").write_bytes(PACKERS[packing](b"\n" * 10**6))
    unpacked: list[bytes] = []
    with opened("a.txt") as file:
        blocks = iter(lambda: file.read(500), b"")
        with pytest.raises(CorpusError, match=r"^a\.txt unpacks to more than 3 times its size"):
            unpacked.extend(blocks)
    assert 0 < sum(map(len, unpacked)) <= max(1_000, 3 * Path("a.txt").stat().st_size)


def test_a_small_text_may_shrink_as_much_as_it_likes(packing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_BOMB_RATIO", 3)
    Path("a.txt").write_bytes(PACKERS[packing](b"\n" * 10**5))
    assert content("a.txt") == b"\n" * 10**5


# -- pipes


@needs_fifos
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_fifo_is_read_to_its_end(pack: Callable[[bytes], bytes]) -> None:
    os.mkfifo("fifo")
    writer = Thread(target=Path("fifo").write_bytes, args=[pack(NOISE * 50)])
    writer.start()
    with opened("fifo") as file:
        assert file.read(10**6) == NOISE * 50
        file.finish()
    writer.join()
    assert (file.regular, file.modified_ns) == (False, None)


def test_a_pipe_that_dribbles_fills_whole_blocks_all_the_same() -> None:
    file = Opened("-", Pipe(*(bytes([byte]) for byte in NOISE), ends=True), None)  # type: ignore[arg-type]
    assert file.read(1_000) == NOISE[:1_000]
    assert file.read(10**6) == NOISE[1_000:]


def test_what_has_come_through_a_pipe_can_be_had_at_once() -> None:
    file = Opened("-", Pipe(b"hello, world\n", b"more", ends=False), None)  # type: ignore[arg-type]
    assert file.read_some(100) + file.read_some(100) == b"hello, world\n"
    assert file.read_some(100) == b"more"


def test_a_short_line_through_a_pipe_need_not_wait_for_the_next() -> None:
    file = Opened("-", Pipe(b"hi\n", ends=False), None)  # type: ignore[arg-type]
    assert file.read_some(100) == b"hi\n"


def test_stdin_is_read_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(lzma.compress(b"a\r\n\xff"))))
    with opened("-") as file:
        assert file.read(100) == b"a\r\n\xff"
    assert (file.name, file.packing, file.regular) == ("stdin", "xz", False)


def test_a_closed_stdin_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(CorpusError, match=r"^stdin is closed$"), opened("-"):
        pass
    closed = io.BytesIO()
    closed.close()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=closed))
    with pytest.raises(CorpusError, match=r"^cannot read stdin: "), opened("-"):
        pass


# -- changes


@pytest.mark.parametrize(
    "meddled", [NOISE[:100], NOISE + b"more", NOISE[::-1]], ids=["less", "more", "other"]
)
def test_a_file_that_changes_while_it_is_read_is_an_error(meddled: bytes) -> None:
    path = Path("a.txt")
    path.write_bytes(NOISE)
    os.utime(path, ns=(0, 0))
    with opened("a.txt") as file:
        file.read(10)
        path.write_bytes(meddled)
        file.read(10**6)
        with pytest.raises(CorpusError, match=r"^a\.txt changed while it was read$"):
            file.finish()


def test_a_file_name_with_markup_or_no_utf_8_reaches_the_error_readably() -> None:
    name = os.fsdecode(b"[bold]-\xff.gz")
    Path(name).write_bytes(gzip.compress(NOISE)[:-9])
    with pytest.raises(CorpusError, match=r"^\[bold\]-\\xff\.gz, packed by gzip, is cut off"):
        read([name], ReadConfig())
