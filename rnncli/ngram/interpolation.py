"""The interpolation of a network and an n-gram into one distribution.

    p(x) = λ p_network(x) + (1 - λ) p_ngram(x)

The weight λ depends on how certain both models are before they see x: on the length of the longest context
that the n-gram has seen followed by anything, and on the entropy of the network's distribution. Jelinek and
Mercer 1980, Interpolated estimation of Markov source parameters from sparse data, tie weights by counts in
the same way.

Shapes:
  N: tokens
  K: context lengths
  E: bins of entropy
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.ngram.kneser_ney import NgramModel

Reals = npt.NDArray[np.float64]
Whole = npt.NDArray[np.integer]

# Bins of entropy with equally many tokens; more bins gained nothing on shakespeare.txt.
_ENTROPY_BINS = 8
# The weight of a bucket is smoothed by this many tokens of the common weight, since a bucket may be small.
_PRIOR_TOKENS = 10.0
_EM_ROUNDS = 50


@dataclass(frozen=True)
class Interpolation:
    """Interpolation weights.

    Attributes:
        edges: The bounds between the bins of entropy, in nats (E - 1,).
        weights: λ, by context length and by bin of entropy (K, E).
    """

    edges: Reals
    weights: Reals

    def weight(self, known: Whole, entropy: Reals) -> Reals:
        """Return λ of each token (N,).

        Args:
            known: The length of the longest context that the n-gram has seen (N,).
            entropy: The entropy of the network's distribution, in nats (N,).
        """
        return self.weights[np.minimum(known, len(self.weights) - 1), np.searchsorted(self.edges, entropy)]

    def nll(self, network_nll: Reals, ngram_nll: Reals, known: Whole, entropy: Reals) -> Reals:
        """Return -ln p of each token (N,), given -ln p of it under both models (N,): see `weight`."""
        weight = self.weight(known, entropy)
        return -np.logaddexp(np.log(weight) - network_nll, np.log1p(-weight) - ngram_nll)


class WeightedNgram(NamedTuple):
    """An n-gram, and the weights of its interpolation with a network."""

    model: NgramModel
    weights: Interpolation


def fit(network_nll: Reals, ngram_nll: Reals, known: Whole, entropy: Reals) -> Interpolation:
    """Fit the weights that maximize the likelihood of tokens on which neither model was trained.

    By expectation maximization in every bucket (Dempster, Laird and Rubin 1977, Maximum likelihood from
    incomplete data via the EM algorithm). The likelihood is concave in the weight, so that the maximum is
    unique.

    Args:
        network_nll: -ln p under the network (N,).
        ngram_nll: -ln p under the n-gram (N,).
        known: The length of the longest context that the n-gram has seen (N,).
        entropy: The entropy of the network's distribution, in nats (N,).
    """
    edges = np.quantile(entropy, np.arange(1, _ENTROPY_BINS) / _ENTROPY_BINS)
    buckets = known.astype(np.int64) * _ENTROPY_BINS + np.searchsorted(edges, entropy)
    number = (int(known.max()) + 1) * _ENTROPY_BINS
    # The probabilities themselves may be too small to divide.
    odds = np.exp(np.clip(network_nll - ngram_nll, -50.0, 50.0))
    common = weights(odds, np.zeros(len(odds), np.int64), np.full(1, 0.5))
    own = weights(odds, buckets, np.repeat(common, number))
    return Interpolation(edges, own.reshape(-1, _ENTROPY_BINS))


def weights(odds: Reals, buckets: Whole, prior: Reals) -> Reals:
    """Fit the weight of the first of two distributions in every bucket.

    Args:
        odds: The probability under the second distribution over that under the first (N,).
        buckets: The bucket of each token (N,).
        prior: The initial weight of each bucket, which also smooths the result.
    """
    tokens = np.bincount(buckets, minlength=len(prior))
    current = prior
    for _ in range(_EM_ROUNDS):
        own = current[buckets]
        responsibilities = own / (own + (1.0 - own) * odds)
        sums = np.bincount(buckets, responsibilities, len(prior))
        current = (sums + _PRIOR_TOKENS * prior) / (tokens + _PRIOR_TOKENS)
    return current
