"""Interpolation of two models: what the weights mean, and that the fit favors the better model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.ngram.interpolation import Interpolation, fit

RNG = np.random.default_rng(3)


def test_nll_is_that_of_the_weighted_mean_of_probabilities() -> None:
    interpolation = Interpolation(np.array([1.0]), np.array([[0.5, 0.25], [0.9, 0.1]]))
    nll = interpolation.nll(
        -np.log([0.2, 0.2, 0.2, 0.2]),
        -np.log([0.4, 0.4, 0.4, 0.4]),
        np.array([0, 0, 1, 9]),
        np.array([0.5, 2, 0, 5]),
    )
    expected = [0.3, 0.25 * 0.2 + 0.75 * 0.4, 0.9 * 0.2 + 0.1 * 0.4, 0.1 * 0.2 + 0.9 * 0.4]
    assert np.exp(-nll) == pytest.approx(expected)


def test_the_weight_is_the_fraction_of_tokens_that_the_network_explains() -> None:
    """Of 10,000 tokens, 70% are nearly certain under the network and the others nearly impossible."""
    explained = RNG.random(10_000) < 0.7
    network, ngram = np.where(explained, 0.001, 20.0), np.where(explained, 20.0, 0.001)
    zeros = np.zeros(10_000)
    interpolation = fit(network, ngram, zeros.astype(int), zeros)
    assert interpolation.weight(np.zeros(1, int), np.zeros(1)) == pytest.approx(explained.mean(), abs=0.01)


def test_each_bucket_favors_the_model_that_is_better_there() -> None:
    known, entropy = RNG.integers(0, 3, 20_000), RNG.uniform(0.0, 3.0, 20_000)
    right = (known == 2) & (entropy > 1.5)
    network, ngram = np.where(right, 5.0, 1.0), np.where(right, 1.0, 5.0)
    interpolation = fit(network, ngram, known, entropy)
    assert interpolation.weight(np.array([2]), np.array([2.9])) < 0.05
    assert interpolation.weight(np.array([2]), np.array([0.1])) > 0.95
    assert interpolation.weight(np.array([0]), np.array([2.9])) > 0.95
    assert interpolation.nll(network, ngram, known, entropy).mean() < 1.1


@given(
    st.lists(
        st.tuples(st.floats(0, 80), st.floats(0, 80), st.integers(0, 6), st.floats(0, 9)),
        min_size=1,
        max_size=40,
    )
)
def test_an_interpolation_lies_between_both_models(
    tokens: list[tuple[float, float, int, float]],
) -> None:
    network, ngram, known, entropy = (np.array(column) for column in zip(*tokens, strict=True))
    interpolation = fit(network, ngram, known, entropy)
    assert ((interpolation.weights > 0.0) & (interpolation.weights < 1.0)).all()
    nll = interpolation.nll(network, ngram, known, entropy)
    assert (nll <= np.maximum(network, ngram) + 1e-9).all()
    assert (nll >= np.minimum(network, ngram) - 1e-9).all()
