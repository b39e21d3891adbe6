"""Tests of loss breakdowns: every token is in exactly one group."""

import numpy as np
import pytest

from rnncli.data.tokenizers.base import CharTokenizer
from rnncli.evaluation.loss_breakdown import by_frequency, by_line, by_position
from rnncli.results import LossGroup


def total(groups: tuple[LossGroup, ...]) -> float:
    assert sum(group.fraction_of_nll for group in groups) == pytest.approx(1.0)
    return sum(group.nats_per_token * group.tokens for group in groups)


def test_positions_count_from_the_last_reset() -> None:
    nats = np.arange(10.0)
    groups = by_position(nats, None)
    assert [(group.label, group.tokens) for group in groups] == [
        ("0", 1),
        ("1", 1),
        ("2 to 3", 2),
        ("4 to 7", 4),
        ("8 to 15", 2),
    ]
    assert [group.nats_per_token for group in groups] == [0.0, 1.0, 2.5, 5.5, 8.5]
    lines = by_position(nats, np.array([0, 3, 4]))
    assert [(group.label, group.tokens) for group in lines] == [
        ("0", 3),
        ("1", 2),
        ("2 to 3", 3),
        ("4 to 7", 2),
    ]
    assert lines[0].nats_per_token == pytest.approx((0.0 + 3.0 + 4.0) / 3)
    assert total(groups) == total(lines) == nats.sum()


def test_frequencies_are_those_of_the_training_split() -> None:
    counts, ids = np.array([0, 1, 9, 10, 5_000]), np.array([0, 1, 2, 2, 3, 4], np.uint8)
    groups = by_frequency(np.array([9.0, 5.0, 3.0, 4.0, 2.0, 1.0]), ids, counts)
    assert [(group.label, group.tokens, group.nats_per_token) for group in groups] == [
        ("never", 1, 9.0),
        ("1 to 9 times", 3, 4.0),
        ("10 to 99 times", 1, 2.0),
        ("1,000 to 9,999 times", 1, 1.0),
    ]
    assert total(groups) == 24.0


def test_the_lines_with_the_highest_loss_come_first() -> None:
    text = "ab\nc\n\nabc"
    tokenizer = CharTokenizer.train(text)
    nats = np.array([1.0, 1.0, 1.0, 8.0, 2.0, 3.0, 0.5, 0.5, 0.5])
    groups = by_line(nats, tokenizer.encode(text), np.array([0, 3, 5, 6]), tokenizer)
    assert [group.label for group in groups] == ["c", "", "ab", "abc"]
    assert [group.nats_per_token for group in groups] == [5.0, 3.0, 1.0, 0.5]
    assert total(groups) == pytest.approx(nats.sum())
