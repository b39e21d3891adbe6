"""Minimal pairs: what is preferred, how often that is right, and which lines are pairs."""

import json

import pytest

from rnncli.errors import CorpusError
from rnncli.evaluation.minimal_pairs import PairScore, PairSummary, parse_pairs


def line(good: object, bad: object) -> str:
    return json.dumps({"sentence_good": good, "sentence_bad": bad})


def test_the_sentence_that_costs_less_is_preferred() -> None:
    assert PairScore.of(1, 3.0, 5.0) == PairScore(1, "good", 2.0, 3.0, 5.0)
    assert PairScore.of(2, 5.0, 3.0).preferred == "bad"
    assert PairScore.of(3, 5.0, 5.0 + 1e-6).preferred == "tie"


def test_a_tie_counts_as_an_error() -> None:
    assert PairSummary.of(["good", "tie", "bad", "good"]) == PairSummary(pairs=4, accuracy=0.5, ties=1)
    with pytest.raises(CorpusError, match="no pairs"):
        PairSummary.of([])


def test_empty_lines_are_skipped_and_counted() -> None:
    assert list(parse_pairs([line("a", "b"), "", " ", line("c", "d")], 1, "x")) == [("a", "b"), ("c", "d")]
    with pytest.raises(CorpusError, match="line 12 of x is not a minimal pair"):
        list(parse_pairs(["", "", "{}"], 10, "x"))


@pytest.mark.parametrize(
    "text", ["a b", "[1]", line("a", 3), line("a\nb", "c"), '{"sentence_good": "a"}', "[" * 100_000]
)
def test_what_is_not_a_pair_is_refused(text: str) -> None:
    with pytest.raises(CorpusError, match="is not a minimal pair") as refused:
        list(parse_pairs([text], 1, "x"))
    assert "sentence_good" in refused.value.hint
