"""Scores add, and are divided once; numbers worked by hand."""

import math

import pytest

from rnncli.reports import Score, to_json

# 8 tokens at 2 bits each: 16 bits over 2 words, 8 characters, 16 bytes.
SCORE = Score(nats=16 * math.log(2), tokens=8, words=2, characters=8, bytes=16, oov_tokens=1)


def test_perplexities_and_bits_follow_from_the_sums() -> None:
    assert SCORE.token_perplexity == pytest.approx(4.0)
    assert SCORE.word_perplexity == pytest.approx(256.0)
    assert SCORE.bits_per_character == pytest.approx(2.0)
    assert SCORE.bits_per_byte == pytest.approx(1.0)


def test_scores_add_before_they_are_divided() -> None:
    short = Score(nats=math.log(2), tokens=1, words=1, characters=1, bytes=1)
    both = SCORE + short
    assert (both.tokens, both.words, both.characters, both.bytes, both.oov_tokens) == (9, 3, 9, 17, 1)
    assert both.bits_per_character == pytest.approx(17 / 9), "not the mean of 2 and 1"


def test_a_score_of_nothing_and_one_too_large_for_a_float_do_not_raise() -> None:
    assert math.isnan(Score(0.0, 0, 0, 0, 0).token_perplexity)
    assert Score(1e6, 1, 1, 1, 1).token_perplexity == math.inf


def test_the_record_has_the_sums_and_what_follows_from_them() -> None:
    record = SCORE.record()
    assert record["nats"] == SCORE.nats
    assert record["word_perplexity"] == SCORE.word_perplexity
    assert to_json({"a": float("nan"), "b": [1.0, float("inf")]}) == '{"a": null, "b": [1.0, null]}'
