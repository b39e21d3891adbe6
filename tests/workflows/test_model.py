"""rnncli.load: what the commands do, from Python, with the same numbers."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import rnncli
from rnncli.errors import ConfigError, ModelError
from rnncli.evaluation.config import Cache, SamplingConfig
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
    assert [line.nats for line in found] == pytest.approx([row["nats"] for row in rows])
    assert [word.text for word in found[0].words] == ["a", "sun"]


def test_more_lines_than_are_scored_at_once_come_all_and_in_order(
    trained: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [line.nats for line in load().score(LINES)]
    monkeypatch.setattr("rnncli.workflows.model.LINES_SORTED", 2)
    assert [line.nats for line in load().score(iter(LINES))] == pytest.approx(alone)
    assert list(load().score([])) == []


def test_its_texts_are_those_of_the_command(trained: Command) -> None:
    said = trained("generate", "-p", "a", "-n", "3", "-l", "20", "--seed", "5", "--format", "jsonl")
    model = load("models/m")
    found = [text.text for text in model.generate("a", 3, length=20, seed=5)]
    assert found == [json.loads(line)["text"] for line in said.out.splitlines()]
    assert "".join(model.stream("a", length=20, seed=5)) == found[0]
    (likeliest,) = model.generate("a", length=9, sampling=SamplingConfig(temperature=0.0))
    assert likeliest.text == trained("generate", "-p", "a", "-l", "9", "--temperature", "0").out[1:]


def test_its_scores_are_those_of_the_command(trained: Command, rhyme: Path) -> None:
    model = load()
    assert model.evaluate().record() == without_names(trained("eval", "--json").json)
    text = rhyme.read_text()
    found = model.evaluate(text, reset="line", by="position")
    by_command = trained("eval", rhyme, "--json", "--reset", "line", "--by", "position").json
    assert found.record() == without_names(by_command)
    assert found.score.nats == by_command["nats"]
    learning = model.evaluate(text, cache=Cache(size=50)).adaptive
    assert learning is not None
    assert "cache of 50" in learning.how


def test_what_is_foreseen_is_an_error_with_a_hint(trained: Command) -> None:
    with pytest.raises(ModelError, match="no model nowhere"):
        load(Path("nowhere"))
    model = load(Path("models/m"))
    assert "lstm" in repr(model)
    wrong: list[tuple[str, Callable[[], object]]] = [
        ("a stop is empty", lambda: list(model.generate(stop=[""]))),
        ("number is 0", lambda: list(model.generate(number=0))),
        ("length is -1", lambda: list(model.generate(length=-1))),
        ("lines is 0", lambda: list(model.generate(lines=0))),
        ("seed is -1", lambda: model.stream(seed=-1)),
        ("seed is -1", lambda: model.generate(seed=-1)),
        ("part is 'train'", lambda: model.evaluate(part="train")),
        ("reset is 'word'", lambda: model.evaluate("a", reset="word")),  # type: ignore[arg-type]
        ("by is 'word'", lambda: model.evaluate(by="word")),  # type: ignore[arg-type]
        ("in place of texts", lambda: list(model.score("a sun"))),
        ("a line end in it", lambda: list(model.score(["a\nsun"]))),
    ]
    for says, work in wrong:
        with pytest.raises(ConfigError, match=says) as refused:
            work()
        assert refused.value.hint


def test_its_remarks_are_logged(trained: Command, caplog: pytest.LogCaptureFixture) -> None:
    """What a caller should know is a warning, which Python shows unless told otherwise; a fact is not."""
    caplog.set_level(logging.INFO, logger="rnncli")
    unknown, copied = "the prompt has symbols that the model has never seen", "1 of 2 texts were found"
    assert list(load().generate("\u2603", length=1))
    assert len(list(load().generate(number=2, length=0, unique=True))) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert caplog.messages[0].startswith(unknown)
    assert caplog.messages[1].startswith(copied)
    caplog.clear()
    load().evaluate("\u2603 and the moon")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    caplog.clear()
    trained("train", "rhyme.txt", "--name", "alone", *TINY)
    load("alone").evaluate()
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "does it beat an n-gram? rnncli ngram alone puts one beside it")
    ]


def test_words_are_refused_where_a_model_knows_none(rnncli: Command) -> None:
    Path("solid.txt").write_text("abcabcbca" * 60)
    assert rnncli("train", "solid.txt", "--name", "m", *TINY).code == 0
    with pytest.raises(ConfigError, match="never seen white space"):
        next(iter(load().score(["abc"]))).words  # noqa: B018 - it is the asking that fails


def test_its_import_is_light() -> None:
    program = "import sys, rnncli; rnncli.load; print({'torch', 'numpy', 'typer'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def without_names(record: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in record.items() if key not in ("model", "text")}
