"""A network and an n-gram on the same text, token by token. Shapes: N tokens, L lines."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.inference.adaptive import adaptive_measures
from rnncli.inference.config import Adaptation, Cache
from rnncli.inference.intervals import block_cuts, block_sums, difference, measured
from rnncli.inference.likelihood import (
    BLOCK_TOKENS,
    line_measures,
    nats_and_entropy,
    sampled_lines,
    sampled_measures,
    stream_measures,
)
from rnncli.model import mixture, ngram
from rnncli.model.language_model import LanguageModel
from rnncli.model.mixture import Mixture
from rnncli.model.ngram import Ngram
from rnncli.reports import Evaluation, Score
from rnncli.text.counting import TextCounts
from rnncli.text.shards import Shards
from rnncli.text.tokenizers import Ids

LineStarts = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]


class Measures(NamedTuple):
    """What both models say of some tokens (n,): see model/mixture.py."""

    network_nats: Reals
    ngram_nats: Reals
    known: npt.NDArray[np.int8]
    entropy: Reals

    def part(self, chosen: slice) -> "Measures":
        return Measures(
            self.network_nats[chosen], self.ngram_nats[chosen], self.known[chosen], self.entropy[chosen]
        )


def fit_ngram(ids: Ids | Shards, order: int, vocab_size: int, line_starts: LineStarts | None) -> Ngram:
    """An n-gram of a training part: one text, or lines that know nothing of one another."""
    return ngram.fit(_with_starts(ids[0 : len(ids)], vocab_size, line_starts), order, vocab_size)


def fit_mixture(
    model: LanguageModel, beside: Ngram, ids: Ids | Shards, line_starts: LineStarts | None, tokens: int
) -> Mixture:
    """The weights of the two, from about `tokens` of ids (N,) that neither has learned from.

    At the cost of watching as many in a training: the network's guesses are not checked.
    """
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
    return mixture.fit(network, nats, known, entropy)


def compare(
    model: LanguageModel,
    beside: Ngram,
    mixed: Mixture | None,
    ids: Ids | Shards,
    counts: TextCounts,
    oov_tokens: int,
    line_starts: LineStarts | None = None,
) -> Evaluation:
    """Network, n-gram and their mixture on the same ids (N,), each id once.

    Without `mixed` the ids are those on which the weights were fitted: then the weights for either half of
    them are fitted anew on the other, so that no token is scored by weights that have seen it.
    """
    cuts = block_cuts(len(ids))
    sums, tokens = mixture_sums(model, beside, mixed, ids, cuts, line_starts).T, np.diff(cuts)
    names = ("network", f"{beside.order}-gram", "mixture")
    network, alone, together = zip(names, sums, strict=True)
    better = network if network[1].sum() <= alone[1].sum() else alone
    return Evaluation(
        tuple(measured(*each, tokens, counts, oov_tokens) for each in (network, alone, together)),
        (difference(network, alone, "token", tokens), difference(together, better, "token", tokens)),
    )


def mixture_sums(
    model: LanguageModel,
    beside: Ngram,
    mixed: Mixture | None,
    ids: Ids | Shards,
    cuts: npt.NDArray[np.int64],
    line_starts: LineStarts | None,
) -> Reals:
    """Nats of ids (N,) by block (K, 3): of network, n-gram and mixture, as in `compare`."""
    parts = _measures(model, beside, ids, line_starts)
    if mixed is None:
        parts = iter([_joined(parts)])

    def nats() -> Iterator[Reals]:
        for part in parts:
            mixture_nats = _cross_fitted(part) if mixed is None else mixed.nats(*part)
            yield np.stack([part.network_nats, part.ngram_nats, mixture_nats], axis=1)

    return block_sums(nats(), cuts, 3)


def token_nats(
    model: LanguageModel,
    beside: tuple[Ngram, Mixture | None] | None,
    ids: Ids | Shards,
    line_starts: LineStarts | None,
) -> Reals:
    """-ln p of each of ids (N,) under the whole model: the network, or its mixture with what is beside it."""
    if beside is None:
        parts = stream_measures(model, ids) if line_starts is None else line_measures(model, ids, line_starts)
        return np.concatenate([part[:, 0] for part in parts]).astype(np.float64)
    ngram, mixed = beside
    measures = _joined(_measures(model, ngram, ids, line_starts))
    return _cross_fitted(measures) if mixed is None else mixed.nats(*measures)


def adaptive_score(
    model: LanguageModel,
    train_ids: Ids | Shards,
    beside: tuple[Ngram, Mixture | None] | None,
    adaptation: Adaptation | None,
    cache: Cache | None,
    ids: Ids | Shards,
    counts: TextCounts,
    oov_tokens: int,
) -> Score:
    """Of ids (N,) under a model that learns from each stretch of them after it was scored.

    The network adapts, the n-gram beside it does not; the cache has its share of their mixture. The weights
    of the mixture are treated as in `compare`.
    """
    columns = np.concatenate(list(adaptive_measures(model, ids, train_ids, adaptation, cache))).T
    nats, entropy, cached = columns.astype(np.float64)
    if beside is not None:
        ngram, mixed = beside
        ngram_nats, known = _ngram_nats(ngram, ids, 0, len(ids), None)
        measures = Measures(nats, ngram_nats, known, entropy)
        nats = _cross_fitted(measures) if mixed is None else mixed.nats(*measures)
    if cache is not None:  # before the first token there is nothing to remember
        nats[1:] = -np.logaddexp(np.log1p(-cache.share) - nats[1:], np.log(cache.share) - cached[1:])
    return Score(float(nats.sum()), len(ids), counts.words, counts.characters, counts.bytes, oov_tokens)


def _cross_fitted(measures: Measures) -> Reals:
    half = len(measures.known) // 2
    first, second = measures.part(slice(half)), measures.part(slice(half, None))
    if not half:
        return mixture.fit(*measures).nats(*measures)
    return np.concatenate([mixture.fit(*second).nats(*first), mixture.fit(*first).nats(*second)])


def _measures(
    model: LanguageModel, beside: Ngram, ids: Ids | Shards, line_starts: LineStarts | None
) -> Iterator[Measures]:
    """In blocks, in the order of the text."""
    if line_starts is None:
        blocks = stream_measures(model, ids, nats_and_entropy)
    else:
        blocks = line_measures(model, ids, line_starts, nats_and_entropy)
    first = 0
    for block in blocks:
        last = first + len(block)
        nats, known = _ngram_nats(beside, ids, first, last, line_starts)
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
