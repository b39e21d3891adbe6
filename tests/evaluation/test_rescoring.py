"""The best of each list, errors counted, and weights that make few of them. Shapes: H hypotheses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.evaluation import rescoring
from rnncli.evaluation.rescoring import errors_of_best, taken, tune, word_errors


def test_the_least_total_is_taken_and_of_equals_the_first_wherever_they_stand() -> None:
    utterance = np.array([0, 1, 0, 1, 0, 2])
    totals = np.array([3.0, 5.0, 1.0, 5.0, 1.0, np.inf])
    assert taken(totals, utterance).tolist() == [2, 1, 5]
    assert errors_of_best(totals, np.array([0, 10, 200, 0, 0, 3000]), utterance) == 3210


def test_errors_are_words_put_in_left_out_or_changed() -> None:
    texts = [text.split() for text in ("the cat sat", "cat sat down", "", "a dog")]
    references = [["the", "cat", "sat"], []]
    assert word_errors(texts, references, np.array([0, 0, 0, 1])).tolist() == [0, 2, 3, 2]


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(-2, 2), st.integers(0, 5)), min_size=1, max_size=12),
    st.integers(1, 4),
)
def test_the_best_place_on_a_line_is_as_good_as_any(rows: list[tuple[int, int, int]], many: int) -> None:
    """Against a scan of places on and between all crossings."""
    offsets, slopes, errors = (np.array(column) for column in zip(*rows, strict=True))
    utterance = np.unique(np.arange(len(rows)) % many, return_inverse=True)[1]
    lists = [np.flatnonzero(utterance == number) for number in range(int(utterance.max()) + 1)]
    place = rescoring._best_place(offsets.astype(float), slopes.astype(float), errors, lists)
    found = errors_of_best(offsets + place * slopes, errors, utterance)
    scanned = np.arange(-8.0, 8.0, 1 / 60) + 1e-4
    assert found == min(errors_of_best(offsets + at * slopes, errors, utterance) for at in scanned)


def test_weights_are_found_for_what_tells_good_from_bad() -> None:
    """Costs of two judges, one wise and one of noise, and the wise one's are upside down."""
    rng = np.random.default_rng(3)
    utterance = np.repeat(np.arange(60), 20)
    errors = rng.integers(0, 8, len(utterance))
    features = np.stack([rng.normal(0, 30.0, len(errors)), -2.0 * errors + rng.normal(0, 1, len(errors))], 1)
    first = np.array([1.0, 1.0])
    weights = tune(features, errors, utterance, first)
    before, after, fewest = (
        errors_of_best(totals, errors, utterance)
        for totals in (features @ first, features @ weights, errors.astype(float))
    )
    assert after < 0.2 * before
    assert after < fewest + 30
    assert weights[1] < -10 * abs(weights[0])
    assert np.abs(weights).sum() == pytest.approx(1.0)
    assert np.array_equal(weights, tune(features, errors, utterance, first)), "the same every time"


def test_where_nothing_can_be_better_the_first_weights_stay() -> None:
    features, utterance = np.ones((4, 3)), np.array([0, 0, 1, 1])
    weights = tune(features, np.array([1, 1, 2, 2]), utterance, np.array([1.0, 1.0, 0.0]))
    assert weights.tolist() == [0.5, 0.5, 0.0]
