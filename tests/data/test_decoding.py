"""Decoding is strict and changes nothing unless an option says so."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data import decoding
from rnncli.data.compression import open_source
from rnncli.data.config import ReadOptions
from rnncli.data.decoding import CharacterStream, Text, joined_name, likely_encodings
from rnncli.errors import ConfigError, CorpusError, OptionError

MARKED = [
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
]
VERSE = "床前明月光,疑是地上霜。\nnaïve 🙂\n"
SIMPLE = "床前明月光，疑是地上霜。举头望明月，低头思故乡。\n"
FULL = "床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。\n"
IROHA = "いろはにほへと ちりぬるを わかよたれそ つねならむ うゐのおくやま けふこえて\n"
HANGUL = "나랏말이 중국과 달라 문자로 서로 통하지 아니하므로 어리석은 백성이 말하고자 하는 바가\n"
# What is written in it, and under which names it may be suggested.
ENCODINGS = [
    ("gb18030", SIMPLE, {"gb18030"}),
    ("gbk", SIMPLE, {"gb18030", "gbk"}),
    ("big5", FULL, {"big5", "cp950", "big5hkscs"}),
    ("shift-jis", IROHA, {"cp932", "shift-jis"}),
    ("euc-kr", HANGUL, {"cp949", "euc-kr"}),
    ("utf-16-le", SIMPLE, {"utf-16-le"}),
    ("utf-16-be", SIMPLE, {"utf-16-be"}),
]
by_encoding = pytest.mark.parametrize(
    ("encoding", "text", "names"), ENCODINGS, ids=[encoding for encoding, *_ in ENCODINGS]
)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "BLOCK_BYTES", 16)


def read(*names: str, **settings: object) -> Text:
    return decoding.read_texts(names, ReadOptions(**settings))  # type: ignore[arg-type]


def read_bytes(data: bytes, **settings: object) -> Text:
    Path("a.txt").write_bytes(data)
    return read("a.txt", **settings)


def give_stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))


# -- byte order marks


@pytest.mark.parametrize(("mark", "encoding"), MARKED, ids=[encoding for _, encoding in MARKED])
@pytest.mark.parametrize("asked", [None, "gb18030", "utf-16", "utf-8-sig"])
def test_a_byte_order_mark_decides_the_encoding_and_is_dropped(
    mark: bytes, encoding: str, asked: str | None
) -> None:
    text = read_bytes(mark + VERSE.encode(encoding), encoding=asked)
    assert (text.content, text.encoding) == (VERSE, encoding)


@pytest.mark.parametrize(("mark", "encoding"), MARKED, ids=[encoding for _, encoding in MARKED])
def test_a_byte_order_mark_alone_is_an_empty_text(mark: bytes, encoding: str) -> None:
    assert read_bytes(mark) == Text(("",), "a.txt", encoding)


def test_only_the_first_mark_of_a_file_is_dropped() -> None:
    assert read_bytes(b"\xef\xbb\xbf\xef\xbb\xbfa").content == "\ufeffa"


# -- utf-8


@pytest.mark.parametrize("content", ["", "a", "月", VERSE, VERSE.rstrip()])
def test_without_a_mark_a_text_is_utf_8(content: str) -> None:
    assert read_bytes(content.encode()) == Text((content,), "a.txt", "utf-8")


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"\xff", r"0 \(0xFF\)"),
        (b"ab\xc3(", r"2 \(0xC3\)"),
        (b"\xef\xbb\xbfab\xff", r"5 \(0xFF\)"),
        (b"a" * 1234 + b"\xe4\xb8", r"1,234 \(0xE4\)"),
        (b"a" * 15 + b"\xe6\x9c(", r"15 \(0xE6\)"),
        ("月".encode() * 10 + b"\x88", r"30 \(0x88\)"),
        (b"\xed\xa0\x80", r"0 \(0xED\)"),
    ],
    ids=["first", "second byte", "after a mark", "cut off", "over two blocks", "block three", "surrogate"],
)
def test_invalid_utf_8_is_refused_with_its_byte_offset(
    small_blocks: None, content: bytes, where: str
) -> None:
    with pytest.raises(CorpusError, match=rf"^a\.txt is not valid utf-8 at byte offset {where}$") as caught:
        read_bytes(content)
    assert "--errors replace puts U+FFFD" in caught.value.hint


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_english_in_utf_16_without_a_mark_is_no_utf_8_full_of_nuls(encoding: str) -> None:
    with pytest.raises(CorpusError, match=r"^a\.txt is full of NUL bytes") as caught:
        read_bytes("plain words\n".encode(encoding))
    assert "--encoding utf-16-le" in caught.value.hint


def test_a_few_nuls_are_characters_and_many_are_where_the_encoding_is_named() -> None:
    assert read_bytes(b"one\0two three\0").content == "one\0two three\0"
    assert read_bytes(b"\0\0a\0", encoding="utf-8").content == "\0\0a\0"


# -- other encodings


@by_encoding
def test_a_named_encoding_is_used(small_blocks: None, encoding: str, text: str, names: set[str]) -> None:
    assert read_bytes((text * 3).encode(encoding), encoding=encoding) == Text((text * 3,), "a.txt", encoding)


@by_encoding
@pytest.mark.parametrize("before", [0, 3], ids=["at once", "after lines of ASCII"])
def test_another_encoding_is_suggested_and_never_guessed(
    encoding: str, text: str, names: set[str], before: int
) -> None:
    data = b"a line\n" * (before if "16" not in encoding else 0) + (text * 4).encode(encoding)
    with pytest.raises(CorpusError, match="is not valid utf-8 at byte offset") as caught:
        read_bytes(data)
    suggested = caught.value.hint.partition("try --encoding ")[2].partition(";")[0]
    assert suggested in names
    assert read_bytes(data, encoding=suggested).content.endswith(text)


@by_encoding
@pytest.mark.parametrize("shift", [0, 1])
def test_the_right_encoding_of_a_long_text_is_suggested_too(
    encoding: str, text: str, names: set[str], shift: int
) -> None:
    data = b"a" * (shift if "16" not in encoding else 0) + b"\n" * ("16" not in encoding)
    with pytest.raises(CorpusError) as caught:
        read_bytes(data + (text * 2_000).encode(encoding))
    assert caught.value.hint.partition("try --encoding ")[2].partition(";")[0] in names


def test_gb18030_is_suggested_though_the_bytes_end_inside_a_character() -> None:
    assert "gb18030" in likely_encodings(SIMPLE.encode("gb18030") + b"\xb4")


def test_no_encoding_is_suggested_that_does_not_decode() -> None:
    for name in likely_encodings(bytes(range(256)) * 8):
        (bytes(range(256)) * 8).decode(name)


@pytest.mark.parametrize("encoding", ["klingon-8", "zlib", "rot13", "undefined", "a" * 999, "\udcff", "a\0b"])
def test_an_encoding_nobody_knows_is_refused_by_name(encoding: str) -> None:
    with pytest.raises(OptionError, match=r"^there is no encoding named ") as caught:
        read_bytes(b"abc", encoding=encoding)
    assert repr(encoding) in str(caught.value)


def test_a_text_with_lone_surrogates_is_not_valid() -> None:
    with pytest.raises(CorpusError, match="not valid utf-7"):
        read_bytes("abc\ud800".encode("utf-7", "surrogatepass"), encoding="utf-7")


# -- errors replace


@pytest.mark.parametrize(
    ("data", "content", "described"),
    [
        (b"a\xffb\xfe\xfe", "a\ufffdb\ufffd\ufffd", "utf-8, 3 replaced"),
        (b"a" * 15 + b"\xe6\x9c(" + b"\xff" * 20, "a" * 15 + "\ufffd(" + "\ufffd" * 20, "utf-8, 21 replaced"),
        ("\ufffd ok".encode(), "\ufffd ok", "utf-8"),
        (b"cut off \xe6", "cut off \ufffd", "utf-8, 1 replaced"),
    ],
)
def test_what_does_not_decode_is_replaced_on_demand_and_counted(
    small_blocks: None, data: bytes, content: str, described: str
) -> None:
    assert read_bytes(data, errors="replace") == Text((content,), "a.txt", described)


def test_a_named_encoding_is_replaced_in_too() -> None:
    data = SIMPLE.encode("gb18030") + b"\xff\n" + SIMPLE.encode("gb18030")
    text = read_bytes(data, errors="replace", encoding="gb18030")
    assert text == Text((SIMPLE + "\ufffd\n" + SIMPLE,), "a.txt", "gb18030, 1 replaced")


# -- line ends


@pytest.mark.parametrize("ends", ["a\r\nb\rc\nd\x85e\u2028f\u2029g\x0bh\x0ci\0j\x1a", "a\r\n", "a\r"])
def test_line_ends_are_never_touched(ends: str) -> None:
    assert read_bytes(ends.encode()).content == ends


@given(st.text("a\r\n月\x85\u2028\x0b\x0c"), st.integers(4, 9))
def test_line_ends_become_those_of_unix_wherever_a_block_ends(text: str, block_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "BLOCK_BYTES", block_bytes)
        read_text = read_bytes(text.encode(), newlines="unix").content
    assert read_text == text.replace("\r\n", "\n").replace("\r", "\n")


def test_a_setting_nobody_knows_is_refused() -> None:
    for setting in ({"errors": "ignore"}, {"newlines": "dos"}):
        with pytest.raises(ConfigError):
            ReadOptions(**setting)  # type: ignore[arg-type]


# -- several sources


def test_files_follow_one_another_in_the_order_given_with_nothing_between() -> None:
    Path("b.txt").write_bytes(b"\xef\xbb\xbfbe")
    Path("a.txt").write_bytes("é\n".encode("utf-16"))
    assert read("b.txt", "a.txt", "b.txt") == Text(
        ("be", "é\n", "be"), "b.txt, a.txt, b.txt", "utf-8, utf-16-le"
    )


def test_many_names_are_shortened() -> None:
    assert joined_name(["far/1.txt", "-", "3"]) == "1.txt, stdin, 3"
    assert joined_name([f"far/{number}.txt" for number in range(2_000)]) == "0.txt and 1,999 more"


@pytest.mark.parametrize("name", ["absent.txt", "absent/deeper.txt", "nul\0.txt", "circle", "n" * 300])
def test_a_file_that_cannot_be_opened_is_named(name: str) -> None:
    Path("circle").symlink_to("circle")
    with pytest.raises(CorpusError, match=f"^cannot read {name}: "):
        read(name)


def test_a_dash_is_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.txt").write_bytes(b"a\n")
    give_stdin(monkeypatch, b"\xff\xfe" + "é\r\n".encode("utf-16-le"))
    assert read("a.txt", "-") == Text(("a\n", "é\r\n"), "a.txt, stdin", "utf-8, utf-16-le")


def test_stdin_is_decoded_as_strictly_as_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    give_stdin(monkeypatch, b"abc\xff")
    with pytest.raises(CorpusError, match=r"stdin is not valid utf-8 at byte offset 3 \(0xFF\)"):
        read("-")


@pytest.mark.parametrize(("mark", "encoding"), MARKED, ids=[encoding for _, encoding in MARKED])
@pytest.mark.parametrize("size", [1, 3, 99])
def test_a_byte_order_mark_decides_however_little_comes_at_once(
    monkeypatch: pytest.MonkeyPatch, mark: bytes, encoding: str, size: int
) -> None:
    data = io.BytesIO(mark + VERSE.encode(encoding))
    pipe = SimpleNamespace(read=None, read1=lambda wanted: data.read(min(wanted, size)))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=pipe))
    with open_source("-") as file:
        stream = CharacterStream(file, ReadOptions(), as_available=True)
        assert ("".join(stream), stream.encoding) == (VERSE, encoding)


def test_a_stream_can_be_had_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = [b"one line a", b"nd\n", "月".encode()[:2], "月".encode()[2:], b"end", b""]
    pipe = SimpleNamespace(read=None, read1=lambda size: chunks.pop(0))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=pipe))
    with open_source("-") as file:
        assert "|".join(CharacterStream(file, ReadOptions(), as_available=True)) == "one line a|nd\n|月|end"
