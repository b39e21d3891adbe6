"""Tests of confidence intervals: their coverage, and the narrower intervals of paired differences."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from rnncli.data.splits import Split
from rnncli.evaluation.bootstrap import block_bounds, block_sums, model_score, paired_difference
from tests.conftest import part_of


def text_of(tokens: int) -> Split:
    return part_of(np.arange(tokens, dtype=np.uint32))


def by_block(nats: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the sums by block (M, K) of nats (N, M), and the bounds of the blocks (K + 1,)."""
    bounds = block_bounds(len(nats))
    return block_sums(
        iter(np.array_split(nats, 7)), text_of(len(nats)), bounds, nats.shape[1]
    ).nll_nats.T, bounds


@pytest.mark.parametrize("tokens", [0, 1, 99, 100, 250, 12_345, 10**6])
def test_blocks_cover_the_text_once(tokens: int) -> None:
    bounds = block_bounds(tokens)
    assert (bounds[0], bounds[-1]) == (0, tokens)
    assert len(bounds) <= 201
    lengths = np.diff(bounds)
    assert lengths.max() - lengths.min() <= 1
    assert tokens < 200 or lengths.min() >= 100


def test_a_block_sum_is_the_sum_over_its_tokens() -> None:
    nats = np.random.default_rng(0).exponential(1.0, (1_003, 2))
    bounds = block_bounds(len(nats))
    text = part_of(np.arange(len(nats)).astype(np.uint16) % 10, unk_id=3)
    sums = block_sums(iter(np.array_split(nats, 7)), text, bounds, 2)
    for block, (first, last) in enumerate(pairwise(bounds)):
        assert sums.nll_nats[block] == pytest.approx(nats[first:last].sum(0))
    assert sums.oov_nll_nats == pytest.approx(nats[3::10].sum(0))


def test_about_95_percent_of_intervals_contain_the_true_mean() -> None:
    """Texts with a known mean NLL that alternate between hard and easy passages of 50 tokens."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        (sums,), bounds = by_block(rng.exponential(np.repeat(rng.uniform(0.5, 1.5, 100), 50))[:, None])
        score = model_score("x", sums, 0.0, text=text_of(5_000), bounds=bounds)
        assert score.ci_low is not None
        assert score.ci_high is not None
        covered += score.ci_low < 1.0 < score.ci_high
    assert 0.88 * 200 <= covered <= 0.99 * 200


def test_a_paired_difference_has_a_narrower_interval_than_the_scores() -> None:
    rng = np.random.default_rng(2)
    one = rng.exponential(np.repeat(rng.uniform(0.5, 1.5, 100), 50))
    (first, second), bounds = by_block(np.stack([one, one + 0.01 * rng.random(5_000)], 1))
    score = model_score("one", first, 0.0, text=text_of(5_000), bounds=bounds)
    gap = paired_difference(("one", first), ("two", second), "token", np.diff(bounds))
    assert (gap.better, gap.worse) == ("one", "two")
    assert gap == paired_difference(("two", second), ("one", first), "token", np.diff(bounds))
    assert gap.nats_per_unit == pytest.approx(0.005, rel=0.1)
    assert gap.ci_low is not None
    assert gap.ci_high is not None
    assert 0.0 < gap.ci_low < gap.nats_per_unit < gap.ci_high < 0.006
    assert score.ci_low is not None
    assert score.ci_high is not None
    assert score.ci_high - score.ci_low > 20 * (gap.ci_high - gap.ci_low)


def test_the_interval_of_two_equally_good_models_contains_zero() -> None:
    (first, second), bounds = by_block(np.random.default_rng(3).exponential(1.0, (5_000, 2)))
    gap = paired_difference(("one", first), ("two", second), "token", np.diff(bounds))
    assert gap.ci_low is not None
    assert gap.ci_low < 0.0 < gap.nats_per_unit


def test_a_short_text_has_no_interval() -> None:
    (first, second), bounds = by_block(np.ones((900, 2)))
    score = model_score("x", first, 0.0, text=text_of(900), bounds=bounds)
    gap = paired_difference(("one", first), ("two", second), "token", np.diff(bounds))
    assert score.ci_low is score.ci_high is gap.ci_low is gap.ci_high is None
    assert score.score.nll_nats == 900.0
