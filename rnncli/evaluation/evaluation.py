"""A text's score under a model, in units that compare across models and tokenizers."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rnncli.data.counting import TextCounts
from rnncli.data.split import Part
from rnncli.data.tokenizers.base import Ids
from rnncli.evaluation.bootstrap import BlockSums, block_cuts, block_sums, measured
from rnncli.evaluation.metrics import Measure, nats_alone
from rnncli.evaluation.scoring import (
    BLOCK_TOKENS,
    LANES,
    WARM_UP,
    lanes_for,
    line_measures,
    sampled_lines,
    sampled_measures,
    split_gap,
    stream_measures,
)
from rnncli.nn.language_model import LanguageModel
from rnncli.results import Evaluation, Score, Split


def evaluate(model: LanguageModel, text: Part, streams: int | None = None) -> Evaluation:
    """Score every token once: with full history, or, where memory is emptied, with that since then.

    So many `streams` make it quicker and not exact: see likelihood.split_gap.
    """
    cuts = block_cuts(text.tokens)
    sums = network_sums(model, text, cuts, streams)
    return Evaluation((measured("network", *sums.of_model(0), text, cuts),))


def network_sums(
    model: LanguageModel, text: Part, cuts: npt.NDArray[np.int64], streams: int | None = None
) -> BlockSums:
    """Of the network alone; blocks are told by where they begin and the last ends (K + 1,)."""
    return block_sums(network_measures(model, text, nats_alone, streams), text, cuts, 1)


def network_measures(
    model: LanguageModel, text: Part, measure: Measure, streams: int | None = None
) -> Iterator[npt.NDArray[np.float32]]:
    """Of every token in order, in blocks (n, M), memory emptied where the text says so."""
    if text.line_starts is None:
        return stream_measures(model, text.ids, measure, streams or LANES, checked=streams is None)
    return line_measures(model, text.ids, text.line_starts, measure)


def split(model: LanguageModel, text: Part, streams: int) -> Split | None:
    """How far the score of a text in so many streams may be off.

    None where it is exact: a short text is not split, and lines never are.
    """
    lanes = lanes_for(min(text.tokens, BLOCK_TOKENS), streams)
    if text.line_starts is not None or lanes == 1:
        return None
    return Split(lanes, WARM_UP, split_gap(model, text.ids, lanes))


def estimate(model: LanguageModel, text: Part, tokens: int, measure: Callable[[Ids], TextCounts]) -> Score:
    """Score about `tokens` of a text, spread evenly: quick enough to watch a training.

    `measure` gives the size of the text that some ids stand for.
    """
    if text.line_starts is None:
        measures, positions = sampled_measures(model, text.ids, tokens)
    else:
        chosen, positions = sampled_lines(text.ids, tokens, text.line_starts)
        measures = np.concatenate(list(line_measures(model, text.ids, text.line_starts, lines=chosen)))
    nats, ids = measures[:, 0].astype(np.float64), text.ids[positions]
    unknown = ids == text.unknown_id
    sample = replace(text, ids=ids, counts=measure(ids), oov_tokens=int(unknown.sum()))
    return sample.score(float(nats.sum()), float(nats[unknown].sum()))
