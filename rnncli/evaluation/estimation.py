"""Estimate scores during training, and the error of chunked scoring, from a sample of a text.

Shapes:
  N: tokens of the text
  n: sampled tokens
  S: chunks
  L: chunk length
  M: metrics per token
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rnncli.data.splits import ConcatenatedIds, Split, line_bounds
from rnncli.data.text_units import TextCounts
from rnncli.data.tokenizers.base import Ids
from rnncli.evaluation.config import CHUNKS, WARM_UP, sampled_chunks
from rnncli.evaluation.scoring import (
    BLOCK_TOKENS,
    SEGMENT_STEPS,
    chunk_count,
    chunk_metrics,
    ids_tensor,
    line_metrics,
    run_chunks,
    shifted_inputs,
    warm_up_states,
)
from rnncli.evaluation.token_metrics import Metric, nll_only
from rnncli.metrics import Score
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.results import ChunkedScoring

# Chunk boundaries at which the error of chunked scoring is measured.
_MEASURED_BOUNDARIES = 16


def estimate(
    model: RNNLanguageModel, text: Split, tokens: int, measure: Callable[[Ids], TextCounts]
) -> Score:
    """Score about `tokens` tokens of a text, evenly distributed over it.

    Args:
        model: The network.
        text: The text.
        tokens: How many tokens to score.
        measure: Returns the size of the text that some token ids stand for.
    """
    if text.line_starts is None:
        metrics, positions = sampled_metrics(model, text.ids, tokens)
    else:
        lines, positions = sampled_lines(text.ids, tokens, text.line_starts)
        metrics = np.concatenate(list(line_metrics(model, text.ids, text.line_starts, lines=lines)))
    nll, ids = metrics[:, 0].astype(np.float64), text.ids[positions]
    is_oov = ids == text.unk_id
    sample = replace(text, ids=ids, counts=measure(ids), oov_tokens=int(is_oov.sum()))
    return sample.score(float(nll.sum()), float(nll[is_oov].sum()))


@torch.inference_mode()
def sampled_metrics(
    model: RNNLanguageModel,
    ids: Ids | ConcatenatedIds,
    tokens: int,
    metric: Metric = nll_only,
    *,
    chunks: int = CHUNKS,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    """Score the beginning of each chunk of a text, about `tokens` tokens together.

    The warm-up states are not verified, so that the cost is known beforehand (`config.sampled_cost`): a
    chunk may lack the history that lies more than WARM_UP tokens back.

    Args:
        model: The network.
        ids: The token ids (N,).
        tokens: How many tokens to score.
        metric: What to compute of each token.
        chunks: Maximum number of chunks.

    Returns:
        Metrics (n, M) and the positions of their tokens (n,).
    """
    count = min(sampled_chunks(min(len(ids), tokens), chunks), chunk_count(len(ids), chunks))
    length = len(ids) // count
    scored = min(max(tokens // count, 1), length)
    positions = np.arange(count)[:, None] * length + np.arange(scored)
    targets = ids_tensor(model, ids[0 : len(ids)])
    inputs = shifted_inputs(targets, model.config.bos_id)
    rows, goals = (part[: count * length].view(count, length) for part in (inputs, targets))
    first = model.initial_state(1)
    state = warm_up_states(model, rows, first, warm_up=WARM_UP, segment_steps=SEGMENT_STEPS)
    metrics, _ = chunk_metrics(
        model, rows[:, :scored], goals[:, :scored], state, metric=metric, segment_steps=SEGMENT_STEPS
    )
    return metrics.flatten(0, 1).cpu().numpy(), positions.flatten()


def sampled_lines(
    ids: Ids | ConcatenatedIds, tokens: int, line_starts: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Choose lines, evenly distributed over a text, that have about `tokens` tokens together.

    Returns:
        The indices of the lines, and the positions of their tokens (n,).
    """
    lines = min(max(tokens * len(line_starts) // len(ids), 1), len(line_starts))
    chosen = np.arange(lines) * len(line_starts) // lines
    begins, lengths = line_bounds(ids, line_starts, chosen)
    return chosen, np.repeat(begins - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())


def chunked_scoring(model: RNNLanguageModel, text: Split, chunks: int) -> ChunkedScoring | None:
    """Measure how far the score of a text in so many unverified chunks may be off.

    Returns:
        None if the score is exact: a short text is not cut, nor are lines.
    """
    count = chunk_count(min(text.tokens, BLOCK_TOKENS), chunks)
    if text.line_starts is not None or count == 1:
        return None
    return ChunkedScoring(count, WARM_UP, chunking_error(model, text.ids, count))


@torch.inference_mode()
def chunking_error(model: RNNLanguageModel, ids: Ids | ConcatenatedIds, chunks: int) -> float:
    """Estimate how far the nats per token of unverified chunks may be off.

    At some positions of the text, WARM_UP tokens are scored after a warm-up of as many tokens, as at the
    boundary of two chunks, and again after a warm-up four times as long.

    Args:
        model: The network.
        ids: The token ids (N,).
        chunks: The number of chunks.

    Returns:
        The mean absolute difference, in nats per token of the whole text.
    """
    blocks = -(-len(ids) // BLOCK_TOKENS)
    boundaries = blocks * (chunk_count(min(len(ids), BLOCK_TOKENS), chunks) - 1)
    if not boundaries:
        return 0.0
    long = min(4 * WARM_UP, len(ids) - WARM_UP - 1)
    measured = min(boundaries, _MEASURED_BOUNDARIES)
    positions = np.linspace(long + 1, len(ids) - WARM_UP, measured).astype(np.int64).tolist()
    sums = []
    for warm_up in (min(WARM_UP, long), long):
        rows = [ids[position - warm_up - 1 : position + WARM_UP] for position in positions]
        tokens = ids_tensor(model, np.stack(rows))
        state = run_chunks(model, tokens[:, :warm_up], model.initial_state(len(tokens)), SEGMENT_STEPS)
        metrics, _ = chunk_metrics(model, tokens[:, warm_up:-1], tokens[:, warm_up + 1 :], state)
        sums.append(metrics.cpu().sum((1, 2), dtype=torch.float64))  # MPS has no float64
    return float((sums[0] - sums[1]).abs().mean()) * boundaries / len(ids)
