"""Intervals: narrow where they should be, and true as often as they say."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from rnncli.data.split import Part
from rnncli.evaluation.bootstrap import block_cuts, block_sums, difference, measured
from tests.conftest import part_of


def text_of(tokens: int) -> Part:
    return part_of(np.arange(tokens, dtype=np.uint32))


def by_block(nats: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """(N, M) -> sums by block (M, K) and where the blocks begin and end (K + 1,)."""
    cuts = block_cuts(len(nats))
    return block_sums(iter(np.array_split(nats, 7)), text_of(len(nats)), cuts, nats.shape[1]).nats.T, cuts


@pytest.mark.parametrize("tokens", [0, 1, 99, 100, 250, 12_345, 10**6])
def test_blocks_cover_the_text_once(tokens: int) -> None:
    cuts = block_cuts(tokens)
    assert (cuts[0], cuts[-1]) == (0, tokens)
    assert len(cuts) <= 201
    lengths = np.diff(cuts)
    assert lengths.max() - lengths.min() <= 1
    assert tokens < 200 or lengths.min() >= 100


def test_sums_by_block_are_those_of_its_tokens() -> None:
    nats = np.random.default_rng(0).exponential(1.0, (1_003, 2))
    cuts = block_cuts(len(nats))
    text = part_of(np.arange(len(nats)).astype(np.uint16) % 10, unknown_id=3)
    sums = block_sums(iter(np.array_split(nats, 7)), text, cuts, 2)
    for block, (first, last) in enumerate(pairwise(cuts)):
        assert sums.nats[block] == pytest.approx(nats[first:last].sum(0))
    assert sums.oov_nats == pytest.approx(nats[3::10].sum(0))


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Texts of a source whose mean is known, hard and easy passages of 50 tokens among them."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        (sums,), cuts = by_block(rng.exponential(np.repeat(rng.uniform(0.5, 1.5, 100), 50))[:, None])
        column = measured("x", sums, 0.0, text_of(5_000), cuts)
        assert column.low is not None
        assert column.high is not None
        held += column.low < 1.0 < column.high
    assert 0.88 * 200 <= held <= 0.99 * 200


def test_a_difference_is_known_better_than_the_figures() -> None:
    rng = np.random.default_rng(2)
    one = rng.exponential(np.repeat(rng.uniform(0.5, 1.5, 100), 50))
    (first, second), cuts = by_block(np.stack([one, one + 0.01 * rng.random(5_000)], 1))
    figure = measured("one", first, 0.0, text_of(5_000), cuts)
    gap = difference(("one", first), ("two", second), "token", np.diff(cuts))
    assert (gap.better, gap.worse) == ("one", "two")
    assert gap == difference(("two", second), ("one", first), "token", np.diff(cuts))
    assert gap.nats == pytest.approx(0.005, rel=0.1)
    assert gap.low is not None
    assert gap.high is not None
    assert 0.0 < gap.low < gap.nats < gap.high < 0.006
    assert figure.low is not None
    assert figure.high is not None
    assert figure.high - figure.low > 20 * (gap.high - gap.low)


def test_two_models_alike_cannot_be_told_apart() -> None:
    (first, second), cuts = by_block(np.random.default_rng(3).exponential(1.0, (5_000, 2)))
    gap = difference(("one", first), ("two", second), "token", np.diff(cuts))
    assert gap.low is not None
    assert gap.low < 0.0 < gap.nats


def test_a_text_too_short_has_no_interval() -> None:
    (first, second), cuts = by_block(np.ones((900, 2)))
    column = measured("x", first, 0.0, text_of(900), cuts)
    gap = difference(("one", first), ("two", second), "token", np.diff(cuts))
    assert column.low is column.high is gap.low is gap.high is None
    assert column.score.nats == 900.0
