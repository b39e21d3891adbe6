"""Tests of n-best rescoring: reading lists, choosing hypotheses, and tuning weights.

Shapes:
  H: hypotheses
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.decoding import Text
from rnncli.errors import CorpusError
from rnncli.evaluation.config import ListFormat
from rnncli.evaluation.rescoring import (
    NBestList,
    best_hypotheses,
    edit_distances,
    errors_of_best,
    line_search,
    parse_nbest,
    parse_references,
    parse_scores,
    tune_weights,
)


def test_the_least_total_is_best_and_the_first_among_equals() -> None:
    utterance = np.array([0, 1, 0, 1, 0, 2])
    totals = np.array([3.0, 5.0, 1.0, 5.0, 1.0, np.inf])
    assert best_hypotheses(totals, utterance).tolist() == [2, 1, 5]
    assert errors_of_best(totals, np.array([0, 10, 200, 0, 0, 3000]), utterance) == 3210


def test_errors_are_insertions_deletions_and_substitutions() -> None:
    texts = [text.split() for text in ("the cat sat", "cat sat down", "", "a dog")]
    references = [["the", "cat", "sat"], []]
    assert edit_distances(texts, references, np.array([0, 0, 0, 1])).tolist() == [0, 2, 3, 2]


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(-2, 2), st.integers(0, 5)), min_size=1, max_size=12),
    st.integers(1, 4),
)
def test_a_line_search_finds_the_global_minimum(rows: list[tuple[int, int, int]], many: int) -> None:
    """Compared with a scan of positions on and between all corners."""
    offsets, slopes, errors = (np.array(column) for column in zip(*rows, strict=True))
    utterance = np.unique(np.arange(len(rows)) % many, return_inverse=True)[1]
    lists = [np.flatnonzero(utterance == number) for number in range(int(utterance.max()) + 1)]
    position = line_search(offsets.astype(float), slopes.astype(float), errors, lists)
    found = errors_of_best(offsets + position * slopes, errors, utterance)
    scanned = np.arange(-8.0, 8.0, 1 / 60) + 1e-4
    assert found == min(errors_of_best(offsets + at * slopes, errors, utterance) for at in scanned)


def test_tuning_finds_the_weights_of_informative_features() -> None:
    """One feature is noise; the other is informative, with the wrong sign."""
    rng = np.random.default_rng(3)
    utterance = np.repeat(np.arange(60), 20)
    errors = rng.integers(0, 8, len(utterance))
    features = np.stack([rng.normal(0, 30.0, len(errors)), -2.0 * errors + rng.normal(0, 1, len(errors))], 1)
    first = np.array([1.0, 1.0])
    weights = tune_weights(features, errors, utterance, first)
    before, after, fewest = (
        errors_of_best(totals, errors, utterance)
        for totals in (features @ first, features @ weights, errors.astype(float))
    )
    assert after < 0.2 * before
    assert after < fewest + 30
    assert weights[1] < -10 * abs(weights[0])
    assert np.abs(weights).sum() == pytest.approx(1.0)
    assert np.array_equal(weights, tune_weights(features, errors, utterance, first)), "the same every time"


def test_tuning_keeps_the_given_weights_if_none_are_better() -> None:
    features, utterance = np.ones((4, 3)), np.array([0, 0, 1, 1])
    weights = tune_weights(features, np.array([1, 1, 2, 2]), utterance, np.array([1.0, 1.0, 0.0]))
    assert weights.tolist() == [0.5, 0.5, 0.0]


KALDI = "b-x-1 the cat sat\nb-x-2 the cat\na-1\nb-x-10  the  hat \n"


def text(content: str) -> Text:
    return Text((content,), "a.txt", "utf-8")


def hypotheses(content: str = KALDI, form: ListFormat = "kaldi") -> NBestList:
    return parse_nbest(text(content), form)


def test_a_kaldi_list_names_its_hypotheses() -> None:
    found = hypotheses()
    assert found.names == ("b-x-1", "b-x-2", "a-1", "b-x-10")
    assert found.texts == ("the cat sat", "the cat", "", "the  hat")
    assert found.utterances == ("b-x", "a")
    assert found.utterance.tolist() == [0, 0, 1, 0]


def test_an_nbest_list_names_the_utterance_of_every_line() -> None:
    found = hypotheses("7 a b\n7 a\n8 c\n7 b", "nbest")
    assert found.utterances == ("7", "8")
    assert found.utterance.tolist() == [0, 0, 1, 0]


def test_kaldi_scores_are_matched_by_name() -> None:
    costs = parse_scores(
        text("a-1 3\nb-x-10 -1e3\nb-x-1\t0.5\nother-1 9\nb-x-2 1e10\n"), "kaldi", hypotheses()
    )
    assert costs.tolist() == [0.5, 1e10, 3.0, -1000.0]


def test_nbest_scores_are_converted_from_log10_to_nats() -> None:
    plain = hypotheses("7 a\n7 b\n", "nbest")
    assert parse_scores(text("-1\n-0.5"), "nbest", plain).tolist() == pytest.approx([2.302585, 1.151293])


def test_references_are_matched_by_name() -> None:
    assert parse_references(text("a\nb-x the  cat sat\n"), hypotheses()) == ["the  cat sat", ""]


@pytest.mark.parametrize(
    ("content", "form", "message"),
    [
        ("", "kaldi", "a.txt has no hypotheses"),
        ("a-1 x\n\na-2 y\n", "kaldi", "line 2 of a.txt has no name"),
        ("a-1 x\nb y\n", "kaldi", 'a.txt has b without a "-1" at the end of its name'),
        ("a-1 x\na-1 y\n", "kaldi", "a.txt has a-1 twice"),
        ("a-one x\na-two y\n", "kaldi", "a.txt has a-one without"),
        (" \n", "nbest", "line 1 of a.txt has no name"),
    ],
)
def test_an_invalid_list_is_an_error(content: str, form: ListFormat, message: str) -> None:
    with pytest.raises(CorpusError) as error:
        hypotheses(content, form)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "form", "message"),
    [
        ("b-x-1 1\nb-x-2 1\na-1 1\n", "kaldi", "a.txt has no score of b-x-10"),
        ("b-x-1 one\n", "kaldi", "line 1 of a.txt has no score: 'one'"),
        ("b-x-1\n", "kaldi", "line 1 of a.txt has no score: ''"),
        ("b-x-1 nan\n", "kaldi", "line 1 of a.txt has no score: 'nan'"),
        ("b-x-1 -inf\n", "kaldi", "line 1 of a.txt has no score: '-inf'"),
        ("b-x-1 1\nb-x-1 2\n", "kaldi", "a.txt has b-x-1 twice"),
        ("1\n2\n", "nbest", "a.txt has 2 scores for 4 hypotheses"),
    ],
)
def test_a_missing_or_invalid_score_is_an_error(content: str, form: ListFormat, message: str) -> None:
    with pytest.raises(CorpusError) as error:
        parse_scores(text(content), form, hypotheses())
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a x\n", "a.txt has no reference for b-x"),
        ("a x\nb-x y\nc z\n", "the list has no hypothesis of c"),
        ("a x\na y\n", "a twice"),
    ],
)
def test_lists_and_references_must_have_the_same_utterances(content: str, message: str) -> None:
    with pytest.raises(CorpusError) as error:
        parse_references(text(content), hypotheses())
    assert message in str(error.value)
