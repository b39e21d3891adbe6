"""`rnncli tokenize --encode` and `--decode`: text to ids and back, through pipes."""

from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Command, words

TEXT = "The kitten sat, the rain came down;\n\n  two blanks, a tab\there\nno line end"
TOKENIZERS = [
    ("--level", "char"),
    ("--level", "byte"),
    ("--level", "subword", "--vocab-size", "300"),
    ("--level", "word", "--pattern", r"\w+|[^\w\s]"),
]


@pytest.fixture
def text(own_folder: Path) -> Path:
    path = own_folder / "text.txt"
    path.write_text((TEXT + "\n") * 20 + "Grüße, 世界\n")
    return path


@pytest.mark.parametrize("options", TOKENIZERS, ids=" ".join)
@pytest.mark.parametrize("end", ["", "\n", "\n\n"], ids=repr)
def test_a_text_comes_back_from_its_ids(
    rnncli: Command, text: Path, options: tuple[str, ...], end: str
) -> None:
    made = rnncli("tokenize", text, "-o", "t.tok", "--valid-fraction", "0.01", *options)
    assert made.code == 0, made.err
    content = (TEXT + end).encode()
    ids = rnncli("tokenize", "--encode", "--tokenizer", "t.tok", stdin=content)
    assert (ids.code, ids.err) == (0, "")
    assert ids.out.count("\n") == content.count(b"\n") + (not content.endswith(b"\n")), "a line a line"
    back = rnncli("tokenize", "--decode", "--tokenizer", "t.tok", stdin=ids.out.encode())
    assert (back.code, back.out, back.err) == (0, TEXT + end, "")


def test_ids_of_characters_are_worked_by_hand(rnncli: Command, own_folder: Path) -> None:
    Path("t.txt").write_text("abc\n" * 10)
    rnncli("tokenize", "t.txt")
    arguments = ("tokenize", "--tokenizer", "t.tok")
    assert rnncli(*arguments, "--encode", stdin=b"ab\n\ncab").out == "2 3 1\n1\n4 2 3\n"
    assert rnncli(*arguments, "--encode", stdin=b"a?").out == "2 0\n"
    assert rnncli(*arguments, "--decode", stdin=b"2 3 1\n1\n4 2 3\n").out == "ab\n\ncab"
    assert rnncli(*arguments, "--decode", stdin=b"  2\t3\r\n4   ").out == "abc"
    for direction in ("--encode", "--decode"):
        assert rnncli(*arguments, direction, stdin=b"").out == ""


def test_a_lone_carriage_return_is_a_line_end_like_others(rnncli: Command, own_folder: Path) -> None:
    Path("t.txt").write_text("abc\n" * 10)
    rnncli("tokenize", "t.txt")
    arguments = ("tokenize", "--tokenizer", "t.tok", "--newlines", "unix")
    assert rnncli(*arguments, "--decode", stdin=b"\r").out == ""
    assert rnncli(*arguments, "--decode", stdin=b"2 3\r").out == "ab"
    assert rnncli(*arguments, "--encode", stdin=b"\r").out == "1\n"


def test_files_are_one_text_with_nothing_between_them(rnncli: Command, own_folder: Path) -> None:
    Path("t.txt").write_text("a b c\n" * 10)
    rnncli("tokenize", "t.txt", "--level", "word")
    Path("one").write_text("a b")
    Path("two").write_text("c\n")
    arguments = ("tokenize", "one", "two", "--tokenizer", "t.tok")
    assert rnncli(*arguments, "--encode").out.count("\n") == 1
    Path("one").write_text("2 3 ")
    Path("two").write_text("4")
    assert rnncli(*arguments, "--decode").out == "a b c"


def test_files_and_a_models_tokenizer_do_as_well(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    Path("a.txt").write_text("The rain\n")
    Path("b.gz").write_text("came\n")
    ids = rnncli("tokenize", "a.txt", "b.gz", "--encode", "--tokenizer", "x").out
    Path("ids").write_text(ids)
    assert rnncli("tokenize", "ids", "--decode", "--tokenizer", "x").out == "The rain\ncame\n"


def test_a_text_of_another_encoding_is_encoded_by_its_name(rnncli: Command, text: Path) -> None:
    rnncli("tokenize", text, "-o", "t.tok", "--level", "byte")
    arguments = ("tokenize", "--encode", "--tokenizer", "t.tok")
    assert rnncli(*arguments, "--encoding", "latin-1", stdin=b"\xfc").out == "195 188\n"
    refused = rnncli(*arguments, stdin=b"\xfc")
    assert refused.code == 1
    assert "stdin is not valid utf-8" in refused.err
    assert rnncli(*arguments, "--errors", "replace", stdin=b"\xfc").out == "239 191 189\n"
    assert rnncli(*arguments, "--newlines", "unix", stdin=b"\r\n").out == "10\n"


@pytest.mark.parametrize(
    "bad",
    [b"256", b"-1", b"1.5", b"x", "٣".encode(), b"1,2", b"9" * 5000],
    ids=["too large", "negative", "fraction", "letter", "arabic digit", "comma", "5,000 digits"],
)
def test_what_is_no_id_is_one_error(rnncli: Command, text: Path, bad: bytes) -> None:
    rnncli("tokenize", text, "-o", "t.tok", "--level", "byte")
    ran = rnncli("tokenize", "--decode", "--tokenizer", "t.tok", stdin=b"72 105\n" + bad + b"\n")
    assert ran.code == 1
    assert "is not a token id of this tokenizer" in ran.err
    assert "from 0 to 255" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--encode",), "--tokenizer"),
        (("--encode", "--decode", "--tokenizer", "t.tok"), "not both"),
        (("--encode", "--tokenizer", "t.tok", "-o", "x"), "has no meaning with"),
        (("--encode", "--tokenizer", "t.tok", "--json"), "has no meaning with"),
        (("--decode", "--tokenizer", "t.tok", "--report"), "has no meaning with"),
        (("--encode", "--tokenizer", "t.tok", "--test-fraction", "0.1"), "has no meaning with"),
        (("--decode", "--tokenizer", "t.tok", "--line-by-line"), "has no meaning with"),
        (("--encode", "--tokenizer", "t.tok", "--valid-fraction", "0.1"), "has no meaning with"),
        (("--encode", "--tokenizer", "t.tok", "--workers", "2"), "has no meaning with"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_options_without_a_meaning_there_are_wrong_usage(
    rnncli: Command, text: Path, options: tuple[str, ...], named: str
) -> None:
    rnncli("tokenize", text, "-o", "t.tok")
    ran = rnncli("tokenize", *options, stdin=b"text")
    assert ran.code == 2
    assert named in words(ran.err)
    assert ran.out == ""
