"""What may be named as a text on the command line, and how its bytes are read."""

import gzip
from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Command, nothing_is_left
from tests.conftest import RHYME

CHINESE = "床前明月光，疑是地上霜。\n舉頭望明月，低頭思故鄉。\n" * 40


def tokens_of(path: str) -> bytes:
    return (Path(path) / "tokens.bin").read_bytes()


@pytest.fixture
def pieces(own_folder: Path) -> Path:
    """A text in three files, one of them packed, one below; and one that is hidden."""
    third = len(RHYME) // 3
    folder = own_folder / "pieces"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text(RHYME[:third])
    with gzip.open(folder / "b.txt.gz", "wt", newline="") as packed:
        packed.write(RHYME[third : 2 * third])
    (folder / "sub" / "c.txt").write_text(RHYME[2 * third :])
    (folder / ".hidden").write_bytes(b"\xff\xff\xff")
    return folder


@pytest.mark.parametrize(
    "named",
    [
        ["pieces"],
        ["pieces/**/*.txt*"],
        ["@list"],
        ["pieces/a.txt", "pieces/b.txt.gz", "pieces/sub"],
        ["pieces/[ab].txt*", "@rest"],
    ],
    ids=" ".join,
)
def test_however_a_text_is_named_it_is_the_same_text(
    rnncli: Command, pieces: Path, rhyme: Path, named: list[str]
) -> None:
    Path("list").write_text("# all of them\npieces/a.txt\n\npieces/b.txt.gz\npieces/sub/c.txt\n")
    Path("rest").write_text("pieces/sub/*.txt\n")
    made = rnncli("tokenize", *named, "-o", "made.tok", "--json")
    assert made.code == 0, made.err
    whole = rnncli("tokenize", rhyme, "-o", "whole.tok", "--json").json
    assert tokens_of("made.tok") == tokens_of("whole.tok")
    assert made.json["characters"] == whole["characters"] == len(RHYME)
    assert made.json["tokenizer_fingerprint"] == whole["tokenizer_fingerprint"]
    assert "a.txt" in made.json["name"]


def test_a_packed_text_trains_and_is_scored(rnncli: Command, own_folder: Path) -> None:
    Path("rhyme.txt.gz").write_bytes(gzip.compress(RHYME.encode()))
    ran = rnncli("train", "rhyme.txt.gz", *TINY)
    assert (ran.code, ran.out) == (0, "models/rhyme\n"), ran.err
    assert "utf-8, gzip" in ran.err
    scored = rnncli("eval", "rhyme.txt.gz", "--json")
    assert scored.json["characters"] == len(RHYME)
    assert "read as utf-8, gzip" in scored.err


def test_a_packed_text_that_is_cut_off_is_one_error(rnncli: Command, own_folder: Path) -> None:
    Path("half.txt.gz").write_bytes(gzip.compress(RHYME.encode())[:-20])
    for command in ("train", "tokenize"):
        ran = rnncli(command, "half.txt.gz")
        assert ran.code == 1
        assert "half.txt.gz (gzip) is cut off" in ran.err
        assert nothing_is_left()


def test_a_text_of_another_encoding_is_read_by_its_name(rnncli: Command, own_folder: Path) -> None:
    Path("gb.txt").write_bytes(CHINESE.encode("gb18030"))
    Path("utf.txt").write_bytes(CHINESE.encode())
    made = rnncli("tokenize", "gb.txt", "--encoding", "gb18030", "--json")
    assert made.code == 0, made.err
    assert made.json["encoding"] == "gb18030"
    rnncli("tokenize", "utf.txt")
    assert tokens_of("gb.tok") == tokens_of("utf.tok")


@pytest.mark.parametrize("command", ["tokenize", "train", "eval"])
def test_what_does_not_decode_is_answered_with_a_likely_encoding(
    rnncli: Command, rhyme: Path, command: str
) -> None:
    if command == "eval":
        rnncli("train", rhyme, "--name", "x", *TINY)
    Path("gb.txt").write_bytes(CHINESE.encode("gb18030"))
    ran = rnncli(command, "gb.txt")
    assert ran.code == 1
    error, hint = [line for line in ran.err.splitlines() if line.startswith(("error", "hint"))]
    assert error == "error: gb.txt is not valid utf-8 at byte offset 0 (0xB4)"
    assert "--encoding gb" in hint
    assert "--errors replace" in hint
    assert "Traceback" not in ran.err
    assert command == "eval" or nothing_is_left()


def test_the_encoding_that_the_hint_names_reads_the_text(rnncli: Command, own_folder: Path) -> None:
    Path("gb.txt").write_bytes(CHINESE.encode("gb18030"))
    hint = rnncli("tokenize", "gb.txt").err.split("try --encoding ")[1]
    assert rnncli("tokenize", "gb.txt", "--encoding", hint.split(";")[0]).code == 0


def test_replaced_bytes_are_counted_where_the_text_is_named(rnncli: Command, own_folder: Path) -> None:
    Path("torn.txt").write_bytes(RHYME.encode() + b"a\xffb\xfe\n")
    made = rnncli("tokenize", "torn.txt", "--errors", "replace", "--json")
    assert made.json["encoding"] == "utf-8, 2 replaced"
    assert made.json["characters"] == len(RHYME) + 5
    assert "utf-8, 2 replaced" in rnncli("tokenize", "torn.txt", "--errors", "replace", "-o", "b.tok").out
    rnncli("train", "torn.txt", "--errors", "replace", "--name", "x", *TINY)
    assert "utf-8, 2 replaced" in rnncli("eval", "torn.txt", "--errors", "replace").err
    assert rnncli("eval", "torn.txt").code == 1


