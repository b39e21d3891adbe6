"""Kneser-Ney smoothing in arrays against a reference that follows the formulas with dictionaries."""

import math
from collections import Counter
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.errors import ConfigError
from rnncli.ngram.decoder import NgramDecoder
from rnncli.ngram.kneser_ney import NgramModel, fit

V = 5
BOS = V


def reference(ids: list[int], order: int) -> Callable[[tuple[int, ...]], float]:
    """P(last id | the other ids) by the formulas of Chen and Goodman (1998)."""
    grams = {
        n: Counter(gram for at in range(len(ids) - n + 1) if BOS not in (gram := tuple(ids[at : at + n]))[1:])
        for n in range(1, order + 2)
    }

    def count(gram: tuple[int, ...]) -> int:
        if gram == (BOS,):
            return 0
        if len(gram) == order or gram[0] == BOS:
            return grams[len(gram)][gram]
        return sum(longer[1:] == gram for longer in grams[len(gram) + 1])

    def discounts(n: int) -> list[float]:
        n1, n2, n3, n4 = ([count(gram) for gram in grams[n]].count(number) for number in (1, 2, 3, 4))
        if 0 in (n1, n2, n3, n4):
            return [0.5, 1.0, 1.5]
        y = n1 / (n1 + 2 * n2)
        found = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
        return found if min(found) > 0.0 else [0.5, 1.0, 1.5]

    @cache
    def probability(gram: tuple[int, ...]) -> float:
        if not gram:
            return 1.0 / V
        context = gram[:-1]
        counts = [count((*context, following)) for following in range(V)]
        shorter = probability(gram[1:])
        if sum(counts) == 0:
            return shorter
        taken = [0.0 if c == 0 else discounts(len(gram))[min(c, 3) - 1] for c in counts]
        mine = gram[-1]
        return (counts[mine] - taken[mine] + sum(taken) * shorter) / sum(counts)

    return probability


def after(model: NgramModel, history: list[int]) -> tuple[npt.NDArray[np.float64], int]:
    """P of every id after a history, and the length of the longest context that was seen."""
    decoder = NgramDecoder(model)
    probabilities, known = decoder.distribution([decoder.read(np.array(history, np.int64))])
    return probabilities[0], int(known[0])


TEXTS = st.lists(st.integers(0, V), min_size=1, max_size=60)


@given(TEXTS, TEXTS, st.integers(1, 4))
def test_probabilities_are_those_of_the_formulas(text: list[int], other: list[int], order: int) -> None:
    model = fit(np.array([BOS, *text]), order, V)
    probability = reference([BOS, *text], order)
    nll, _ = model.token_nll(np.array([BOS, *other]))
    for at, following in enumerate(other, 1):
        if following != BOS:
            history = [BOS, *other][max(0, at - order + 1) : at]
            latest = max((i for i, token in enumerate(history) if token == BOS), default=0)
            expected = probability((*history[latest:], following))
            assert math.exp(-nll[at]) == pytest.approx(expected, rel=1e-5)


@given(TEXTS, TEXTS, st.integers(1, 5))
def test_a_distribution_sums_to_one_and_agrees_with_the_scores(
    text: list[int], history: list[int], order: int
) -> None:
    model = fit(np.array(text), order, V)
    distribution, known = after(model, history)
    assert distribution.sum() == pytest.approx(1.0, abs=1e-5)
    assert (distribution > 0.0).all()
    for following in range(V):
        nll, lengths = model.token_nll(np.array([*history, following]))
        assert distribution[following] == pytest.approx(math.exp(-nll[-1]), rel=1e-5)
        assert lengths[-1] == known


