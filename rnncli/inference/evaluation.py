"""A text's score under a model, in units that compare across models and tokenizers."""

import numpy as np

from rnncli.inference.likelihood import stream_nats
from rnncli.model.language_model import LanguageModel
from rnncli.reports import Score
from rnncli.text.reading import TextCounts
from rnncli.text.tokenizers import Ids


def evaluate(model: LanguageModel, ids: Ids, counts: TextCounts, unknown_id: int | None) -> Score:
    """Score ids (N,), each once with full history; `counts` are those of the text they stand for."""
    nats = sum(float(block.sum(dtype=np.float64)) for block in stream_nats(model, ids))
    oov_tokens = 0 if unknown_id is None else int(np.count_nonzero(ids == unknown_id))
    return Score(nats, len(ids), counts.words, counts.characters, counts.bytes, oov_tokens)
