"""What is likely to follow: tokens, words and lines, with their probabilities."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import TINY, Command


@pytest.fixture
def model(rnncli: Command, rhyme: Path) -> Command:
    settings = [setting if setting != "6" else "200" for setting in TINY]
    assert rnncli("train", rhyme, "--name", "m", *settings).code == 0
    return rnncli


def completions(command: Command, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = command("complete", *arguments, "--json").json["completions"]
    return found


@pytest.mark.parametrize("with_ngram", [False, True])
def test_completions_are_as_probable_as_a_score_says(
    model: Command, with_ngram: bool, own_folder: Path
) -> None:
    if with_ngram:
        model("ngram", "m", "--order", "3")
    tokens = completions(model, "the rai", "--to", "token", "-n", "99")
    assert sum(math.exp(-token["nll_nats"]) for token in tokens) == pytest.approx(1.0, abs=0.02), (
        "but for <unk>"
    )
    lines = completions(model, "the rai", "--to", "line", "-n", "3")
    assert [line["nll_nats"] for line in lines] == sorted(line["nll_nats"] for line in lines)
    (own_folder / "t.txt").write_text("the rai")
    (own_folder / "w.txt").write_text("the rai" + lines[0]["text"] + "\n")
    prompt, whole = (model("eval", name, "--json").json["nll_nats"] for name in ("t.txt", "w.txt"))
    assert lines[0]["nll_nats"] == pytest.approx(whole - prompt, rel=1e-3)


def test_words_are_completed_where_the_model_knows_blanks(model: Command) -> None:
    model("ngram", "m", "--order", "6")  # so small a network has not learned it
    words = completions(model, "the rain ca")
    assert words[0]["text"] == "me"
    assert not any(" " in word["text"] or "\n" in word["text"] for word in words)
    shown = model("complete", "the rain ca").out
    assert "the rain came" in shown
    assert "of all that could follow, by word" in shown
    assert model("complete", "-", stdin=b"the rain ca\n").out == shown


def test_a_text_without_blanks_is_completed_by_token(rnncli: Command, own_folder: Path) -> None:
    (own_folder / "verse.txt").write_text("床前明月光疑是地上霜舉頭望明月低頭思故鄉。\n" * 40)
    assert rnncli("train", "verse.txt", "--name", "m", *TINY).code == 0
    ran = rnncli("complete", "床前")
    assert "by token" in ran.out
    (own_folder / "one.txt").write_text("abcd" * 300)
    assert rnncli("train", "one.txt", "--name", "one", *TINY).code == 0
    for unit in ("word", "line"):
        ran = rnncli("complete", "ab", "-m", "one", "--to", unit)
        assert ran.code == 2
        assert f"the model has no token that ends a {unit}" in ran.err
    assert "out-of-vocabulary" in rnncli("complete", "☃", "-m", "one").err


def test_words_of_a_word_model_are_its_tokens(rnncli: Command, rhyme: Path) -> None:
    assert rnncli("train", rhyme, "--name", "m", "--level", "word", *TINY).code == 0
    found = completions(rnncli, "the rain", "-n", "5")
    assert all(word["tokens"] == 1 for word in found)
    assert "the rain " in rnncli("complete", "the rain").out
    for unit in ("token", "word"):
        refused = rnncli("complete", "the", "--to", unit, "--length", "3")
        assert (refused.code, "no effect on a single token" in refused.err) == (2, True)


def test_the_most_probable_lines_are_enumerated(model: Command) -> None:
    out = model("generate", "--enumerate", "3", "--prompt", "the rain came").out
    lines = completions(model, "the rain came", "--to", "line", "-n", "3")
    assert out == "".join("the rain came" + line["text"] + "\n" for line in lines)
    records = model("generate", "--enumerate", "2", "--prompt", "the rain came", "--format", "jsonl").out
    assert [json.loads(record)["nll_nats"] for record in records.splitlines()] == [
        line["nll_nats"] for line in lines[:2]
    ]
