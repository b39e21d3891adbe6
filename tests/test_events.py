"""Scores are sums, divided once; numbers worked by hand."""

import math

import pytest

from rnncli.events import to_json
from rnncli.metrics import Score

# 8 tokens at 2 bits each: 16 bits over 2 words, 8 characters, 16 bytes.
SCORE = Score(nll_nats=16 * math.log(2), tokens=8, words=2, characters=8, bytes=16, oov_tokens=1)


def test_perplexities_and_bits_follow_from_the_sums() -> None:
    assert SCORE.token_perplexity == pytest.approx(4.0)
    assert SCORE.word_perplexity == pytest.approx(256.0)
    assert SCORE.bits_per_character == pytest.approx(2.0)
    assert SCORE.bits_per_byte == pytest.approx(1.0)


def test_unknown_tokens_are_left_out_or_shared_among_unseen_types() -> None:
    """4 tokens at 1, 1, 1 and 5 bits; the last is <unk>, and there are 8 types that it may be."""
    score = Score(
        8 * math.log(2), 4, words=3, characters=12, bytes=12, oov_tokens=1, oov_nll_nats=5 * math.log(2)
    )
    assert score.oov_rate == 0.25
    assert score.token_perplexity == pytest.approx(4.0)
    assert score.in_vocabulary_token_perplexity == pytest.approx(2.0)
    assert score.open_vocabulary_token_perplexity(1) == pytest.approx(4.0)
    assert score.open_vocabulary_token_perplexity(8) == pytest.approx(2 ** (11 / 4))
    assert math.isnan(Score(1.0, 1, 1, 1, 1, oov_tokens=1, oov_nll_nats=1.0).in_vocabulary_token_perplexity)


def test_line_ends_count_as_words_where_that_is_asked() -> None:
    score = Score(12 * math.log(2), 20, words=3, characters=20, bytes=20, line_ends=1)
    assert score.word_perplexity == pytest.approx(16.0)
    assert score.word_perplexity_with_line_ends == pytest.approx(8.0)


def test_a_score_of_nothing_and_one_too_large_for_a_float_do_not_raise() -> None:
    assert math.isnan(Score(0.0, 0, 0, 0, 0).token_perplexity)
    assert Score(1e6, 1, 1, 1, 1).token_perplexity == math.inf


def test_the_record_has_the_sums_and_what_follows_from_them() -> None:
    record = SCORE.record()
    assert record["nll_nats"] == SCORE.nll_nats
    assert record["word_perplexity"] == SCORE.word_perplexity
    assert to_json({"a": float("nan"), "b": [1.0, float("inf")]}) == '{"a": null, "b": [1.0, null]}'
