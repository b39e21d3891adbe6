"""Where a text ends, and what of it may be shown before that is known."""

from collections.abc import Iterator

import numpy as np
import pytest

from rnncli.data.tokenizers.base import ByteTokenizer, CharTokenizer, Tokenizer
from rnncli.errors import ConfigError
from rnncli.evaluation.config import SamplingConfig
from rnncli.generation.prediction import Predictor
from rnncli.generation.sampler import Writer
from rnncli.generation.texts import GrowingText, Limits, stream_text, write_texts
from tests.conftest import stepper, tiny_model

LETTERS = CharTokenizer("\nabcd")


def pieces(tokenizer: Tokenizer, text: str, limits: Limits) -> Iterator[str]:
    """What is shown of a text that would go on like this, token by token."""
    growing = GrowingText(tokenizer, (), limits)
    for token in tokenizer.encode(text).tolist():
        if growing.finish_reason is None:
            yield growing.push(token, 1.0)
    if growing.finish_reason is not None:
        yield growing.end()


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(4), ["a", "b", "c", "\n", ""]),
        (Limits(99, lines=1), ["a", "b", "c", "\n", ""]),
        (Limits(99, lines=2), ["a", "b", "c", "\n", "a", "b", "d", "\n", ""]),
        (Limits(99, stops=("bd",)), ["a", "", "bc", "\n", "a", "", "", ""]),
        (Limits(99, stops=("d", "abd")), ["", "", "abc", "\n", "", "", "", ""]),
        (Limits(6, stops=("bd",)), ["a", "", "bc", "\n", "a", "", "b"]),
        (Limits(99, stops=("c\nab",)), ["a", "b", "", "", "", "", ""]),
        (Limits(99, stops=("abx", "b")), ["", "a", ""]),
    ],
    ids=str,
)
def test_a_text_is_shown_as_far_as_it_is_known_to_belong_to_it(limits: Limits, expected: list[str]) -> None:
    assert list(pieces(LETTERS, "abc\nabd\nc", limits)) == expected


def test_a_stop_may_end_in_the_middle_of_a_token_and_begin_in_half_a_character() -> None:
    """Of bytes: é is two, and a stop is found where its last byte comes."""
    assert "".join(pieces(ByteTokenizer(), "aébé", Limits(99, stops=("bé",)))) == "aé"
    assert list(pieces(ByteTokenizer(), "aé", Limits(2))) == ["a", "", "\ufffd"]


def test_a_text_of_no_length_is_empty() -> None:
    growing = GrowingText(LETTERS, (), Limits(0))
    written = growing.written(3)
    assert (written.number, written.text, written.tokens, written.finish_reason) == (3, "", 0, "length")


def writer(lanes: range) -> Writer:
    model = tiny_model(vocab_size=6, cell="gru")
    predictor, prompt = Predictor(stepper(model), None), np.array([1], np.uint8)
    return Writer(predictor, predictor.begin(prompt), prompt, SamplingConfig(temperature=1.0), 3, lanes, (0,))


@pytest.mark.parametrize(
    "limits",
    [Limits(30), Limits(60, lines=2), Limits(60, stops=("ab", "d\n")), Limits(9, stops=("c",))],
    ids=str,
)
def test_texts_come_in_their_order_and_each_as_if_it_were_alone(limits: Limits) -> None:
    texts = list(write_texts(writer(range(9)), range(9), lambda: GrowingText(LETTERS, (), limits)))
    assert [text.number for text in texts] == list(range(9))
    alone = "".join(stream_text(writer(range(1)), GrowingText(LETTERS, (), limits)))
    assert texts[0].text == alone
    for text in texts:
        if text.finish_reason == "length":
            assert text.tokens == limits.tokens
        elif text.finish_reason == "lines":
            assert text.text.count("\n") == limits.lines
            assert text.text.endswith("\n")
        assert not any(stop in text.text for stop in limits.stops)
        assert text.nats > 0.0
    if limits.tokens == 60:
        assert len({text.tokens for text in texts}) > 2, "they end at different times"


def test_texts_of_later_lanes_are_those_that_all_together_would_have() -> None:
    limits = Limits(60, lines=2)
    whole, later = (
        list(write_texts(writer(lanes), lanes, lambda: GrowingText(LETTERS, (), limits)))
        for lanes in (range(9), range(4, 7))
    )
    assert [(text.number, text.text) for text in later] == [(text.number, text.text) for text in whole[4:7]]


def test_an_empty_stop_is_refused() -> None:
    with pytest.raises(ConfigError, match="a stop is empty"):
        Limits(9, stops=("a", ""))
