"""Networks, n-grams and their interpolation behind one interface, and the scores of a text under them.

Shapes:
  N: tokens of a text
  n: tokens of one block of it
  C: components of a model (network, n-gram, interpolation)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from rnncli.data.splits import ConcatenatedIds, Split
from rnncli.data.tokenizers.base import Ids
from rnncli.errors import ModelError
from rnncli.evaluation.bootstrap import BlockSums, block_bounds, block_sums, model_score, paired_difference
from rnncli.evaluation.config import CacheOptions, DynamicOptions
from rnncli.evaluation.dynamic_evaluation import dynamic_metrics
from rnncli.evaluation.interpolation import ComponentScores, cross_fitted
from rnncli.evaluation.scoring import line_metrics, network_metrics
from rnncli.evaluation.token_metrics import nll_and_entropy, nll_only, surprisal_metrics
from rnncli.ngram.interpolation import Interpolation
from rnncli.ngram.kneser_ney import NgramModel
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.results import Evaluation

Reals = npt.NDArray[np.float64]


class LanguageModel(Protocol):
    """A distribution over the next token given all tokens before it.

    NgramModel, NetworkModel and InterpolatedModel are such models; the functions of this module score
    a text under any of them.
    """

    @property
    def components(self) -> tuple[str, ...]:
        """The names of the distributions that are scored together; the last is that of the model itself."""

    def nll(self, text: Split, chunks: int | None = None) -> Iterator[npt.NDArray[np.floating[Any]]]:
        """Yield -ln p of the tokens of a text, in order, in blocks (n, C).

        Args:
            text: The text, with the places where the state is reset.
            chunks: Score this many chunks side by side, each after a warm-up: faster than one pass and
              not exact. None: exact.
        """


class LineScores(NamedTuple):
    """Scores of the tokens of some lines (N,).

    Attributes:
        nll: -ln p of each token, under the model.
        entropy: Expected -ln p before each token, under the network.
        rank: Rank of each token by probability, from 1, under the network.
        boundary: -ln P(word boundary) before each token, under the model.
    """

    nll: Reals
    entropy: Reals
    rank: Reals
    boundary: Reals


class NeuralLanguageModel(LanguageModel, Protocol):
    """A language model with a network in it: it has entropies and ranks, and can adapt to a text."""

    @property
    def network(self) -> RNNLanguageModel:
        """The network."""

    def line_scores(
        self, ids: Ids, line_starts: npt.NDArray[np.int64], boundaries: Sequence[int]
    ) -> LineScores:
        """Score lines, each from the initial state.

        Args:
            ids: The token ids of all lines (N,).
            line_starts: The index of each line's first token.
            boundaries: The token ids that are word boundaries.

        Raises:
            ModelError: The network's numbers overflow.
        """

    def dynamic_nll(
        self,
        text: Split,
        train_ids: Ids | ConcatenatedIds,
        dynamic: DynamicOptions | None,
        cache: CacheOptions | None,
    ) -> tuple[Reals, Reals]:
        """Score a text with dynamic evaluation of the network, a neural cache, or both.

        Returns:
            -ln p of each token (N,) under the model without the cache, and under the cache alone (N,).
        """

    def cross_fitted(self) -> "NeuralLanguageModel":
        """Return the model for scoring the text on which its interpolation weights were fitted."""


@dataclass(frozen=True)
class NetworkModel:
    """A network by itself."""

    network: RNNLanguageModel

    @property
    def components(self) -> tuple[str, ...]:
        return ("network",)

    def nll(self, text: Split, chunks: int | None = None) -> Iterator[npt.NDArray[np.float32]]:
        return network_metrics(self.network, text, nll_only, chunks)

    def line_scores(
        self, ids: Ids, line_starts: npt.NDArray[np.int64], boundaries: Sequence[int]
    ) -> LineScores:
        blocks = line_metrics(self.network, ids, line_starts, surprisal_metrics(boundaries))
        scores = LineScores(*np.concatenate(list(blocks)).astype(np.float64).T)
        if np.isnan(scores.nll).any():
            raise ModelError("the model's numbers overflow", hint="it cannot be used; train another")
        return scores

    def dynamic_nll(
        self,
        text: Split,
        train_ids: Ids | ConcatenatedIds,
        dynamic: DynamicOptions | None,
        cache: CacheOptions | None,
    ) -> tuple[Reals, Reals]:
        nll, _, cache_nll = _dynamic_columns(self.network, text, train_ids, dynamic=dynamic, cache=cache)
        return nll, cache_nll

    def cross_fitted(self) -> "NetworkModel":
        return self


@dataclass(frozen=True)
class InterpolatedModel:
    """A network interpolated with an n-gram."""

    network: RNNLanguageModel
    ngram: NgramModel
    weights: Interpolation

    @property
    def components(self) -> tuple[str, ...]:
        return ("network", *self.ngram.components, "interpolated")

    def nll(self, text: Split, chunks: int | None = None) -> Iterator[Reals]:
        for block in self._blocks(text, chunks):
            yield np.stack([block.network_nll, block.ngram_nll, self._interpolated(block)], axis=1)

    def line_scores(
        self, ids: Ids, line_starts: npt.NDArray[np.int64], boundaries: Sequence[int]
    ) -> LineScores:
        scores = NetworkModel(self.network).line_scores(ids, line_starts, boundaries)
        text = np.insert(ids.astype(np.int64), line_starts, self.ngram.bos_id)
        is_token = text != self.ngram.bos_id
        ngram_nll, known = (column[is_token] for column in self.ngram.token_nll(text))
        nll = self.weights.nll(scores.nll, ngram_nll, known, scores.entropy)
        boundary = scores.boundary
        if boundaries:
            weight = self.weights.weight(known, scores.entropy)
            mass = self.ngram.mass(text, boundaries)[is_token]
            boundary = -np.log(weight * np.exp(-boundary) + (1.0 - weight) * mass)
        return scores._replace(nll=nll, boundary=boundary)

    def dynamic_nll(
        self,
        text: Split,
        train_ids: Ids | ConcatenatedIds,
        dynamic: DynamicOptions | None,
        cache: CacheOptions | None,
    ) -> tuple[Reals, Reals]:
        """As in NeuralLanguageModel; the network adapts to the text, the n-gram does not."""
        nll, entropy, cache_nll = _dynamic_columns(
            self.network, text, train_ids, dynamic=dynamic, cache=cache
        )
        ngram_nll, known = self.ngram.range_nll(text.ids, 0, text.tokens, None)
        return self._interpolated(ComponentScores(nll, ngram_nll, known, entropy)), cache_nll

    def cross_fitted(self) -> "CrossFittedModel":
        return CrossFittedModel(self.network, self.ngram, self.weights)

    def _blocks(self, text: Split, chunks: int | None) -> Iterator[ComponentScores]:
        first = 0
        for block in network_metrics(self.network, text, nll_and_entropy, chunks):
            last = first + len(block)
            ngram_nll, known = self.ngram.range_nll(text.ids, first, last, text.line_starts)
            network_nll, entropy = block.T.astype(np.float64)
            yield ComponentScores(network_nll, ngram_nll, known, entropy)
            first = last

    def _interpolated(self, scores: ComponentScores) -> Reals:
        return self.weights.nll(*scores)


@dataclass(frozen=True)
class CrossFittedModel(InterpolatedModel):
    """An InterpolatedModel for the text on which its weights were fitted.

    The weights for either half of the text are fitted anew on the other half, so that no token is
    scored by weights that have seen it.
    """

    def _blocks(self, text: Split, chunks: int | None) -> Iterator[ComponentScores]:
        columns = zip(*super()._blocks(text, chunks), strict=True)
        yield ComponentScores(*(np.concatenate(column) for column in columns))

    def _interpolated(self, scores: ComponentScores) -> Reals:
        return cross_fitted(scores)


def evaluate(model: LanguageModel, text: Split, chunks: int | None = None) -> Evaluation:
    """Score every token of a text once, with all of its history since the last reset of the state.

    Args:
        model: The model.
        text: The text.
        chunks: As in LanguageModel.nll.

    Returns:
        The score of every component. For an interpolated model also the differences of network and
        n-gram, and of their interpolation and the better of the two.
    """
    bounds = block_bounds(text.tokens)
    sums, tokens = component_sums(model, text, bounds, chunks), np.diff(bounds)
    scores = tuple(
        model_score(name, *sums.of_model(at), text=text, bounds=bounds)
        for at, name in enumerate(model.components)
    )
    if len(scores) == 1:
        return Evaluation(scores)
    network, ngram, interpolated = zip(model.components, sums.nll_nats.T, strict=True)
    better = network if network[1].sum() <= ngram[1].sum() else ngram
    return Evaluation(
        scores,
        (
            paired_difference(network, ngram, "token", tokens),
            paired_difference(interpolated, better, "token", tokens),
        ),
    )


def component_sums(
    model: LanguageModel, text: Split, bounds: npt.NDArray[np.int64], chunks: int | None = None
) -> BlockSums:
    """Return the NLL of every component summed over the blocks of a text, which begin at `bounds`."""
    return block_sums(model.nll(text, chunks), text, bounds, len(model.components))


def token_nll(model: LanguageModel, text: Split, chunks: int | None = None) -> Reals:
    """Return -ln p of each token of a text (N,) under the model itself."""
    return np.concatenate([block[:, -1] for block in model.nll(text, chunks)]).astype(np.float64)


def _dynamic_columns(
    network: RNNLanguageModel,
    text: Split,
    train_ids: Ids | ConcatenatedIds,
    *,
    dynamic: DynamicOptions | None,
    cache: CacheOptions | None,
) -> Reals:
    """-ln p of the network, its entropy, and -ln p of the cache (3, N)."""
    segments = dynamic_metrics(network, text.ids, train_ids, dynamic=dynamic, cache=cache)
    return np.concatenate(list(segments)).T.astype(np.float64)
