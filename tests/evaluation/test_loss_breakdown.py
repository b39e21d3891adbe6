"""Groups of tokens: each token in one, and what they are called."""

import numpy as np
import pytest

from rnncli.data.tokenizers.base import CharTokenizer
from rnncli.evaluation.loss_breakdown import by_frequency, by_line, by_position
from rnncli.results import Share


def total(shares: tuple[Share, ...]) -> float:
    assert sum(share.share_of_nats for share in shares) == pytest.approx(1.0)
    return sum(share.nats_per_token * share.tokens for share in shares)


def test_positions_count_from_the_beginning_of_a_text_or_line() -> None:
    nats = np.arange(10.0)
    shares = by_position(nats, None)
    assert [(share.label, share.tokens) for share in shares] == [
        ("0", 1),
        ("1", 1),
        ("2 to 3", 2),
        ("4 to 7", 4),
        ("8 to 15", 2),
    ]
    assert [share.nats_per_token for share in shares] == [0.0, 1.0, 2.5, 5.5, 8.5]
    lines = by_position(nats, np.array([0, 3, 4]))
    assert [(share.label, share.tokens) for share in lines] == [
        ("0", 3),
        ("1", 2),
        ("2 to 3", 3),
        ("4 to 7", 2),
    ]
    assert lines[0].nats_per_token == pytest.approx((0.0 + 3.0 + 4.0) / 3)
    assert total(shares) == total(lines) == nats.sum()


def test_frequencies_are_those_of_the_training_part() -> None:
    counts, ids = np.array([0, 1, 9, 10, 5_000]), np.array([0, 1, 2, 2, 3, 4], np.uint8)
    shares = by_frequency(np.array([9.0, 5.0, 3.0, 4.0, 2.0, 1.0]), ids, counts)
    assert [(share.label, share.tokens, share.nats_per_token) for share in shares] == [
        ("never", 1, 9.0),
        ("1 to 9 times", 3, 4.0),
        ("10 to 99 times", 1, 2.0),
        ("1,000 to 9,999 times", 1, 1.0),
    ]
    assert total(shares) == 24.0


def test_the_worst_lines_come_first() -> None:
    text = "ab\nc\n\nabc"
    tokenizer = CharTokenizer.of(text)
    nats = np.array([1.0, 1.0, 1.0, 8.0, 2.0, 3.0, 0.5, 0.5, 0.5])
    shares = by_line(nats, tokenizer.encode(text), np.array([0, 3, 5, 6]), tokenizer)
    assert [share.label for share in shares] == ["c", "", "ab", "abc"]
    assert [share.nats_per_token for share in shares] == [5.0, 3.0, 1.0, 0.5]
    assert total(shares) == pytest.approx(nats.sum())
