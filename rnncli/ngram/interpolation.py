"""A network and an n-gram as one distribution. Shapes: N tokens, K lengths of context, E entropies.

p(x) = w p_network(x) + (1 - w) p_ngram(x), with a weight w that depends on how sure both models are before
they see x: how many of the last ids the n-gram has seen followed by something, and the entropy of the
network's distribution (Jelinek and Mercer 1980 tie weights by counts in the same way).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Whole = npt.NDArray[np.integer]

# Bins of entropy, as many tokens in each; more of them gained nothing on shakespeare.txt.
_ENTROPIES = 8
# So many tokens' worth of the common weight is mixed into each bucket's, lest a rare one follow chance.
_PRIOR_TOKENS = 10.0
_EM_ROUNDS = 50


@dataclass(frozen=True)
class Mixture:
    """`weights` (K, E) of the network, by the length that the n-gram knew and by entropy.

    `edges` (E - 1,) divide the entropies, in nats.
    """

    edges: Reals
    weights: Reals

    def weight(self, known: Whole, entropy: Reals) -> Reals:
        """known (N,) and entropy (N,) -> the network's share of the probability (N,)."""
        return self.weights[np.minimum(known, len(self.weights) - 1), np.searchsorted(self.edges, entropy)]

    def nats(self, network_nats: Reals, ngram_nats: Reals, known: Whole, entropy: Reals) -> Reals:
        """-ln p of each token under both -> under the mixture (N,)."""
        weight = self.weight(known, entropy)
        return -np.logaddexp(np.log(weight) - network_nats, np.log1p(-weight) - ngram_nats)


def fit(network_nats: Reals, ngram_nats: Reals, known: Whole, entropy: Reals) -> Mixture:
    """The weights under which tokens that neither model has learned from are most probable (N,).

    By expectation maximisation in every bucket, as Dempster, Laird and Rubin (1977) have it for mixtures: the
    likelihood is concave in the weight, so that there is one best.
    """
    edges = np.quantile(entropy, np.arange(1, _ENTROPIES) / _ENTROPIES)
    buckets = known.astype(np.int64) * _ENTROPIES + np.searchsorted(edges, entropy)
    number = (int(known.max()) + 1) * _ENTROPIES
    # Odds of the n-gram: the two probabilities themselves may be too small to divide.
    odds = np.exp(np.clip(network_nats - ngram_nats, -50.0, 50.0))
    common = weights(odds, np.zeros(len(odds), np.int64), np.full(1, 0.5))
    own = weights(odds, buckets, np.repeat(common, number))
    return Mixture(edges, own.reshape(-1, _ENTROPIES))


def weights(odds: Reals, buckets: Whole, prior: Reals) -> Reals:
    """odds (N,) of the n-gram against the network -> a weight of the network for each bucket."""
    tokens = np.bincount(buckets, minlength=len(prior))
    found = prior
    for _ in range(_EM_ROUNDS):
        own = found[buckets]
        shares = own / (own + (1.0 - own) * odds)
        sums = np.bincount(buckets, shares, len(prior))
        found = (sums + _PRIOR_TOKENS * prior) / (tokens + _PRIOR_TOKENS)
    return found