def test_discounts_are_those_of_counts_of_counts() -> None:
    """Order 1: 8 ids once, 4 twice, 2 three times, 1 four times. Y = 8 / 16, D = 1/2, 5/4, 2."""
    counts = [1] * 8 + [2] * 4 + [3] * 2 + [4]
    ids = np.repeat(np.arange(15), counts)
    nll, _ = fit(ids, 1, 20).token_nll(np.arange(20))
    taken = (8 * 0.5 + 4 * 1.25 + 2 * 2.0 + 2.0) / 26
    kept = [0.5 / 26, 0.75 / 26, 1.0 / 26, 2.0 / 26]
    assert np.exp(-nll[[0, 8, 12, 14, 19]]) == pytest.approx([*(k + taken / 20 for k in kept), taken / 20])


def test_no_ngram_reaches_across_bos() -> None:
    joined, apart = np.array([0, 1, 2, 3]), np.array([0, 1, BOS, 2, 3])
    after_one = [after(fit(ids, 2, V), [1])[0][2] for ids in (joined, apart)]
    assert after_one[0] > 2 * after_one[1]


def test_the_length_of_the_known_context_is_reported() -> None:
    model = fit(np.array([0, 1, 2, 0, 1, 3]), 4, V)
    _, known = model.token_nll(np.array([0, 1, 2, 4, 4]))
    assert known.tolist() == [0, 1, 2, 3, 0]


def test_a_model_learns_transitions() -> None:
    rng = np.random.default_rng(0)
    ids = np.cumsum(rng.choice([1, 2], 5000, p=[0.9, 0.1])) % V
    nll, _ = fit(ids[:4000], 3, V).token_nll(ids[4000:])
    assert nll[2:].mean() == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1), abs=0.05)


@pytest.mark.parametrize("ids", [[0], [BOS], [BOS, 0], [0] * 50], ids=str)
def test_degenerate_texts_can_be_fitted(ids: list[int]) -> None:
    for order in (1, 2, 7):
        model = fit(np.array(ids), order, V)
        assert after(model, [0, 0])[0].sum() == pytest.approx(1.0)


@pytest.mark.parametrize("order", [0, 17])
def test_the_order_has_bounds(order: int) -> None:
    with pytest.raises(ConfigError, match=f"is {order}"):
        fit(np.array([0]), order, V)


def test_a_large_vocabulary_and_a_high_order_fit_in_its_keys() -> None:
    ids = np.random.default_rng(1).integers(0, 4_000_000, 2_000)
    model: NgramModel = fit(np.concatenate([ids, ids]), 8, 4_000_000)
    nll, known = model.token_nll(ids)
    assert known[8:].tolist() == [7] * 1992
    assert nll[8:].mean() < 3.0


@given(TEXTS, st.integers(1, 4), st.sets(st.integers(0, V - 1)), TEXTS)
def test_the_mass_of_some_ids_is_the_sum_of_their_probabilities(
    ids: list[int], order: int, some: set[int], text: list[int]
) -> None:
    model = fit(np.array(ids), order, V)
    expected = []
    for place in range(len(text)):
        begin = max((at for at in range(place) if text[at] == BOS), default=0)
        probabilities, _ = after(model, text[begin:place])
        expected.append(probabilities[sorted(some)].sum())
    found = model.mass(np.array(text), some)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_every_text_of_a_batch_has_its_own_distribution_whatever_the_cache_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(4)
    model, texts = fit(rng.integers(0, V, 300), 5, V), rng.integers(0, V, (3, 40))
    for cache_bytes in (1, 10_000):
        monkeypatch.setattr("rnncli.ngram.decoder.MAX_CACHE_BYTES", cache_bytes)
        decoder = NgramDecoder(model)
        contexts = [decoder.read(np.array([BOS]))] * 3
        for place, tokens in enumerate(texts.T):
            contexts = [
                decoder.step(own, token) for own, token in zip(contexts, tokens.tolist(), strict=True)
            ]
            probabilities, known = decoder.distribution(contexts)
            for row in range(3):
                history = [BOS, *texts[row, : place + 1].tolist()]
                expected, seen = after(model, history)
                np.testing.assert_allclose(probabilities[row], expected)
                assert known[row] == seen
