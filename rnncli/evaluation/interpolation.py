"""Fit an n-gram and its interpolation weights to the texts of a network.

Shapes:
  N: tokens of a text
  n: some tokens of it
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.data.splits import Split
from rnncli.evaluation.estimation import sampled_lines, sampled_metrics
from rnncli.evaluation.scoring import BLOCK_TOKENS, line_metrics
from rnncli.evaluation.token_metrics import nll_and_entropy
from rnncli.ngram import interpolation, kneser_ney
from rnncli.ngram.interpolation import Interpolation
from rnncli.ngram.kneser_ney import NgramModel, with_bos
from rnncli.nn.ensemble import RNNLanguageModel

Reals = npt.NDArray[np.float64]


class ComponentScores(NamedTuple):
    """Scores of some tokens (n,) under a network and an n-gram: the arguments of Interpolation.nll.

    Attributes:
        network_nll: -ln p under the network.
        ngram_nll: -ln p under the n-gram.
        known: The length of the longest context that the n-gram has seen before something else.
        entropy: Expected -ln p under the network before the token is known.
    """

    network_nll: Reals
    ngram_nll: Reals
    known: npt.NDArray[np.int8]
    entropy: Reals

    def part(self, chosen: slice) -> "ComponentScores":
        """Return the scores of consecutive tokens."""
        return ComponentScores(
            self.network_nll[chosen], self.ngram_nll[chosen], self.known[chosen], self.entropy[chosen]
        )


def fit_ngram(text: Split, order: int, vocab_size: int) -> NgramModel:
    """Fit an n-gram to a training split: to one text, or to lines that are independent of one another."""
    return kneser_ney.fit(
        with_bos(text.ids[0 : text.tokens], vocab_size, text.line_starts), order, vocab_size
    )


def fit_weights(model: RNNLanguageModel, ngram: NgramModel, text: Split, tokens: int) -> Interpolation:
    """Fit interpolation weights to about `tokens` tokens of a text on which neither model was trained.

    It costs as much as one validation of `tokens` tokens during training: the warm-up states of the
    network are not verified.
    """
    ids, line_starts = text.ids, text.line_starts
    if line_starts is None:
        columns, positions = sampled_metrics(model, ids, tokens, nll_and_entropy)
        blocks = [
            ngram.range_nll(ids, first, min(first + BLOCK_TOKENS, len(ids)), None)
            for first in range(0, len(ids), BLOCK_TOKENS)
        ]
        ngram_nll, known = (np.concatenate(column)[positions] for column in zip(*blocks, strict=True))
    else:
        lines, positions = sampled_lines(ids, tokens, line_starts)
        columns = np.concatenate(list(line_metrics(model, ids, line_starts, nll_and_entropy, lines=lines)))
        own_starts = np.flatnonzero(np.isin(positions, line_starts))
        ngram_nll, known = ngram.range_nll(ids[positions], 0, len(positions), own_starts)
    network_nll, entropy = columns.T.astype(np.float64)
    return interpolation.fit(network_nll, ngram_nll, known, entropy)


def cross_fitted(scores: ComponentScores) -> Reals:
    """Return -ln p of tokens (N,) under weights that are fitted, for either half of them, on the other."""
    half = len(scores.known) // 2
    first, second = scores.part(slice(half)), scores.part(slice(half, None))
    if not half:
        return interpolation.fit(*scores).nll(*scores)
    return np.concatenate([interpolation.fit(*second).nll(*first), interpolation.fit(*first).nll(*second)])


def interpolate_cache(nll: Reals, cache_nll: Reals, weight: float) -> Reals:
    """Return -ln p (N,) of a model interpolated with a cache; before the first token the cache is empty."""
    interpolated = -np.logaddexp(np.log1p(-weight) - nll, np.log(weight) - cache_nll)
    return np.concatenate([nll[:1], interpolated[1:]])
