"""`rnncli tokenize`: a store is made once, found again, never overwritten; and what it reports."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from rnncli.data import dataset_builder
from tests.cli.conftest import TINY, Command, nothing_is_left, words
from tests.conftest import RHYME

REPORT_KEYS = {
    "name",
    "encoding",
    "disk_bytes",
    "bytes",
    "characters",
    "lines",
    "distinct_characters",
    "han_characters",
    "frequent",
    "rare",
    "sample_characters",
    "growth_unit",
    "growth",
    "duplicate_lines",
    "valid_lines_in_train",
    "levels",
    "level",
    "vocab_size",
    "reasons",
}
STORE_KEYS = {
    "path",
    "name",
    "encoding",
    "sha256",
    "reused",
    "level",
    "line_by_line",
    "vocab_size",
    "characters",
    "words",
    "bytes",
    "tokens",
    "train_tokens",
    "valid_tokens",
    "test_tokens",
    "oov_tokens",
    "tokenizer_fingerprint",
}


def everything(folder: str) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in Path(folder).iterdir()}


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--level", "subword", "--vocab-size", "300"),
        ("--line-by-line", "--split-method", "lines", "--split-seed", "4"),
        ("--newlines", "unix", "--test-fraction", "0.2"),
        ("--valid", "rhyme.txt"),
    ],
    ids=" ".join,
)
def test_a_store_of_the_same_text_and_settings_is_found_and_not_made_again(
    rnncli: Command, rhyme: Path, options: tuple[str, ...]
) -> None:
    first = rnncli("tokenize", rhyme, *options, "--json")
    assert first.json["reused"] is False, first.err
    before = everything("rhyme.tok")
    again = rnncli("tokenize", rhyme, *options, "--json")
    assert again.code == 0, again.err
    assert again.json == {**first.json, "reused": True}
    assert "rhyme.tok was made from the same text with the same options" in again.err
    assert everything("rhyme.tok") == before


def test_a_text_that_was_only_touched_is_the_same_text(rnncli: Command, rhyme: Path) -> None:
    rnncli("tokenize", rhyme)
    os.utime(rhyme, ns=(1, 1))
    assert rnncli("tokenize", rhyme, "--json").json["reused"] is True


@pytest.mark.parametrize(
    "options",
    [
        ("--level", "byte"),
        ("--line-by-line",),
        ("--valid-fraction", "0.3"),
        ("--newlines", "unix"),
        ("--errors", "replace"),
        ("--valid", "rhyme.txt"),
        ("--test-fraction", "0.1"),
        ("--tokenizer", "other.tok"),
    ],
    ids=" ".join,
)
def test_a_store_made_otherwise_is_refused_and_untouched(
    rnncli: Command, rhyme: Path, options: tuple[str, ...]
) -> None:
    Path("other.txt").write_text("entirely different symbols: 0123456789\n" * 9)
    rnncli("tokenize", "other.txt")
    rnncli("tokenize", rhyme)
    before = everything("rhyme.tok")
    ran = rnncli("tokenize", rhyme, *options)
    assert ran.code == 1
    assert "rhyme.tok exists already, made from another text or with other options" in ran.err
    assert everything("rhyme.tok") == before


def test_a_store_of_what_the_text_was_before_is_refused_and_untouched(rnncli: Command, rhyme: Path) -> None:
    rnncli("tokenize", rhyme)
    before = everything("rhyme.tok")
    rhyme.write_text(RHYME + "one more line\n")
    assert rnncli("tokenize", rhyme).code == 1
    assert everything("rhyme.tok") == before
    assert not list(Path().glob(".partial-*"))


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, MemoryError])
def test_whatever_stops_it_leaves_neither_store_nor_scratch(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch, ending: type[BaseException]
) -> None:
    lay_there: list[str] = []

    def stop(*_: object, **__: object) -> None:
        lay_there.extend(path.name for path in Path().glob(".partial-*/*"))
        raise ending

    monkeypatch.setattr(dataset_builder, "write_record", stop)
    with suppress(ending):
        rnncli("tokenize", "-", stdin=RHYME.encode())
    assert "tokens.bin" in lay_there, "it was in the midst of it"
    assert nothing_is_left()


def test_stdin_is_tokenized_under_its_own_name_and_leaves_no_copy(rnncli: Command, own_folder: Path) -> None:
    made = rnncli("tokenize", "-", "--json", stdin=RHYME.encode())
    assert made.json["path"] == "stdin.tok"
    assert sorted(path.name for path in Path("stdin.tok").iterdir()) == [
        "dataset.json",
        "tokenizer.json",
        "tokens.bin",
    ]
    assert rnncli("tokenize", "-", "--json", stdin=RHYME.encode()).json["reused"] is True


def test_json_of_a_store_has_its_keys_and_its_parts_add_up(rnncli: Command, rhyme: Path) -> None:
    record = rnncli("tokenize", rhyme, "--test-fraction", "0.2", "--json").json
    assert record.keys() == STORE_KEYS
    assert record["tokens"] == sum(record[f"{part}_tokens"] for part in ("train", "valid", "test"))
    assert record["tokens"] == record["characters"] == len(RHYME)
    assert record["test_tokens"] == pytest.approx(0.2 * len(RHYME), abs=2)
    assert 0 <= record["words"] - len(RHYME.split()) <= 2, "a word that a cut goes through counts twice"


def test_a_report_alone_makes_no_store(rnncli: Command, rhyme: Path) -> None:
    ran = rnncli("tokenize", rhyme, "--report")
    assert ran.code == 0, ran.err
    for part in ("rhyme.txt, utf-8", "distinct", "U+0065", "LATIN SMALL LETTER E", "subword", "advice"):
        assert part in ran.out
    assert [path.name for path in Path().iterdir()] == ["rhyme.txt"]


def test_a_report_in_json_counts_what_the_text_holds(rnncli: Command, rhyme: Path) -> None:
    record = rnncli("tokenize", rhyme, "--report", "--json").json
    assert record.keys() == {"report"}
    report = record["report"]
    assert report.keys() == REPORT_KEYS
    assert report["characters"] == report["bytes"] == report["disk_bytes"] == len(RHYME)
    assert report["distinct_characters"] == len(set(RHYME))
    assert report["lines"] == RHYME.count("\n")
    assert report["frequent"][0]["character"] == " "
    assert report["frequent"][0]["count"] == RHYME.count(" ")
    assert report["growth"][-1] == [len(RHYME.split()), len(set(RHYME.split()))]
    assert report["duplicate_lines"] == pytest.approx(1 - 4 / 48)
    assert report["valid_lines_in_train"] > 0.5
    assert [level["level"] for level in report["levels"]] == ["char", "byte", "word", "subword"]


def test_a_report_and_a_store_come_together_where_both_are_asked_for(rnncli: Command, rhyme: Path) -> None:
    for reused in (False, True):
        record = rnncli("tokenize", rhyme, "--report", "-o", "made.tok", "--json").json
        assert record.keys() == STORE_KEYS | {"report"}
        assert record["reused"] is reused
    shown = rnncli("tokenize", rhyme, "--report", "-o", "made.tok").out
    assert "most frequent characters" in shown
    assert "made.tok" in shown


def test_train_tells_of_the_text_before_it_tells_of_the_plan(rnncli: Command, rhyme: Path) -> None:
    ran = rnncli("train", rhyme, "--name", "x", *TINY)
    lines = [line for line in ran.err.splitlines() if line.startswith(("text: ", "plan: "))]
    assert f"text: characters={len(set(RHYME))} distinct, 0 Han (0%)" in lines
    assert lines[0].startswith("text: ")
    assert lines[-1].startswith("plan: ")
    assert sorted(lines, reverse=True, key=lambda line: line[:4]) == lines
    assert "text: " not in rnncli("train", rhyme, "--name", "y", "-q", *TINY).err


def test_quiet_tokenizing_says_nothing_but_the_result(rnncli: Command, rhyme: Path) -> None:
    for _ in ("made", "found again"):
        ran = rnncli("tokenize", rhyme, "-q", "--json")
        assert ran.json["path"] == "rhyme.tok"
        assert ran.err == ""


def test_chinese_is_known_for_what_it_is(rnncli: Command, own_folder: Path) -> None:
    Path("詩.txt").write_text("床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。\n" * 20, encoding="utf-8")
    report = rnncli("tokenize", "詩.txt", "--report", "--json").json["report"]
    assert report["growth_unit"] == "character"
    assert report["han_characters"] == 400
    assert report["level"] == "char"
    assert "400 Han (80%)" in words(rnncli("tokenize", "詩.txt", "--report").out)


def test_chinese_verse_in_short_lines_is_not_taken_for_words(rnncli: Command, own_folder: Path) -> None:
    Path("詩.txt").write_text("床前明月光，疑是地上霜。\n舉頭望明月，低頭思故鄉。\n" * 20, encoding="utf-8")
    report = rnncli("tokenize", "詩.txt", "--report", "--json").json["report"]
    assert report["growth_unit"] == "character"


@pytest.mark.parametrize("level", ["word", "subword"])
def test_the_number_of_workers_does_not_show(rnncli: Command, rhyme: Path, level: str) -> None:
    records = [
        rnncli("tokenize", rhyme, "--level", level, "-o", f"{n}.tok", "--workers", n, "--json").json
        for n in (1, 3)
    ]
    assert [record.pop("path") for record in records] == ["1.tok", "3.tok"]
    assert records[0] == records[1]


def test_a_store_with_more_of_the_same_texts_held_out_is_another(rnncli: Command, rhyme: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        Path(name).write_text(RHYME + name)
    assert rnncli("tokenize", "a.txt", "b.txt", "--valid", "c.txt", "-o", "s.tok").code == 0
    again = rnncli("tokenize", "a.txt", "--valid", "b.txt", "--valid", "c.txt", "-o", "s.tok")
    assert again.code == 1
    assert "exists already, made from another text" in words(again.err)
    assert rnncli("tokenize", "a.txt", "b.txt", "--valid", "c.txt", "-o", "s.tok").code == 0
