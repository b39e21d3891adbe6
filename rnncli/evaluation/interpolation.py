"""A network and an n-gram on the same text, token by token. Shapes: N tokens, L lines."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.data.shards import Shards
from rnncli.data.split import Part
from rnncli.data.tokenizers.base import Ids
from rnncli.evaluation.bootstrap import BlockSums, block_cuts, block_sums, difference, measured
from rnncli.evaluation.config import Adaptation, Cache
from rnncli.evaluation.dynamic import adaptive_measures
from rnncli.evaluation.evaluation import network_measures
from rnncli.evaluation.metrics import nats_alone, nats_and_entropy
from rnncli.evaluation.scoring import BLOCK_TOKENS, line_measures, sampled_lines, sampled_measures
from rnncli.ngram import interpolation, kneser_ney
from rnncli.ngram.interpolation import Mixture
from rnncli.ngram.kneser_ney import Ngram
from rnncli.nn.language_model import LanguageModel
from rnncli.results import Evaluation, Score

LineStarts = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]


class Measures(NamedTuple):
    """What both models say of some tokens (n,): see ngram/interpolation.py."""

    network_nats: Reals
    ngram_nats: Reals
    known: npt.NDArray[np.int8]
    entropy: Reals

    def part(self, chosen: slice) -> "Measures":
        return Measures(
            self.network_nats[chosen], self.ngram_nats[chosen], self.known[chosen], self.entropy[chosen]
        )


def fit_ngram(text: Part, order: int, vocab_size: int) -> Ngram:
    """An n-gram of a training part: one text, or lines that know nothing of one another."""
    ids = _with_starts(text.ids[0 : text.tokens], vocab_size, text.line_starts)
    return kneser_ney.fit(ids, order, vocab_size)


def fit_mixture(model: LanguageModel, beside: Ngram, text: Part, tokens: int) -> Mixture:
    """The weights of the two, from about `tokens` of a text that neither has learned from.

    At the cost of watching as many in a training: the network's guesses are not checked.
    """
    ids, line_starts = text.ids, text.line_starts
    if line_starts is None:
        columns, positions = sampled_measures(model, ids, tokens, nats_and_entropy)
        firsts = range(0, len(ids), BLOCK_TOKENS)
        parts = [
            _ngram_nats(beside, ids, first, min(first + BLOCK_TOKENS, len(ids)), None) for first in firsts
        ]
        nats, known = (np.concatenate(column)[positions] for column in zip(*parts, strict=True))
    else:
        lines, positions = sampled_lines(ids, tokens, line_starts)
        columns = np.concatenate(list(line_measures(model, ids, line_starts, nats_and_entropy, lines)))
        own_starts = np.flatnonzero(np.isin(positions, line_starts))
        nats, known = _ngram_nats(beside, ids[positions], 0, len(positions), own_starts)
    network, entropy = columns.T.astype(np.float64)
    return interpolation.fit(network, nats, known, entropy)


def compare(
    model: LanguageModel,
    beside: Ngram,
    mixed: Mixture | None,
    text: Part,
    streams: int | None = None,
) -> Evaluation:
    """Network, n-gram and their mixture on the same text, each token once.

    Without `mixed` it is the text on which the weights were fitted: then the weights for either half of
    it are fitted anew on the other, so that no token is scored by weights that have seen it.
    """
    cuts = block_cuts(text.tokens)
    sums, tokens = mixture_sums(model, beside, mixed, text, cuts, streams), np.diff(cuts)
    names = ("network", f"{beside.order}-gram", "mixture")
    network, alone, together = zip(names, sums.nats.T, strict=True)
    better = network if network[1].sum() <= alone[1].sum() else alone
    return Evaluation(
        tuple(measured(name, *sums.of_model(at), text, cuts) for at, name in enumerate(names)),
        (difference(network, alone, "token", tokens), difference(together, better, "token", tokens)),
    )


def mixture_sums(
    model: LanguageModel,
    beside: Ngram,
    mixed: Mixture | None,
    text: Part,
    cuts: npt.NDArray[np.int64],
    streams: int | None = None,
) -> BlockSums:
    """Of network, n-gram and mixture, as in `compare`."""
    parts = _measures(model, beside, text, streams)
    if mixed is None:
        parts = iter([_joined(parts)])

    def nats() -> Iterator[Reals]:
        for part in parts:
            mixture_nats = _cross_fitted(part) if mixed is None else mixed.nats(*part)
            yield np.stack([part.network_nats, part.ngram_nats, mixture_nats], axis=1)

    return block_sums(nats(), text, cuts, 3)


def token_nats(
    model: LanguageModel, beside: tuple[Ngram, Mixture | None] | None, text: Part, streams: int | None = None
) -> Reals:
    """-ln p of each token (N,) under the whole model: the network, or its mixture with what is beside it."""
    if beside is None:
        return np.concatenate(list(network_measures(model, text, nats_alone, streams)))[:, 0].astype(
            np.float64
        )
    kneser_ney, mixed = beside
    measures = _joined(_measures(model, kneser_ney, text, streams))
    return _cross_fitted(measures) if mixed is None else mixed.nats(*measures)


def adaptive_score(
    model: LanguageModel,
    train_ids: Ids | Shards,
    beside: tuple[Ngram, Mixture | None] | None,
    adaptation: Adaptation | None,
    cache: Cache | None,
    text: Part,
) -> Score:
    """Of a text under a model that learns from each stretch of it after it was scored.

    The network adapts, the n-gram beside it does not; the cache has its share of their mixture. The weights
    of the mixture are treated as in `compare`.
    """
    nats, cached = adaptive_columns(model, train_ids, beside, adaptation, cache, text)
    if cache is not None:
        nats = with_cache(nats, cached, cache.share)
    unknown = text.ids[0 : text.tokens] == text.unknown_id
    return text.score(float(nats.sum()), float(nats[unknown].sum()))


def adaptive_columns(
    model: LanguageModel,
    train_ids: Ids | Shards,
    beside: tuple[Ngram, Mixture | None] | None,
    adaptation: Adaptation | None,
    cache: Cache | None,
    text: Part,
) -> tuple[Reals, Reals]:
    """-ln p of each token (N,) under all but the cache, and under the cache alone (N,)."""
    stretches = adaptive_measures(model, text.ids, train_ids, adaptation, cache)
    columns = np.concatenate(list(stretches)).T
    nats, entropy, cached = columns.astype(np.float64)
    if beside is not None:
        kneser_ney, mixed = beside
        ngram_nats, known = _ngram_nats(kneser_ney, text.ids, 0, text.tokens, None)
        measures = Measures(nats, ngram_nats, known, entropy)
        nats = _cross_fitted(measures) if mixed is None else mixed.nats(*measures)
    return nats, cached


def with_cache(nats: Reals, cached: Reals, share: float) -> Reals:
    """-ln p (N,) where a cache has its share; before the first token there is nothing to remember."""
    mixed = -np.logaddexp(np.log1p(-share) - nats, np.log(share) - cached)
    return np.concatenate([nats[:1], mixed[1:]])


def _cross_fitted(measures: Measures) -> Reals:
    half = len(measures.known) // 2
    first, second = measures.part(slice(half)), measures.part(slice(half, None))
    if not half:
        return interpolation.fit(*measures).nats(*measures)
    return np.concatenate([interpolation.fit(*second).nats(*first), interpolation.fit(*first).nats(*second)])


def _measures(
    model: LanguageModel, beside: Ngram, text: Part, streams: int | None = None
) -> Iterator[Measures]:
    """In blocks, in the order of the text."""
    first = 0
    for block in network_measures(model, text, nats_and_entropy, streams):
        last = first + len(block)
        nats, known = _ngram_nats(beside, text.ids, first, last, text.line_starts)
        network, entropy = block.T.astype(np.float64)
        yield Measures(network, nats, known, entropy)
        first = last


def _ngram_nats(
    beside: Ngram, ids: Ids | Shards, first: int, last: int, line_starts: LineStarts | None
) -> tuple[Reals, npt.NDArray[np.int8]]:
    """-ln p of ids[first:last] with what stands before them, and how much of that the n-gram knew."""
    if line_starts is None:
        begin = max(first - beside.order + 1, 0)
        text = ids[begin:last].astype(np.int64)
        if begin == 0:
            text = _with_starts(text, beside.start, None)
        nats, known = beside.nats(text)
        return nats[len(text) - (last - first) :], known[len(text) - (last - first) :]
    inside = line_starts[np.searchsorted(line_starts, first) : np.searchsorted(line_starts, last)]
    text = _with_starts(ids[first:last], beside.start, inside.astype(np.int64) - first)
    nats, known = beside.nats(text)
    return nats[text != beside.start], known[text != beside.start]


def _with_starts(
    ids: npt.NDArray[np.integer], start: int, line_starts: LineStarts | None
) -> npt.NDArray[np.int64]:
    """ids with "text begins" before the first, or before every line."""
    places = np.zeros(1, np.int64) if line_starts is None else line_starts.astype(np.int64)
    return np.insert(ids.astype(np.int64), places, start)


def _joined(blocks: Iterator[Measures]) -> Measures:
    return Measures(*(np.concatenate(columns) for columns in zip(*blocks, strict=True)))
