"""rnncli.load: what the commands do, from Python, with the same numbers."""

import json
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import rnncli
from rnncli import ConfigError, EvaluationOptions, GenerationOptions, ModelError, SamplingOptions
from tests.cli.conftest import TINY, Command

load = partial(rnncli.load, device="cpu")
LINES = ["a sun", "the moon", ""]


@pytest.fixture
def trained(rnncli: Command, rhyme: Path) -> Command:
    assert rnncli("train", rhyme, "--name", "m", *TINY, "--ngram", "3").code == 0
    return rnncli


def test_its_lines_have_the_scores_of_the_command(trained: Command) -> None:
    said = trained("score", "--format", "jsonl", "--unit", "word", stdin="\n".join([*LINES, ""]).encode())
    rows = [json.loads(line) for line in said.out.splitlines()]
    found = list(load("m").score(LINES))
    assert [line.text for line in found] == LINES
    assert [line.nll_nats for line in found] == pytest.approx([row["nll_nats"] for row in rows])
    assert [word.text for word in found[0].words] == ["a", "sun"]


def test_more_lines_than_are_scored_at_once_come_all_and_in_order(
    trained: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [line.nll_nats for line in load().score(LINES)]
    monkeypatch.setattr("rnncli.evaluation.scoring.LINES_SORTED", 2)
    assert [line.nll_nats for line in load().score(iter(LINES))] == pytest.approx(alone)
    assert list(load().score([])) == []


def test_its_texts_are_those_of_the_command(trained: Command) -> None:
    said = trained("generate", "-p", "a", "-n", "3", "-l", "20", "--seed", "5", "--format", "jsonl")
    model = load("models/m")
    found = [text.text for text in model.generate("a", number=3, length=20, seed=5)]
    assert found == [json.loads(line)["text"] for line in said.out.splitlines()]
    assert "".join(model.stream("a", length=20, seed=5)) == found[0]
    (greedy,) = model.generate("a", length=9, temperature=0.0)
    assert greedy.text == trained("generate", "-p", "a", "-l", "9", "--temperature", "0").out[1:]


def test_its_scores_are_those_of_the_command(trained: Command, rhyme: Path) -> None:
    model = load()
    assert model.evaluate().record() == without_names(trained("eval", "--json").json)
    assert model.evaluate(split="valid") == model.evaluate()
    text = rhyme.read_text()
    found = model.evaluate(text, reset="line", by="position")
    by_command = trained("eval", rhyme, "--json", "--reset", "line", "--by", "position").json
    assert found.record() == without_names(by_command)
    assert found.score.nll_nats == by_command["nll_nats"]
    learning = model.evaluate(text, cache=True, cache_size=50).dynamic
    assert learning is not None
    assert "cache of 50" in learning.method


def test_what_is_foreseen_is_an_error_with_a_hint(trained: Command) -> None:
    with pytest.raises(ModelError, match="no model nowhere"):
        load(Path("nowhere"))
    model = load(Path("models/m"))
    assert "lstm" in repr(model)
    wrong: list[tuple[str, Callable[[], object]]] = [
        ("a stop string is empty", lambda: list(model.generate(stop=("",)))),
        ("number is 0", lambda: list(model.generate(number=0))),
        ("length is -1", lambda: list(model.generate(length=-1))),
        ("lines is 0", lambda: list(model.generate(lines=0))),
        ("seed is -1", lambda: model.stream(seed=-1)),
        ("seed is -1", lambda: model.generate(seed=-1)),
        ("there is no option 'temprature'", lambda: model.generate(temprature=1.0)),
        ("top k is -1", lambda: model.stream(top_k=-1)),
        ("both options and seed", lambda: model.generate(options=GenerationOptions(), seed=1)),
        ("is a split of|names a split", lambda: model.evaluate("a", split="test")),
        ("split is 'train'", lambda: model.evaluate(split="train")),
        ("reset is 'word'", lambda: model.evaluate("a", reset="word")),
        ("by is 'word'", lambda: model.evaluate(by="word")),
        ("to is 'page'", lambda: model.complete("a", to="page")),
        ("a single string", lambda: list(model.score("a sun"))),
        ("a line end in it", lambda: list(model.score(["a\nsun"]))),
    ]
    for says, work in wrong:
        with pytest.raises(ConfigError, match=says) as refused:
            work()
        assert refused.value.hint


def test_its_remarks_are_logged(trained: Command, caplog: pytest.LogCaptureFixture) -> None:
    """What a caller should know is a warning, which Python shows unless told otherwise; a fact is not."""
    caplog.set_level(logging.INFO, logger="rnncli")
    oov, copied = "out-of-vocabulary tokens in the prompt", "found only 1 of 2 texts"
    assert list(load().generate("\u2603", length=1))
    assert len(list(load().generate(number=2, length=0, unique=True))) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert caplog.messages[0].startswith(oov)
    assert caplog.messages[1].startswith(copied)
    caplog.clear()
    load().evaluate("\u2603 and the moon")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    caplog.clear()
    trained("train", "rhyme.txt", "--name", "alone", *TINY)
    load("alone").evaluate()
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "does it beat an n-gram model? rnncli ngram alone adds one and shows both")
    ]


def test_words_are_refused_where_a_model_knows_none(rnncli: Command) -> None:
    Path("solid.txt").write_text("abcabcbca" * 60)
    assert rnncli("train", "solid.txt", "--name", "m", *TINY).code == 0
    with pytest.raises(ConfigError, match="has no whitespace"):
        next(iter(load().score(["abc"]))).words  # noqa: B018 - it is the asking that fails


def test_an_option_object_says_the_same_as_keywords(trained: Command) -> None:
    model = load()
    sampling = SamplingOptions(temperature=0.5, top_k=3)
    texts = [
        [text.text for text in model.generate("a", seed=1, length=20, temperature=0.5, top_k=3)],
        [text.text for text in model.generate("a", seed=1, length=20, sampling=sampling)],
        [
            text.text
            for text in model.generate(
                "a",
                options=GenerationOptions(
                    seed=1, sampling=sampling, stopping=rnncli.StoppingOptions(length=20)
                ),
            )
        ],
    ]
    assert texts[0] == texts[1] == texts[2]
    assert model.evaluate(options=EvaluationOptions(by="line")) == model.evaluate(by="line")


def test_its_completions_are_those_of_the_command(trained: Command) -> None:
    found = load().complete("the ra", to="line", number=2, length=30)
    options = ("--to", "line", "-n", "2", "-l", "30", "--json")
    assert json.loads(json.dumps(found.record())) == trained("complete", "the ra", *options).json


def test_its_module_is_the_torch_module(trained: Command) -> None:
    model = load()
    assert model.module.config.hidden_size == 12
    assert model.module is model.module


def without_names(record: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in record.items() if key not in ("model", "text")}
