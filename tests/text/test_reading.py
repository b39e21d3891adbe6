"""Bytes become characters once, strictly, and nothing about them changes."""

import hashlib
import io
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from rnncli.errors import CorpusError
from rnncli.text.reading import TextCounts, count, read

MARKED = [
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
]
VERSE = "床前明月光,疑是地上霜。\nnaïve 🙂\n"


def give_stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))


@pytest.mark.parametrize(("mark", "encoding"), MARKED, ids=[encoding for _, encoding in MARKED])
def test_a_byte_order_mark_decides_the_encoding_and_is_dropped(
    own_folder: Path, mark: bytes, encoding: str
) -> None:
    (own_folder / "a.txt").write_bytes(mark + VERSE.encode(encoding))
    for asked in (None, "gb18030"):
        text = read(["a.txt"], asked)
        assert (text.content, text.encoding) == (VERSE, encoding)


def test_only_the_first_mark_of_a_file_is_dropped(own_folder: Path) -> None:
    (own_folder / "a.txt").write_bytes(b"\xef\xbb\xbf\xef\xbb\xbfa")
    assert read(["a.txt"]).content == "\ufeffa"


def test_without_a_mark_a_text_is_utf_8(own_folder: Path) -> None:
    (own_folder / "a.txt").write_bytes(VERSE.encode())
    text = read(["a.txt"])
    assert (text.content, text.encoding, text.name) == (VERSE, "utf-8", "a.txt")


@pytest.mark.parametrize(
    ("content", "offset"), [(b"\xff", "0"), (b"ab\xc3(", "2"), (b"a" * 1234 + b"\xe4\xb8", "1,234")]
)
def test_invalid_utf_8_is_refused_with_its_byte_offset(own_folder: Path, content: bytes, offset: str) -> None:
    (own_folder / "a.txt").write_bytes(content)
    with pytest.raises(CorpusError, match=rf"^a\.txt is not valid utf-8 at byte offset {offset}$") as caught:
        read(["a.txt"])
    assert "gb18030" in caught.value.hint


def test_a_byte_offset_counts_the_byte_order_mark(own_folder: Path) -> None:
    (own_folder / "a.txt").write_bytes(b"\xef\xbb\xbfab\xff")
    with pytest.raises(CorpusError, match=r"byte offset 5$"):
        read(["a.txt"])


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("gb18030", "静夜思 𠀀"),
        ("gbk", "静夜思"),
        ("big5", "靜夜思"),
        ("shift-jis", "いろは"),
        ("euc-kr", "한국어"),
        ("utf-16-le", "plain"),
        ("latin-1", "été"),
    ],
)
def test_a_named_encoding_is_used(own_folder: Path, encoding: str, content: str) -> None:
    (own_folder / "a.txt").write_bytes(content.encode(encoding))
    text = read(["a.txt"], encoding)
    assert (text.content, text.encoding) == (content, encoding)


@pytest.mark.parametrize("encoding", ["klingon-8", "zlib", "rot13"])
def test_an_encoding_nobody_knows_is_refused_by_name(own_folder: Path, encoding: str) -> None:
    (own_folder / "a.txt").write_bytes(b"abc")
    with pytest.raises(CorpusError, match=f"no encoding named '{encoding}'"):
        read(["a.txt"], encoding)


def test_a_text_with_lone_surrogates_is_not_valid(own_folder: Path) -> None:
    (own_folder / "a.txt").write_bytes("abc\ud800".encode("utf-7", "surrogatepass"))
    with pytest.raises(CorpusError, match="not valid utf-7"):
        read(["a.txt"], "utf-7")


def test_files_follow_one_another_in_the_order_given_with_nothing_between(own_folder: Path) -> None:
    (own_folder / "b.txt").write_bytes(b"\xef\xbb\xbfbe")
    (own_folder / "a.txt").write_bytes("é\n".encode("utf-16"))
    text = read(["b.txt", "a.txt"])
    assert text.content == "beé\n"
    assert text.name == "b.txt, a.txt"
    assert text.encoding == "utf-8, utf-16-le"
    expected = hashlib.sha256(b"\xef\xbb\xbfbe" + "é\n".encode("utf-16"))
    assert text.sha256 == expected.hexdigest()


def test_line_ends_are_never_touched(own_folder: Path) -> None:
    ends = "a\r\nb\rc\nd\x85e\u2028f\u2029g\x0bh\x0ci\0j\x1a"
    (own_folder / "a.txt").write_bytes(ends.encode())
    assert read(["a.txt"]).content == ends


def test_an_empty_file_is_an_empty_text(own_folder: Path) -> None:
    (own_folder / "a.txt").touch()
    assert read(["a.txt"]).content == ""


@pytest.mark.parametrize("name", ["absent.txt", "absent/deeper.txt", "nul\0.txt", "n" * 300])
def test_a_file_that_cannot_be_opened_is_named(name: str) -> None:
    with pytest.raises(CorpusError, match=r"^cannot read ") as caught:
        read([name])
    assert name in str(caught.value)


def test_links_in_a_circle_are_an_error(own_folder: Path) -> None:
    (own_folder / "circle").symlink_to("circle")
    with pytest.raises(CorpusError, match="cannot read circle"):
        read(["circle"])


def test_a_folder_is_not_a_text(own_folder: Path) -> None:
    (own_folder / "novels").mkdir()
    with pytest.raises(CorpusError, match="novels is a folder"):
        read(["novels"])


def test_a_dash_is_stdin(monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    (own_folder / "a.txt").write_bytes(b"a\n")
    give_stdin(monkeypatch, b"\xff\xfe" + "é\r\n".encode("utf-16-le"))
    text = read(["a.txt", "-"])
    assert (text.content, text.name) == ("a\né\r\n", "a.txt, stdin")


def test_stdin_is_decoded_as_strictly_as_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    give_stdin(monkeypatch, b"abc\xff")
    with pytest.raises(CorpusError, match="stdin is not valid utf-8 at byte offset 3"):
        read(["-"])


def test_a_closed_stdin_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(CorpusError, match="stdin is closed"):
        read(["-"])


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("", TextCounts(0, 0, 0)),
        (" \n\t\r\u2028", TextCounts(5, 0, 7)),
        ("one  two\nthree", TextCounts(14, 3, 14)),
        ("月光 🙂\n", TextCounts(5, 2, 12)),
        ("e\u0301", TextCounts(2, 1, 3)),
    ],
)
def test_sizes_are_code_points_words_between_blanks_and_bytes_of_utf_8(text: str, counts: TextCounts) -> None:
    assert count(text) == counts


def test_bytes_are_those_of_utf_8_whatever_the_file_used(own_folder: Path) -> None:
    (own_folder / "a.txt").write_bytes("月光".encode("utf-32"))
    assert count(read(["a.txt"]).content).bytes == 6


def test_a_file_name_that_is_no_utf_8_can_be_printed(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/novel-\xff.txt")
    Path(path).write_text("text")
    assert read([path]).name == "novel-\\xff.txt"
