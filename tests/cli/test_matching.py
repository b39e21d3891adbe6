"""`--match`, `--raw`, and the lines that a model keeps in mind, through the command line."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Command
from tests.conftest import signed

LONGER = [setting if setting != "6" else "60" for setting in TINY]


@pytest.fixture
def model(rnncli: Command, rhyme: Path) -> Command:
    assert rnncli("train", rhyme, "--name", "m", *LONGER).code == 0
    return rnncli


@pytest.mark.parametrize("level", ["char", "byte", "word", "subword"])
def test_every_text_matches_at_every_level(rnncli: Command, rhyme: Path, level: str) -> None:
    assert rnncli("train", rhyme, "--name", "m", "--level", level, *LONGER).code == 0
    pattern = r"the \w+( \w+){0,3}(;\n.+)?"
    ran = rnncli("generate", "--match", pattern, "-n", "9", "--length", "50", "--format", "jsonl")
    records = [json.loads(line) for line in ran.out.splitlines()]
    assert len(records) == 9
    assert all(re.fullmatch(pattern, record["text"]) for record in records), records
    assert {record["finish_reason"] for record in records} <= {"match", "length"}
    begun = rnncli("generate", "--match", r" ?\w+", "--prompt", "the rain", "--seed", "1").out
    assert re.fullmatch(r"the rain ?\w+", begun.removesuffix("\n"))


def test_words_after_a_blank_match_without_another(rnncli: Command, rhyme: Path) -> None:
    assert rnncli("train", rhyme, "--name", "m", "--level", "word", *LONGER).code == 0
    given = ("generate", "--match", r"[a-z]+", "--seed", "1", "--prompt")
    assert re.fullmatch(r"the rain [a-z]+", rnncli(*given, "the rain ").out.removesuffix("\n"))
    record = rnncli(*given, "the rain ", "--format", "jsonl").json
    assert re.fullmatch("[a-z]+", record["text"])
    assert record["prompt"] == "the rain "
    for nothing in ("\t", "the\n\t", "\u3000"):
        assert re.fullmatch("[a-z]+", rnncli(*given, nothing, "--format", "jsonl").json["text"])


def test_one_text_and_many_are_those_of_the_seed(model: Command) -> None:
    given = ("generate", "--match", "[a-z ]{3,}", "--length", "30", "--seed", "5")
    many = model(*given, "-n", "6").out.splitlines()
    assert model(*given).out == many[0]
    assert len(set(many)) > 3
    greedy = {model(*given[:-2], "--temperature", "0", "--seed", seed).out for seed in "12"}
    assert len(greedy) == 1
    assert re.fullmatch("[a-z ]{3,}", greedy.pop())


def test_a_line_that_matches_ends_with_its_line(rnncli: Command, rhyme: Path) -> None:
    assert rnncli("train", rhyme, "--name", "m", "--line-by-line", *LONGER).code == 0
    lines = rnncli("generate", "--match", r"[a-z\n]*", "-n", "8", "--length", "20").out
    assert all(re.fullmatch("[a-z]*", line) for line in lines.splitlines())
    novel = rnncli("generate", "--match", "[a-z]{2}", "-n", "5", "--novel", "--unique").out.splitlines()
    assert len(set(novel)) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--match", "(a"), "(a cannot be matched"),
        (("--match", r"(a)\1"), "an automaton cannot do"),
        (("--match", "汉字"), "its vocabulary has nothing for 汉, 字"),
        (("--match", "[a-z]{20}", "--length", "10"), "use --length 20"),
        (("--match", "a", "--lines", "2"), "--match cannot be combined with --lines or --stop"),
        (("--match", "a", "--stop", "x"), "--match cannot be combined with --lines or --stop"),
        (("--match", "a", "--beam", "2"), "do not sample"),
        (("--match", "a", "--interactive"), "one text after another"),
        (("--raw", "-n", "2"), "--raw writes one text"),
        (("--raw", "--unique"), "--raw writes one text"),
        (("--novel", "--lines", "1", "--stop", "x"), "--novel compares whole lines"),
        (("--raw", "--format", "jsonl"), "--raw writes one text"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_one_error(model: Command, options: tuple[str, ...], message: str) -> None:
    ran = model("generate", *options)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert ran.err.count("error: ") == 1


def test_what_kept_a_text_from_going_on_is_said(model: Command) -> None:
    given = ("generate", "--seed", "1", "--format", "jsonl", "--match")
    assert model(*given, "[a-z ;,]{3}").json["finish_reason"] == "match"
    assert model(*given, ".*", "--length", "2").json["finish_reason"] == "length"
    assert model(*given, "the rain", "--length", str(10**10)).json["text"] == "the rain"


def test_every_line_of_a_novel_text_is_new(model: Command, rhyme: Path) -> None:
    old = rhyme.read_text().splitlines()[0]
    ran = model("generate", "--novel", "--match", f"{old}\nu")
    assert ran.out == ""
    assert "found only 0 of 1 texts" in ran.err
    assert model("generate", "--novel", "--match", "the u\nu").out == "the u\nu\n"


def test_no_text_is_shown_twice_where_each_is_to_be_unique(model: Command) -> None:
    lines = model("generate", "--unique", "--match", "a\n?", "-n", "2", "--temperature", "2").out
    assert lines == "a\n"


def test_an_empty_match_is_an_empty_text(model: Command) -> None:
    record = model("generate", "--match", "", "--format", "jsonl").json
    assert (record["text"], record["tokens"], record["finish_reason"]) == ("", 0, "match")


def test_raw_bytes_are_those_that_the_model_writes(
    rnncli: Command, own_folder: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (own_folder / "poem.txt").write_text("床前明月光，疑是地上霜。\n" * 40, encoding="utf-8")
    assert rnncli("train", "poem.txt", "--name", "m", "--level", "byte", *TINY).code == 0
    given = ("generate", "--length", "60", "--seed", "1", "--temperature", "2")
    shown = rnncli(*given).out
    assert "\ufffd" in shown
    with pytest.raises(UnicodeDecodeError) as caught:
        rnncli(*given, "--raw")
    raw = caught.value.object
    assert len(raw) == 60
    assert raw.decode("utf-8", "replace") == shown


def test_what_is_novel_is_known_without_the_training_text(model: Command) -> None:
    given = ("generate", "-n", "12", "--lines", "1", "--temperature", "0.4", "--seed", "1", "--novel")
    before = model(*given).out
    assert before
    shutil.rmtree("models/m/corpus.tok")
    assert model(*given).out == before
    Path("models/m/lines.safetensors").unlink()
    ran = model(*given)
    assert ran.code == 1
    assert "models/m/lines.safetensors is missing" in ran.err


def test_without_its_lines_a_model_looks_them_up_in_its_text(model: Command) -> None:
    given = ("generate", "-n", "12", "--lines", "1", "--temperature", "0.4", "--seed", "1", "--novel")
    before = model(*given).out
    Path("models/m/lines.safetensors").unlink()
    signed(Path("models/m"))
    assert model(*given).out == before
