"""A text's score under a model, in units that compare across models and tokenizers."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from rnncli.inference.intervals import block_cuts, block_sums, measured
from rnncli.inference.likelihood import (
    line_measures,
    sampled_lines,
    sampled_measures,
    stream_measures,
)
from rnncli.model.language_model import LanguageModel
from rnncli.reports import Evaluation, Score
from rnncli.text.counting import TextCounts
from rnncli.text.shards import Shards
from rnncli.text.tokenizers import Ids

LineStarts = npt.NDArray[Any]


def evaluate(
    model: LanguageModel,
    ids: Ids | Shards,
    counts: TextCounts,
    oov_tokens: int,
    line_starts: LineStarts | None = None,
) -> Evaluation:
    """Score ids (N,), each once; `counts` and `oov_tokens` are those of the text they stand for.

    With full history; where `line_starts` (L,) say that lines are samples of their own, with that of
    the line.
    """
    cuts = block_cuts(len(ids))
    sums = network_sums(model, ids, cuts, line_starts)
    return Evaluation((measured("network", sums[:, 0], np.diff(cuts), counts, oov_tokens),))


def network_sums(
    model: LanguageModel, ids: Ids | Shards, cuts: npt.NDArray[np.int64], line_starts: LineStarts | None
) -> npt.NDArray[np.float64]:
    """Nats of ids (N,) by block, which are told by where they begin and the last ends (K + 1,) -> (K, 1)."""
    parts = stream_measures(model, ids) if line_starts is None else line_measures(model, ids, line_starts)
    return block_sums(parts, cuts, 1)


def estimate(
    model: LanguageModel,
    ids: Ids | Shards,
    tokens: int,
    measure: Callable[[Ids], TextCounts],
    unknown_id: int | None,
    line_starts: LineStarts | None = None,
) -> Score:
    """Score about `tokens` of the ids (N,), spread evenly: quick enough to watch a training.

    `measure` gives the size of the text that some ids stand for.
    """
    if line_starts is None:
        measures, positions = sampled_measures(model, ids, tokens)
        total = float(measures.sum(dtype=np.float64))
    else:
        chosen, positions = sampled_lines(ids, tokens, line_starts)
        total = _total(line_measures(model, ids, line_starts, lines=chosen))
    scored = ids[positions]
    oov_tokens = 0 if unknown_id is None else int(np.count_nonzero(scored == unknown_id))
    return _score(total, len(scored), measure(scored), oov_tokens)


def _total(blocks: Iterator[npt.NDArray[np.float32]]) -> float:
    """The sum of the nats, which come first among the measures."""
    return sum(float(block[:, 0].sum(dtype=np.float64)) for block in blocks)


def _score(nats: float, tokens: int, counts: TextCounts, oov_tokens: int) -> Score:
    return Score(nats, tokens, counts.words, counts.characters, counts.bytes, oov_tokens)
