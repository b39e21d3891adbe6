"""The filters against numbers worked by hand, and the draw."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.errors import ConfigError
from rnncli.inference.config import SamplingConfig
from rnncli.inference.sampling import forbid, sample, softmax, temperature, top_k, top_p

INF = float("inf")
# Probabilities 0.5, 0.25, 0.125, 0.125.
LOGITS = np.log([0.5, 0.25, 0.125, 0.125])


def kept(logits: npt.NDArray[np.float64]) -> list[int]:
    return [index for index, value in enumerate(logits) if np.isfinite(value)]


def test_softmax_of_logarithms_gives_the_probabilities_back() -> None:
    np.testing.assert_allclose(softmax(LOGITS), [0.5, 0.25, 0.125, 0.125])


def test_temperature_two_takes_square_roots_of_odds() -> None:
    # sqrt of 1 : 1/4 is 1 : 1/2, so that 4/5 and 1/5 become 2/3 and 1/3
    np.testing.assert_allclose(softmax(temperature(np.log([0.8, 0.2]), 2.0)), [2 / 3, 1 / 3])


def test_temperature_half_squares_the_odds() -> None:
    np.testing.assert_allclose(softmax(temperature(np.log([0.8, 0.2]), 0.5)), [16 / 17, 1 / 17])


def test_a_tiny_temperature_is_greedy_and_does_not_overflow() -> None:
    np.testing.assert_array_equal(softmax(temperature(LOGITS, 1e-45)), [1, 0, 0, 0])


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
    np.testing.assert_allclose(softmax(top_k(LOGITS, 2)), [2 / 3, 1 / 3, 0, 0])
    np.testing.assert_allclose(softmax(top_p(LOGITS, 0.75)), [2 / 3, 1 / 3, 0, 0])


def test_forbidden_tokens_are_never_drawn_unless_nothing_else_is_left() -> None:
    assert kept(forbid(LOGITS, [0])) == [1, 2, 3]
    assert kept(forbid(np.array([0.0]), [0])) == [0]


def test_temperature_zero_takes_the_likeliest() -> None:
    assert sample(LOGITS, SamplingConfig(temperature=0.0), np.random.default_rng(0)) == 0


def test_draws_follow_the_probabilities() -> None:
    rng = np.random.default_rng(0)
    draws = [sample(LOGITS, SamplingConfig(temperature=1.0), rng) for _ in range(4000)]
    np.testing.assert_allclose(np.bincount(draws) / 4000, [0.5, 0.25, 0.125, 0.125], atol=0.03)


@given(
    logits=st.lists(st.floats(-50, 50), min_size=1, max_size=20),
    heat=st.floats(0, 5),
    k=st.integers(0, 25),
    p=st.floats(0.001, 1.0),
    seed=st.integers(0, 2**31),
)
def test_a_draw_is_always_a_token_that_the_filters_kept(
    logits: list[float], heat: float, k: int, p: float, seed: int
) -> None:
    array = np.array(logits)
    token = sample(array, SamplingConfig(heat, k, p), np.random.default_rng(seed))
    allowed = top_p(top_k(temperature(array, heat), k), p) if heat > 0 else array
    assert np.isfinite(allowed[token])


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -1.0},
        {"temperature": INF},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
    ],
    ids=str,
)
def test_settings_without_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        SamplingConfig(**settings)  # type: ignore[arg-type]
