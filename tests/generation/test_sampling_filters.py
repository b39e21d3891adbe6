"""Filters against values computed by hand, and sampling."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.errors import ConfigError
from rnncli.generation.config import SamplingOptions
from rnncli.generation.sampling_filters import (
    apply_min_p,
    apply_repetition_penalty,
    apply_temperature,
    apply_top_k,
    apply_top_p,
    apply_typical_p,
    filter_logits,
    forbid,
    sample,
    softmax,
)

INF = float("inf")
# Probabilities 0.5, 0.25, 0.125, 0.125.
LOGITS = np.log([[0.5, 0.25, 0.125, 0.125]])


def remaining(logits: npt.NDArray[np.float64]) -> list[int]:
    """Return the tokens that are left in a batch of one."""
    (row,) = logits
    return [token for token, logit in enumerate(row) if np.isfinite(logit)]


def test_softmax_of_log_probabilities_returns_the_probabilities() -> None:
    np.testing.assert_allclose(softmax(LOGITS), [[0.5, 0.25, 0.125, 0.125]])


def test_temperature_two_takes_square_roots_of_odds() -> None:
    # The square root of 1 : 1/4 is 1 : 1/2, so that 4/5 and 1/5 become 2/3 and 1/3.
    np.testing.assert_allclose(softmax(apply_temperature(np.log([[0.8, 0.2]]), 2.0)), [[2 / 3, 1 / 3]])


def test_temperature_half_squares_the_odds() -> None:
    np.testing.assert_allclose(softmax(apply_temperature(np.log([[0.8, 0.2]]), 0.5)), [[16 / 17, 1 / 17]])


def test_a_tiny_temperature_is_greedy_and_does_not_overflow() -> None:
    np.testing.assert_array_equal(softmax(apply_temperature(LOGITS, 1e-45)), [[1, 0, 0, 0]])


@pytest.mark.parametrize(
    ("k", "left"), [(0, [0, 1, 2, 3]), (1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (9, [0, 1, 2, 3])]
)
def test_top_k_keeps_the_most_probable_and_breaks_ties_by_id(k: int, left: list[int]) -> None:
    assert remaining(apply_top_k(LOGITS, k)) == left


@pytest.mark.parametrize(
    ("p", "left"),
    [(0.4, [0]), (0.5, [0]), (0.51, [0, 1]), (0.75, [0, 1]), (0.8, [0, 1, 2]), (1.0, [0, 1, 2, 3])],
)
def test_top_p_keeps_the_fewest_tokens_that_sum_to_p(p: float, left: list[int]) -> None:
    assert remaining(apply_top_p(LOGITS, p)) == left


def test_filters_preserve_the_odds_of_the_tokens_they_keep() -> None:
    np.testing.assert_allclose(softmax(apply_top_k(LOGITS, 2)), [[2 / 3, 1 / 3, 0, 0]])
    np.testing.assert_allclose(softmax(apply_top_p(LOGITS, 0.75)), [[2 / 3, 1 / 3, 0, 0]])


@pytest.mark.parametrize(("p", "left"), [(0.0, [0, 1, 2, 3]), (0.2, [0, 1, 2, 3]), (0.3, [0, 1]), (1.0, [0])])
def test_min_p_is_relative_to_the_most_probable_token(p: float, left: list[int]) -> None:
    assert remaining(apply_min_p(LOGITS, p)) == left


@pytest.mark.parametrize(
    ("p", "left"), [(0.1, [1]), (0.24, [1]), (0.26, [0, 1]), (0.8, [0, 1, 2]), (1.0, [0, 1, 2, 3])]
)
def test_typical_p_keeps_tokens_of_typical_surprisal(p: float, left: list[int]) -> None:
    """The entropy is 1.75 bits; the surprisals are 1, 2, 3 and 3 bits: 2 is nearest, then 1."""
    assert remaining(apply_typical_p(LOGITS, p)) == left


def test_a_penalty_multiplies_the_surprisal_of_tokens_that_occurred() -> None:
    """Tokens with 0.5 and 0.25 occurred; with twice their surprisal: 0.25 and 0.0625, of a sum of 0.5625."""
    occurred = np.array([[True, True, False, False]])
    expected = np.array([[0.25, 0.0625, 0.125, 0.125]]) / 0.5625
    np.testing.assert_allclose(softmax(apply_repetition_penalty(LOGITS + 7.0, occurred, 2.0)), expected)
    np.testing.assert_allclose(
        softmax(apply_repetition_penalty(LOGITS, np.zeros_like(occurred), 2.0)), softmax(LOGITS)
    )
    assert apply_repetition_penalty(LOGITS, occurred, 1.0) is LOGITS


def test_forbidden_tokens_are_removed_unless_no_other_is_left() -> None:
    assert remaining(forbid(LOGITS, [0])) == [1, 2, 3]
    assert remaining(forbid(np.array([[0.0]]), [0])) == [0]
    both = forbid(np.array([[0.0, -INF], [0.0, 1.0]]), [0])
    assert both.tolist() == [[0.0, -INF], [-INF, 1.0]]


def test_every_row_is_filtered_by_itself() -> None:
    options = SamplingOptions(temperature=0.7, top_k=5, top_p=0.8, min_p=0.05, typical_p=0.9)
    logits = np.random.default_rng(0).normal(0.0, 2.0, (6, 11))
    together = filter_logits(logits, options)
    for row, filtered in zip(logits, together, strict=True):
        assert np.array_equal(filter_logits(row[None], options)[0], filtered)


def test_samples_follow_the_probabilities() -> None:
    uniform = np.random.default_rng(0).random(4000)
    tokens = sample(np.repeat(LOGITS, 4000, 0), uniform)
    np.testing.assert_allclose(np.bincount(tokens) / 4000, [0.5, 0.25, 0.125, 0.125], atol=0.03)
    assert sample(np.repeat(LOGITS, 4, 0), np.array([0.0, 0.51, 0.76, 0.9999999])).tolist() == [0, 1, 2, 3]


@given(
    logits=st.lists(st.floats(-50, 50), min_size=1, max_size=20),
    temperature=st.floats(0.01, 5),
    top_k=st.integers(0, 25),
    top_p=st.floats(0.001, 1.0),
    min_p=st.floats(0.0, 1.0),
    typical_p=st.floats(0.001, 1.0),
    uniform=st.floats(0.0, 1.0, exclude_max=True),
)
def test_a_sampled_token_passes_the_filters(
    logits: list[float],
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float,
    typical_p: float,
    uniform: float,
) -> None:
    options = SamplingOptions(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, typical_p=typical_p
    )
    filtered = filter_logits(np.array([logits]), options)
    (token,) = sample(filtered, np.array([uniform]))
    assert np.isfinite(filtered[0, token])


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -1.0},
        {"temperature": INF},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": -0.1},
        {"min_p": 1.1},
        {"typical_p": 0.0},
        {"repetition_penalty": 0.5},
        {"no_repeat_ngram": -1},
    ],
    ids=str,
)
def test_values_out_of_range_are_rejected(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        SamplingOptions(**settings)  # type: ignore[arg-type]
