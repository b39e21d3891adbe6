"""Texts from a model: many at once, where they end, and how their tokens are drawn."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Command


@pytest.fixture
def model(rnncli: Command, rhyme: Path) -> Command:
    settings = [setting if setting != "6" else "60" for setting in TINY]
    assert rnncli("train", rhyme, "--name", "m", *settings).code == 0
    return rnncli


def test_many_texts_are_those_of_one_seed_in_their_order(model: Command) -> None:
    many = model("generate", "-n", "5", "--seed", "3", "--length", "40", "--format", "jsonl").out.splitlines()
    records = [json.loads(line) for line in many]
    assert [record["number"] for record in records] == [0, 1, 2, 3, 4]
    assert {record["finish_reason"] for record in records} == {"length"}
    assert all(record["tokens"] == len(record["text"]) == 40 for record in records)
    assert len({record["text"] for record in records}) == 5
    assert model("generate", "--seed", "3", "--length", "40").out == records[0]["text"]
    plain = model("generate", "-n", "5", "--seed", "3", "--length", "40").out
    assert plain == "".join(
        text if text.endswith("\n") else text + "\n" for text in (r["text"] for r in records)
    )


def test_a_text_ends_before_a_stop_or_after_its_lines(model: Command) -> None:
    whole = model("generate", "--seed", "1", "--length", "300", "--prompt", "The").out
    assert "e" in whole[40:]
    assert whole.count("\n") > 3
    stop = whole[100:104]
    ran = model(
        "generate", "--seed", "1", "--length", "300", "--prompt", "The", "--stop", stop, "--stop", "☃"
    )
    assert ran.out == "The" + whole[3:].split(stop)[0]
    lines = model("generate", "--seed", "1", "--length", "300", "--prompt", "The", "--lines", "2").out
    assert lines == "".join(line + "\n" for line in whole.split("\n")[:2])
    for options, reason in ((("--stop", stop), "stop"), (("--lines", "2"), "lines")):
        record = model("generate", "--seed", "1", "--prompt", "The", *options, "--format", "jsonl").json
        assert (record["finish_reason"], record["prompt"], record["seed"]) == (reason, "The", 1)


def test_the_cost_of_a_text_is_what_a_score_says(model: Command, own_folder: Path) -> None:
    record = model("generate", "--lines", "3", "--format", "jsonl", "--prompt", "the rain ").json
    (own_folder / "all.txt").write_text("the rain " + record["text"])
    (own_folder / "prompt.txt").write_text("the rain ")
    whole, prompt = (model("eval", name, "--json").json["nll_nats"] for name in ("all.txt", "prompt.txt"))
    assert record["nll_nats"] == pytest.approx(whole - prompt, rel=1e-4)


@pytest.mark.parametrize(
    "options",
    [("--min-p", "0.5"), ("--typical-p", "0.2"), ("--repetition-penalty", "3"), ("--no-repeat-ngram", "2")],
    ids=" ".join,
)
def test_every_way_of_drawing_changes_the_text(model: Command, options: tuple[str, ...]) -> None:
    plain = model("generate", "--seed", "1", "--temperature", "1.2").out
    assert model("generate", "--seed", "1", "--temperature", "1.2", *options).out != plain


def test_a_text_of_a_model_of_lines_is_one_line(rnncli: Command, rhyme: Path) -> None:
    assert rnncli("train", rhyme, "--name", "m", "--line-by-line", *TINY).code == 0
    texts = rnncli("generate", "-n", "20", "--length", "3000").out
    assert texts.count("\n") == 20
    ran = rnncli("generate", "--lines", "2")
    assert ran.code == 2
    assert "use --number" in ran.err


def test_a_device_that_is_not_there_is_refused(model: Command) -> None:
    ran = model("generate", "--device", "abacus")
    assert ran.code == 2
    assert "device is 'abacus'" in ran.err


def test_an_empty_stop_is_refused_and_so_are_lines_of_a_model_that_knows_none(
    model: Command, own_folder: Path
) -> None:
    ran = model("generate", "--stop", "")
    assert (ran.code, ran.out) == (2, "")
    assert "a stop string is empty" in ran.err
    (own_folder / "one.txt").write_text("abcd" * 300)
    assert model("train", "one.txt", "--name", "one", *TINY).code == 0
    ran = model("generate", "-m", "one", "--lines", "2")
    assert ran.code == 2
    assert "no line ends in its vocabulary" in ran.err


@pytest.fixture
def names(rnncli: Command, own_folder: Path) -> Command:
    """A model of short lines, made of so few letters that it often writes what it has read."""
    lines = [a + b + c for a in "ab" for b in "abc" for c in ("", "a", "b", "cc")]
    (own_folder / "names.txt").write_text("\n".join(line for line in lines if line != "abcc") + "\n")
    settings = [setting if setting != "6" else "60" for setting in TINY]
    assert rnncli("train", "names.txt", "--name", "n", "--line-by-line", *settings).code == 0
    return rnncli


def test_no_text_comes_twice_where_that_is_asked(names: Command) -> None:
    plain = names("generate", "-n", "40", "--seed", "1").out.splitlines()
    unique = names("generate", "-n", "40", "--seed", "1", "--unique").out.splitlines()
    assert len(set(plain)) < 40
    assert len(set(unique)) == len(unique) == 40
    assert unique[: len(set(plain[:5]))] == list(dict.fromkeys(plain[:5])), "the first of the same texts"


def test_novel_lines_are_none_of_the_training_text(names: Command, own_folder: Path) -> None:
    known = set((own_folder / "names.txt").read_text().splitlines())
    assert known & set(names("generate", "-n", "60", "--seed", "1").out.splitlines())
    ran = names("generate", "-n", "30", "--seed", "1", "--novel", "--unique", "--prompt", "a")
    novel = ran.out.splitlines()
    assert len(set(novel)) == 30
    assert not set(novel) & (known - held_out(names))


def held_out(names: Command) -> set[str]:
    """The lines of the held-out part: the model has not learned from them."""
    return {row["label"] for row in names("eval", "--by", "line", "--json").json["by_line"]}


def test_where_there_is_nothing_more_to_find_it_says_so(names: Command) -> None:
    ran = names("generate", "-n", "5", "--unique", "--temperature", "0")
    assert len(ran.out.splitlines()) == 1
    assert "found only 1 of 5 texts among 500" in ran.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--novel",), "only whole lines can be compared"),
        (("--enumerate", "3", "--top-k", "5"), "--enumerate and --beam do not sample"),
        (("--enumerate", "3", "-n", "2"), "--enumerate and --beam do not sample"),
        (("--enumerate", "3", "--seed", "2"), "--enumerate and --beam do not sample"),
        (("--enumerate", "3", "--beam", "2"), "--enumerate and --beam do not sample"),
        (("--interactive", "--beam", "2"), "--interactive generates one text after another"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    model: Command, options: tuple[str, ...], message: str
) -> None:
    ran = model("generate", *options)
    assert ran.code == 2
    assert message in ran.err


def test_turns_are_taken_through_a_pipe(model: Command) -> None:
    given = "the ra\n/again\n/length 3\n/again\n/nonsense\n/temp x\n/temp -1\n/quit\nnot said\n"
    ran = model("generate", "--interactive", "--length", "5", "--temperature", "0", stdin=given.encode())
    assert ran.code == 0
    answer = ran.out[:6]
    assert ran.out == 2 * answer + answer[:3] + "\n"
    for named in ("/again", "/temp needs a number, not 'x'", "temperature is -1.0"):
        assert named in ran.err
    assert model("generate", "-i", "-n", "2").code == 2


def test_a_beam_of_one_takes_the_likeliest_token_every_time(model: Command) -> None:
    begun = ("generate", "--length", "30", "--format", "jsonl", "--beam")
    record = model(*begun, "1").json
    assert record["text"] == model("generate", "--temperature", "0", "--length", "30").out
    assert record["finish_reason"] == "length"
    assert len(model(*begun, "8").json["text"]) == 30


def test_a_beam_of_a_model_of_lines_ends_with_the_line(names: Command) -> None:
    record = names("generate", "--beam", "50", "--prompt", "a", "--format", "jsonl").json
    assert (record["text"].count("\n"), record["finish_reason"]) == (1, "lines")


def test_a_model_of_lines_answers_with_a_line(names: Command) -> None:
    out = names("generate", "-i", "--length", "3000", "--seed", "1", stdin=b"a\nb\n").out
    assert out.count("\n") == 4, "an answer of one line, and the end of the answer, twice"
    for arguments, code in ((("--lines", "2", "-i"), 2), (("--prompt", "a\nb"), 1)):
        assert names("generate", *arguments).code == code


def test_a_novel_line_is_looked_up_without_the_lines_before_it(model: Command, rhyme: Path) -> None:
    known = set(rhyme.read_text().splitlines())
    options = (
        "-n",
        "12",
        "--lines",
        "1",
        "--temperature",
        "0.4",
        "--seed",
        "1",
        "--prompt",
        "more;\nthe rain",
    )
    lines = [line for line in model("generate", *options, "--novel").out.splitlines() if line != "more;"]
    assert lines
    assert not set(lines) & known


def test_words_that_bring_their_blank_find_none_before_them(rnncli: Command, rhyme: Path) -> None:
    assert rnncli("train", rhyme, "--name", "m", "--level", "word", *TINY).code == 0
    texts = [
        rnncli("generate", "--prompt", prompt, "--seed", "1").out for prompt in ("the rain", "the rain ")
    ]
    assert texts[0] == texts[1]
    assert "  " not in texts[1].split("\n")[0]
