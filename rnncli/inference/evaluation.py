"""A text's score under a model, in units that compare across models and tokenizers."""

from collections.abc import Callable

import numpy as np

from rnncli.inference.likelihood import sampled_nats, stream_nats
from rnncli.model.language_model import LanguageModel
from rnncli.reports import Score
from rnncli.text.reading import TextCounts
from rnncli.text.tokenizers import Ids


def evaluate(model: LanguageModel, ids: Ids, counts: TextCounts, unknown_id: int | None) -> Score:
    """Score ids (N,), each once with full history; `counts` are those of the text they stand for."""
    nats = sum(float(block.sum(dtype=np.float64)) for block in stream_nats(model, ids))
    return _score(nats, ids, counts, unknown_id)


def estimate(
    model: LanguageModel,
    ids: Ids,
    tokens: int,
    measure: Callable[[Ids], TextCounts],
    unknown_id: int | None,
) -> Score:
    """Score about `tokens` of the ids (N,), spread evenly: quick enough to watch a training.

    `measure` gives the size of the text that some ids stand for.
    """
    nats, positions = sampled_nats(model, ids, tokens)
    chosen = ids[positions]
    return _score(float(nats.sum(dtype=np.float64)), chosen, measure(chosen), unknown_id)


def _score(nats: float, ids: Ids, counts: TextCounts, unknown_id: int | None) -> Score:
    oov_tokens = 0 if unknown_id is None else int(np.count_nonzero(ids == unknown_id))
    return Score(nats, len(ids), counts.words, counts.characters, counts.bytes, oov_tokens)