def test_line_ends_are_kept_unless_unix_ones_are_asked_for(rnncli: Command, rhyme: Path) -> None:
    Path("dos.txt").write_bytes(RHYME.replace("\n", "\r\n").encode())
    kept = rnncli("tokenize", "dos.txt", "-o", "kept.tok", "--json").json
    assert kept["characters"] == len(RHYME) + RHYME.count("\n")
    unix = rnncli("tokenize", "dos.txt", "-o", "unix.tok", "--newlines", "unix", "--json").json
    assert unix["characters"] == len(RHYME)
    rnncli("tokenize", rhyme, "-o", "rhyme.tok")
    assert tokens_of("unix.tok") == tokens_of("rhyme.tok")


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("nothing-*.txt",), 1, "nothing-*.txt matches no file"),
        (("@missing",), 1, "cannot read the list missing"),
        (("-", "-"), 1, "stdin is named twice"),
        (("rhyme.txt", "--encoding", "base64"), 2, "there is no encoding named 'base64'"),
        (("rhyme.txt", "--errors", "ignore"), 2, "errors is 'ignore'; it must be strict or replace"),
        (("rhyme.txt", "--newlines", "dos"), 2, "newlines is 'dos'"),
        (("rhyme.txt", "--split-method", "middle"), 2, "split method is 'middle'"),
        (("rhyme.txt", "--vocab-size", "2", "--level", "word"), 2, "vocab size is 2; it must be at least 3"),
        (("rhyme.txt", "--test-fraction", "0.9", "--valid-fraction", "0.1"), 2, "test fraction is 0.9"),
        (("rhyme.txt", "--test-fraction", "-0.1"), 2, "test fraction is -0.1; it must be at least 0"),
        (("rhyme.txt", "--level", "word", "--pattern", "("), 2, "pattern '(' is not a regular expression"),
        (("rhyme.txt", "--level", "word", "--pattern", ""), 2, "pattern has 0 characters"),
        (("rhyme.txt", "--split-method", "lines", "--split-seed", "-1"), 2, "split seed is -1"),
        (("rhyme.txt", "--workers", "0"), 2, "workers is 0; it must be at least 1"),
        (("rhyme.txt", "--tokenizer", "nowhere"), 1, "nowhere"),
        (("rhyme.txt", "--valid", "nowhere.txt"), 1, "cannot read nowhere.txt"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_text_or_setting_that_makes_no_sense_is_one_error_and_leaves_nothing(
    rnncli: Command, rhyme: Path, arguments: tuple[str, ...], code: int, named: str
) -> None:
    for command in ("tokenize", "train"):
        ran = rnncli(command, *arguments)
        assert ran.code == code
        assert ran.err.count("error: ") == ran.err.count("hint: ") == 1, ran.err
        assert named in ran.err
        assert nothing_is_left()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--level", "char", "--subword-kind", "unigram"), "subword kind has no meaning"),
        (("--subword-kind", "bpe"), "subword kind has no meaning"),
        (("--level", "word", "--subword-kind", "bpe"), "subword kind has no meaning"),
        (("--split-seed", "1"), "split seed has no meaning"),
        (("--split-method", "end", "--split-seed", "2"), "split seed has no meaning"),
        (("--pattern", r"\w+"), "pattern has no meaning"),
        (("--level", "subword", "--pattern", r"\w+"), "pattern has no meaning"),
        (("--vocab-size", "50"), "vocab size has no meaning"),
        (("--level", "byte", "--vocab-size", "50"), "vocab size has no meaning"),
        (("--tokenizer", "a.tok", "--vocab-size", "50"), "both --tokenizer and --vocab-size"),
        (("--tokenizer", "a.tok", "--level", "char"), "both --tokenizer and --level"),
        (("--tokenizer", "a.tok", "--subword-kind", "bpe"), "both --tokenizer and --subword-kind"),
        (("--tokenizer", "a.tok", "--pattern", "x"), "both --tokenizer and --pattern"),
        (("--valid", "rhyme.txt", "--valid-fraction", "0.2"), "both --valid and --valid-fraction"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_option_that_would_do_nothing_is_refused(
    rnncli: Command, rhyme: Path, options: tuple[str, ...], named: str
) -> None:
    rnncli("tokenize", rhyme, "-o", "stores/a.tok")
    options = tuple("stores/a.tok" if option == "a.tok" else option for option in options)
    for command in ("tokenize", "train"):
        ran = rnncli(command, rhyme, *options)
        assert ran.code == 2
        assert named in ran.err
        assert "hint: " in ran.err
        assert nothing_is_left()


def test_a_text_too_short_for_its_parts_leaves_nothing(rnncli: Command, own_folder: Path) -> None:
    Path("one-line.txt").write_text("just one line and no more of them\n")
    for options in (("--line-by-line",), ("--split-method", "lines")):
        for command in ("tokenize", "train"):
            ran = rnncli(command, "one-line.txt", *options)
            assert ran.code == 1, ran.out
            assert "one-line.txt has too few lines" in ran.err
            assert nothing_is_left()
    ran = rnncli("train", "one-line.txt", "--batch-size", "32", "--bptt", "64", "--steps", "1")
    assert ran.code == 1
    assert "a batch of 32 rows of 64 needs 2,048" in ran.err
    assert nothing_is_left()
