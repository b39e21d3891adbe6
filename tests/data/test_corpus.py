"""A text read in blocks is the same text, wherever blocks end and however it is compressed."""

import gzip
import hashlib
import io
import os
import pickle
import tempfile
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnncli.data import compression, decoding
from rnncli.data import corpus as corpus_module
from rnncli.data.config import ReadOptions, TextConfig
from rnncli.data.corpus import Corpus
from rnncli.data.dataset import Origin
from rnncli.errors import CorpusError

HARD = st.text("ab \n\n\r\t\0月光é\u0301🙂\u2028\x85\x0b𠀀", max_size=80)
# A leading U+FEFF would be a byte order mark, and a NUL after the mark of UTF-16 makes that of UTF-32.
TEXTS = (HARD | st.text(max_size=40)).filter(lambda text: not text.startswith(("\ufeff", "\0")))
LINES = "".join(f"line {number}\n" for number in range(200))


def scan(*names: str, block_bytes: int | None = None, **how: object) -> Corpus:
    """Surveyed with blocks of about that size; None for those of everyday."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (decoding, corpus_module) if block_bytes else ():
            patch.setattr(module, "BLOCK_BYTES", block_bytes)
        config = ReadOptions(**how)  # type: ignore[arg-type]
        return Corpus.scan(names, config, Path(tempfile.mkdtemp(dir=".")).absolute())


def scan_bytes(data: bytes, **how: object) -> Corpus:
    Path("a.txt").write_bytes(data)
    return scan("a.txt", **how)  # type: ignore[arg-type]


def texts_of(corpus: Corpus) -> list[str]:
    return [block.read() for block in corpus.readable_blocks()]


def check(corpus: Corpus, text: str) -> None:
    """Everything known of the corpus is true of `text`."""
    blocks = texts_of(corpus)
    assert "".join(blocks) == text == corpus.sample(len(text))
    assert all(blocks)
    assert (corpus.characters, corpus.bytes) == (len(text), len(text.encode()))
    assert corpus.lines == text.count("\n") + (not text.endswith("\n") and text != "")
    histogram = dict(zip(map(chr, corpus.code_points.tolist()), corpus.histogram.tolist(), strict=True))
    assert histogram == Counter(text)
    assert corpus.alphabet == "".join(sorted(set(text)))
    before = ""
    for block, content in zip(corpus.blocks, blocks, strict=True):
        size = len(before.encode())
        assert (block.start, block.stop) == (size, size + len(content.encode()))
        assert (block.characters_before, block.lines_before) == (len(before), before.count("\n"))
        before += content


# -- the same text


@settings(max_examples=60)
@given(TEXTS, st.integers(4, 24), st.sampled_from(["utf-8", "gb18030", "utf-16", "gzip"]))
def test_a_text_in_blocks_is_the_text_decoded_whole(text: str, block_bytes: int, how: str) -> None:
    if how == "gzip":
        corpus = scan_bytes(gzip.compress(text.encode()), block_bytes=block_bytes, encoding="utf-8")
    else:
        data = text.encode(how)
        corpus = scan_bytes(data, block_bytes=block_bytes, encoding=how)
    check(corpus, text if how == "gzip" else text.encode(how).decode(how))


@settings(max_examples=40)
@given(st.lists(HARD, max_size=5), st.integers(4, 24))
def test_several_sources_are_one_text_whatever_each_is_written_in(texts: list[str], block_bytes: int) -> None:
    ways = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-8")
    for number, (text, way) in enumerate(zip(texts, ways, strict=False)):
        text = "" if way == "utf-16" and text.startswith("\0") else text
        texts[number] = text
        Path(f"{number}.txt").write_bytes(text.encode(way))
    names = [f"{number}.txt" for number in range(len(texts))]
    check(scan(*names, block_bytes=block_bytes, encoding="utf-8"), "".join(texts))


@settings(max_examples=40)
@given(HARD, st.integers(4, 12))
def test_a_text_with_line_ends_of_unix_is_counted_as_it_is_read(text: str, block_bytes: int) -> None:
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    check(scan_bytes(text.encode(), block_bytes=block_bytes, encoding="utf-8", newlines="unix"), unix)


def test_what_was_replaced_is_counted_as_it_is_read() -> None:
    corpus = scan_bytes(b"one\xfftwo\n\xfe" * 9, block_bytes=8, errors="replace")
    check(corpus, "one\ufffdtwo\n\ufffd" * 9)
    assert corpus.encoding == "utf-8, 18 replaced"


@pytest.mark.parametrize("content", ["", "a", "\n", "\n\n", "a\nb", "a\r\nb\r\n", "\ufeff\ufeffa", "\0"])
def test_short_texts_are_texts(content: str) -> None:
    check(scan_bytes(content.encode(), encoding="utf-8"), content.removeprefix("\ufeff"))


def test_a_text_that_cannot_be_read_twice_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(LINES.encode())))
    Path("a.txt").write_text("before\n")
    corpus = scan("a.txt", "-", block_bytes=64)
    check(corpus, "before\n" + LINES)
    assert [source.modified_ns is None for source in corpus.sources] == [False, True]
    corpus.check_unchanged()


def test_a_plain_text_is_not_copied_and_two_others_may_share_a_folder() -> None:
    scratch = Path("scratch").absolute()
    scratch.mkdir()
    Path("a.txt").write_text(LINES)
    Corpus.scan(["a.txt"], ReadOptions(), scratch)
    assert not list(scratch.iterdir())
    first = Corpus.scan(["a.txt"], ReadOptions(newlines="unix"), scratch)
    Path("b.txt").write_text("other")
    second = Corpus.scan(["b.txt"], ReadOptions(newlines="unix"), scratch)
    assert ("".join(texts_of(first)), "".join(texts_of(second))) == (LINES, "other")


def test_a_passage_is_all_that_another_process_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = list(scan_bytes(LINES.encode(), block_bytes=64).readable_blocks())
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert "".join(pickle.loads(pickle.dumps(block)).read() for block in blocks) == LINES


# -- blocks


@settings(max_examples=40)
@given(st.lists(st.text("ab 月", max_size=3), max_size=60), st.integers(0, 9))
def test_blocks_end_after_a_line_where_lines_are_short(lines: Sequence[str], more: int) -> None:
    text = "".join(line + "\n" for line in lines) + "x"
    *whole, _ = texts_of(scan_bytes(text.encode(), block_bytes=32 + more))
    assert all(block.endswith("\n") for block in whole)


@pytest.mark.parametrize(
    "line", ["x" * 999, "some words " * 99, "月" * 333], ids=["letters", "words", "Chinese"]
)
def test_a_line_longer_than_a_block_is_divided_between_words_or_else_anywhere(line: str) -> None:
    corpus = scan_bytes(line.encode(), block_bytes=32)
    check(corpus, line)
    *cut, _ = texts_of(corpus)
    assert len(cut) > 9
    assert max(len(block.encode()) for block in cut) <= 2 * 32 + 4
    if " " in line:
        assert [word for block in texts_of(corpus) for word in block.split()] == line.split()


def test_many_lines_of_one_character_are_many_lines() -> None:
    corpus = scan_bytes(b"a\n" * 5_000, block_bytes=64)
    check(corpus, "a\n" * 5_000)
    assert corpus.lines == 5_000
    assert all(number.lines_before < after.lines_before for number, after in pairwise(corpus.blocks))


# -- what is known of the sources


def test_a_corpus_knows_the_hash_the_encoding_and_the_name_of_its_sources() -> None:
    compressed = gzip.compress(b"two\n")
    Path("a.txt").write_bytes(b"one\n")
    Path("b.gz").write_bytes(compressed)
    hashes = [hashlib.sha256(data).hexdigest() for data in (b"one\n", compressed)]
    corpus = scan("a.txt", "b.gz")
    assert [(source.path, source.sha256, source.bytes) for source in corpus.sources] == [
        ("a.txt", hashes[0], 4),
        ("b.gz", hashes[1], len(compressed)),
    ]
    several, one = (Origin.of(text, None, TextConfig()).sha256 for text in (corpus, scan("a.txt")))
    assert several == hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    assert one == hashes[0]
    assert (corpus.name, corpus.inputs, corpus.encoding) == (
        "a.txt, b.gz",
        ("a.txt", "b.gz"),
        "utf-8, utf-8, gzip",
    )


def test_a_sample_of_a_long_text_comes_from_everywhere() -> None:
    sample = scan_bytes(LINES.encode(), block_bytes=32).sample(640)
    assert 320 < len(sample) <= 640
    assert {f"line {tens}" for tens in range(1, 20)} <= {line[:-1] for line in sample.split("\n")}


def test_a_sample_of_many_small_files_is_as_long_as_one_of_a_single_file() -> None:
    for number in range(500):
        Path(f"{number}.txt").write_text("ten bytes\n")
    assert len(scan(*(f"{number}.txt" for number in range(500))).sample(1_000)) > 500


# -- changes


def meddle(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    os.utime(path, ns=(0, 0))


@pytest.mark.parametrize("how", ["plain", "compressed"])
@pytest.mark.parametrize("after", [b"", b"short", b"other bytes, and more of them" * 99])
def test_a_file_that_changed_after_it_was_read_is_refused(how: str, after: bytes) -> None:
    corpus = scan_bytes(LINES.encode() if how == "plain" else gzip.compress(LINES.encode()))
    corpus.check_unchanged()
    meddle(Path("a.txt"), after)
    with pytest.raises(CorpusError, match=r"a\.txt changed while it was read$"):
        corpus.check_unchanged()


@pytest.mark.parametrize("after", [b"", LINES.encode()[:-1], b"\xff" * len(LINES), None])
def test_a_file_that_shrank_or_broke_or_went_cannot_be_read_again(after: bytes | None) -> None:
    corpus = scan_bytes(LINES.encode(), block_bytes=64)
    Path("a.txt").unlink()
    if after is not None:
        meddle(Path("a.txt"), after)
    with pytest.raises(CorpusError, match=r"a\.txt changed while it was read$"):
        texts_of(corpus)


def test_a_sample_of_a_file_that_went_is_an_error_too() -> None:
    corpus = scan_bytes(LINES.encode(), block_bytes=64)
    Path("a.txt").unlink()
    with pytest.raises(CorpusError, match=r"a\.txt changed while it was read$"):
        corpus.sample(100)


@pytest.mark.parametrize("after", [LINES + "and more", LINES[:300]], ids=["grows", "shrinks"])
@pytest.mark.parametrize("newlines", ["keep", "unix"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    monkeypatch: pytest.MonkeyPatch, after: str, newlines: str
) -> None:
    Path("a.txt").write_text(LINES)
    take = compression._RawFile._take

    def meddling(raw: compression._RawFile, size: int) -> bytes:
        data = take(raw, size)
        if raw.bytes_read > 600:
            meddle(Path("a.txt"), after.encode())
        return data

    monkeypatch.setattr(compression._RawFile, "_take", meddling)
    with pytest.raises(CorpusError, match=r"^a\.txt changed while it was read$"):
        scan("a.txt", block_bytes=64, newlines=newlines)
