"""The filters against numbers worked by hand, and the draw."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.errors import ConfigError
from rnncli.evaluation.config import SamplingConfig
from rnncli.generation.sampling import (
    draw,
    filtered,
    forbid,
    min_p,
    penalize,
    softmax,
    temperature,
    top_k,
    top_p,
    typical,
)

INF = float("inf")
# Probabilities 0.5, 0.25, 0.125, 0.125.
LOGITS = np.log([[0.5, 0.25, 0.125, 0.125]])


def kept(logits: npt.NDArray[np.float64]) -> list[int]:
    """Of the only lane."""
    (lane,) = logits
    return [index for index, value in enumerate(lane) if np.isfinite(value)]


def test_softmax_of_logarithms_gives_the_probabilities_back() -> None:
    np.testing.assert_allclose(softmax(LOGITS), [[0.5, 0.25, 0.125, 0.125]])


def test_temperature_two_takes_square_roots_of_odds() -> None:
    # sqrt of 1 : 1/4 is 1 : 1/2, so that 4/5 and 1/5 become 2/3 and 1/3
    np.testing.assert_allclose(softmax(temperature(np.log([[0.8, 0.2]]), 2.0)), [[2 / 3, 1 / 3]])


def test_temperature_half_squares_the_odds() -> None:
    np.testing.assert_allclose(softmax(temperature(np.log([[0.8, 0.2]]), 0.5)), [[16 / 17, 1 / 17]])


def test_a_tiny_temperature_is_greedy_and_does_not_overflow() -> None:
    np.testing.assert_array_equal(softmax(temperature(LOGITS, 1e-45)), [[1, 0, 0, 0]])


@pytest.mark.parametrize(
    ("k", "left"), [(0, [0, 1, 2, 3]), (1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (9, [0, 1, 2, 3])]
)
def test_top_k_keeps_the_likeliest_and_the_lower_id_among_equals(k: int, left: list[int]) -> None:
    assert kept(top_k(LOGITS, k)) == left


@pytest.mark.parametrize(
    ("p", "left"),
    [(0.4, [0]), (0.5, [0]), (0.51, [0, 1]), (0.75, [0, 1]), (0.8, [0, 1, 2]), (1.0, [0, 1, 2, 3])],
)
def test_top_p_keeps_the_fewest_tokens_that_reach_p(p: float, left: list[int]) -> None:
    assert kept(top_p(LOGITS, p)) == left


def test_filters_leave_the_odds_of_what_they_keep() -> None:
    np.testing.assert_allclose(softmax(top_k(LOGITS, 2)), [[2 / 3, 1 / 3, 0, 0]])
    np.testing.assert_allclose(softmax(top_p(LOGITS, 0.75)), [[2 / 3, 1 / 3, 0, 0]])


@pytest.mark.parametrize(("p", "left"), [(0.0, [0, 1, 2, 3]), (0.2, [0, 1, 2, 3]), (0.3, [0, 1]), (1.0, [0])])
def test_min_p_keeps_what_is_near_enough_to_the_likeliest(p: float, left: list[int]) -> None:
    assert kept(min_p(LOGITS, p)) == left


@pytest.mark.parametrize(
    ("p", "left"), [(0.1, [1]), (0.24, [1]), (0.26, [0, 1]), (0.8, [0, 1, 2]), (1.0, [0, 1, 2, 3])]
)
def test_typical_keeps_what_is_about_as_surprising_as_is_usual(p: float, left: list[int]) -> None:
    """The entropy is 1.75 bits; the surprises are 1, 2, 3 and 3 bits: 2 is nearest, then 1."""
    assert kept(typical(LOGITS, p)) == left


def test_a_penalty_multiplies_the_surprise_of_what_was_there() -> None:
    """0.5 and 0.25 were there, and twice as surprising they are 0.25 and 0.0625: of 0.5625 in all."""
    seen = np.array([[True, True, False, False]])
    shares = np.array([[0.25, 0.0625, 0.125, 0.125]]) / 0.5625
    np.testing.assert_allclose(softmax(penalize(LOGITS + 7.0, seen, 2.0)), shares)
    np.testing.assert_allclose(softmax(penalize(LOGITS, ~seen & False, 2.0)), softmax(LOGITS))
    assert penalize(LOGITS, seen, 1.0) is LOGITS


def test_forbidden_tokens_are_never_drawn_unless_nothing_else_is_left() -> None:
    assert kept(forbid(LOGITS, [0])) == [1, 2, 3]
    assert kept(forbid(np.array([[0.0]]), [0])) == [0]
    both = forbid(np.array([[0.0, -INF], [0.0, 1.0]]), [0])
    assert both.tolist() == [[0.0, -INF], [-INF, 1.0]]


def test_every_lane_is_filtered_by_itself() -> None:
    settings = SamplingConfig(temperature=0.7, top_k=5, top_p=0.8, min_p=0.05, typical_p=0.9)
    lanes = np.random.default_rng(0).normal(0.0, 2.0, (6, 11))
    together = filtered(lanes, settings)
    for lane, own in zip(lanes, together, strict=True):
        assert np.array_equal(filtered(lane[None], settings)[0], own)


def test_draws_follow_the_probabilities() -> None:
    uniform = np.random.default_rng(0).random(4000)
    draws = draw(np.repeat(LOGITS, 4000, 0), uniform)
    np.testing.assert_allclose(np.bincount(draws) / 4000, [0.5, 0.25, 0.125, 0.125], atol=0.03)
    assert draw(np.repeat(LOGITS, 4, 0), np.array([0.0, 0.51, 0.76, 0.9999999])).tolist() == [0, 1, 2, 3]


@given(
    logits=st.lists(st.floats(-50, 50), min_size=1, max_size=20),
    heat=st.floats(0.01, 5),
    k=st.integers(0, 25),
    p=st.floats(0.001, 1.0),
    least=st.floats(0.0, 1.0),
    usual=st.floats(0.001, 1.0),
    uniform=st.floats(0.0, 1.0, exclude_max=True),
)
def test_a_draw_is_always_a_token_that_the_filters_kept(
    logits: list[float], heat: float, k: int, p: float, least: float, usual: float, uniform: float
) -> None:
    array = np.array([logits])
    allowed = filtered(array, SamplingConfig(heat, k, p, least, usual))
    (token,) = draw(allowed, np.array([uniform]))
    assert np.isfinite(allowed[0, token])


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
def test_settings_without_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        SamplingConfig(**settings)  # type: ignore[arg-type]
