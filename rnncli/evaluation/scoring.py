"""Exact scoring: per-token metrics of a text under a network, every token once with its full history.

A recurrent network reads one token after another, so exact scoring seems to need N sequential steps.
But most networks forget: started from a wrong state, they soon behave as if it had been the right one.
So the text is cut into S chunks. The initial state of each chunk is approximated by a warm-up, which reads
the last tokens of the chunk before it, and all chunks are scored in parallel. Then each warm-up state is
compared with the state in which the chunk before really ended:

    chunk 1   0 =================> a            exact if a = a' and b = b' within a tolerance
    chunk 2           (warm-up) -> a' ================> b
    chunk 3                                 (warm-up) -> b' ================>

Where they differ, the chunk before is read again from its corrected state, without logits and together with
all others like it, until no state changes: a chunk is long, so the network forgets most of what precedes it.
If a network remembers for longer than that, the states are computed in one sequential pass. Chunks whose
initial state was wrong are scored again. Either way the result is that of one sequential pass, within
rounding; this is verified, not assumed.

Shapes:
  N: tokens of a text
  n: tokens of one block of it
  S: chunks
  L: chunk length
  W: chunks whose initial state was wrong
  V: vocabulary size
  M: metrics per token
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rnncli.data.batching import pad_segments
from rnncli.data.splits import ConcatenatedIds, Split, line_bounds
from rnncli.data.tokenizers.base import Ids
from rnncli.evaluation.config import CHUNKS, WARM_UP
from rnncli.evaluation.token_metrics import Metric, nll_only
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.nn.rnn import State

# Steps per call of the network. More of them need more memory, which would be the peak of a training run,
# and are not faster.
SEGMENT_STEPS = 64
# Tokens of a text that are scored at once: this bounds the memory that a long text takes.
BLOCK_TOKENS = 2**21
# Lines are sorted by length within groups of LINES_SORTED, and scored in batches of LINES_PER_BATCH.
LINES_PER_BATCH, LINES_SORTED = 256, 8192
# A shorter chunk would be mostly warm-up.
_MIN_CHUNK_TOKENS = WARM_UP
MAX_BATCH_TOKENS = 2**20
# Logits held at once, in numbers: few enough for the processor's cache.
_MAX_LOGITS = 2**22
# States are equal if they differ by less than this, relative to their size; that changes a total by < 1e-6.
_TOLERANCE = 1e-5
# Maximum number of times that chunks are read again, each time from better states; one is usually enough.
_MAX_CORRECTIONS = 4


def network_metrics(
    model: RNNLanguageModel, text: Split, metric: Metric, chunks: int | None = None
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield metrics of every token of a text, in order, in blocks (n, M).

    Args:
        model: The network.
        text: The text; its state is reset where the text says so.
        metric: What to compute of each token.
        chunks: Score this many chunks without verifying their warm-up states: faster, but not exact.
          None: exact. A text that consists of lines is always scored exactly.
    """
    if text.line_starts is None:
        return stream_metrics(model, text.ids, metric, chunks=chunks or CHUNKS, exact=chunks is None)
    return line_metrics(model, text.ids, text.line_starts, metric)


@torch.inference_mode()
def stream_metrics(
    model: RNNLanguageModel,
    ids: Ids | ConcatenatedIds,
    metric: Metric = nll_only,
    *,
    chunks: int = CHUNKS,
    segment_steps: int = SEGMENT_STEPS,
    block_tokens: int = BLOCK_TOKENS,
    exact: bool = True,
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield metrics of every token of one continuous text, each with its full history.

    The first token is predicted from BOS. `chunks`, `segment_steps` and `block_tokens` change speed and
    memory, and the result only by rounding.

    Args:
        model: The network.
        ids: The token ids (N,).
        metric: What to compute of each token.
        chunks: Maximum number of chunks scored in parallel.
        segment_steps: Steps per call of the network.
        block_tokens: Tokens that are scored before the next block is read.
        exact: Whether to verify the warm-up states. Without, scoring is faster if the network has a long
          memory; `chunking_error` says how far the result may be off.

    Yields:
        Metrics of consecutive tokens (n, M).
    """
    state, previous_id = model.initial_state(1), model.config.bos_id
    for start in range(0, len(ids), block_tokens):
        targets = ids_tensor(model, ids[start : start + block_tokens])
        metrics, state = _block_metrics(
            model,
            shifted_inputs(targets, previous_id),
            targets,
            state,
            metric=metric,
            chunks=chunks,
            segment_steps=segment_steps,
            exact=exact,
        )
        previous_id = int(targets[-1])
        yield metrics.cpu().numpy()


@torch.inference_mode()
def line_metrics(
    model: RNNLanguageModel,
    ids: Ids | ConcatenatedIds,
    line_starts: npt.NDArray[Any],
    metric: Metric = nll_only,
    *,
    lines: npt.NDArray[np.intp] | None = None,
    segment_steps: int = SEGMENT_STEPS,
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield metrics of every token of some lines, in order, in blocks of whole lines.

    Every line starts from BOS and the initial state. Lines of similar length are scored together.

    Args:
        model: The network.
        ids: The token ids of the text (N,).
        line_starts: The index of each line's first token.
        metric: What to compute of each token.
        lines: The indices of the lines to score; None: all.
        segment_steps: Steps per call of the network.

    Yields:
        Metrics of consecutive tokens (n, M).
    """
    selected = np.arange(len(line_starts)) if lines is None else lines
    for first in range(0, len(selected), LINES_SORTED):
        begins, lengths = line_bounds(ids, line_starts, selected[first : first + LINES_SORTED])
        offsets = np.cumsum(lengths) - lengths
        block = None
        order = np.argsort(-lengths, kind="stable")
        while len(order):
            batch_size = max(1, min(LINES_PER_BATCH, MAX_BATCH_TOKENS // int(lengths[order[0]])))
            chosen, order = order[:batch_size], order[batch_size:]
            opens = np.ones(len(chosen), np.bool_)
            batch = pad_segments(
                ids,
                starts=begins[chosen],
                lengths=lengths[chosen],
                begins_line=opens,
                bos_id=model.config.bos_id,
            )
            inputs, targets = (torch.from_numpy(a).to(model.device) for a in (batch.inputs, batch.targets))
            state = model.initial_state(len(chosen))
            metrics, _ = chunk_metrics(
                model, inputs, targets, state, metric=metric, segment_steps=segment_steps
            )
            if block is None:
                block = np.empty((int(lengths.sum()), metrics.shape[-1]), np.float32)
            is_token = batch.targets >= 0
            positions = (offsets[chosen][:, None] + np.arange(is_token.shape[1]))[is_token]
            block[positions] = metrics.cpu().numpy()[is_token]
        if block is not None:
            yield block


def chunk_count(tokens: int, most: int) -> int:
    """Return the number of chunks for a text of so many tokens, at most `most`."""
    return max(1, min(most, tokens // _MIN_CHUNK_TOKENS))


def ids_tensor(model: RNNLanguageModel, ids: Ids) -> Tensor:
    """Return token ids as a tensor on the model's device."""
    return torch.from_numpy(np.asarray(ids).astype(np.int64)).to(model.device)


def shifted_inputs(targets: Tensor, previous_id: int) -> Tensor:
    """Return the inputs (N,) from which targets (N,) are predicted: the token before each."""
    return torch.cat([targets.new_tensor([previous_id]), targets])[:-1]


def chunk_metrics(
    model: RNNLanguageModel,
    inputs: Tensor,
    targets: Tensor,
    state: State,
    *,
    metric: Metric = nll_only,
    segment_steps: int = SEGMENT_STEPS,
) -> tuple[Tensor, State]:
    """Score chunks in parallel.

    Args:
        model: The network.
        inputs: Token ids (S, L), L > 0.
        targets: Token ids (S, L), one step ahead; negative where there is none.
        state: The state before each chunk.
        metric: What to compute of each token.
        segment_steps: Steps per call of the network.

    Returns:
        Metrics (S, L, M) and the state after each chunk.
    """
    segments = []
    rows_per_call = max(1, _MAX_LOGITS // model.config.vocab_size)
    for start in range(0, inputs.shape[1], segment_steps):
        hidden, state = model.hidden(inputs[:, start : start + segment_steps], state)
        segment_targets = targets[:, start : start + segment_steps]
        flat, flat_targets = hidden.flatten(0, 1), segment_targets.flatten()
        metrics = torch.cat(
            [
                metric(model.logits(flat[row : row + rows_per_call]), flat_targets[row : row + rows_per_call])
                for row in range(0, len(flat), rows_per_call)
            ]
        )
        segments.append(metrics.view(*segment_targets.shape, -1))
    return torch.cat(segments, dim=1), state


def run_chunks(model: RNNLanguageModel, inputs: Tensor, state: State, segment_steps: int) -> State:
    """Return the state after each chunk of inputs (S, L), without computing logits."""
    for start in range(0, inputs.shape[1], segment_steps):
        _, state = model.hidden(inputs[:, start : start + segment_steps], state)
    return state


def warm_up_states(
    model: RNNLanguageModel, inputs: Tensor, first: State, *, warm_up: int, segment_steps: int
) -> State:
    """Approximate the state before each chunk.

    Args:
        model: The network.
        inputs: Token ids (S, L).
        first: The state before the first chunk, which is known.
        warm_up: How many tokens are read before each other chunk.
        segment_steps: Steps per call of the network.
    """
    others = model.initial_state(len(inputs) - 1)
    if len(inputs) > 1:
        others = run_chunks(model, inputs[:-1, -warm_up:], others, segment_steps)
    return first.merge(others, lambda known, approximate: torch.cat([known, approximate]))


def verified_states(
    model: RNNLanguageModel,
    inputs: Tensor,
    first: State,
    *,
    initial: State,
    final: State,
    segment_steps: int,
) -> State:
    """Find the true state before each chunk.

    Args:
        model: The network.
        inputs: Token ids (S, L).
        first: The state before the first chunk, which is known.
        initial: Approximate states before each chunk.
        final: The states after each chunk that `initial` led to.
        segment_steps: Steps per call of the network.
    """
    for corrections_left in reversed(range(_MAX_CORRECTIONS + 1)):
        corrected = first.merge(final, lambda known, after: torch.cat([known, after[:-1]]))
        wrong = differing_chunks(corrected, initial)
        if not len(wrong):
            return initial
        followed = wrong[wrong < len(inputs) - 1]  # no chunk depends on the final state of the last one
        if corrections_left and len(followed):
            after = run_chunks(model, inputs[followed], select_chunks(corrected, followed), segment_steps)
            final = replace_chunks(final, followed, after)
        initial = corrected
    return sequential_states(model, inputs, first, segment_steps)


def sequential_states(model: RNNLanguageModel, inputs: Tensor, first: State, segment_steps: int) -> State:
    """Compute the state before each chunk (S, L) in one pass, with as many steps as there are tokens."""
    states = [first]
    for chunk in inputs[:-1]:
        states.append(run_chunks(model, chunk[None], states[-1], segment_steps))
    joined = states[0]
    for state in states[1:]:
        joined = joined.merge(state, lambda before, one: torch.cat([before, one]))
    return joined


def differing_chunks(a: State, b: State) -> Tensor:
    """Return the indices of the chunks (W,) in which two states differ by more than the tolerance."""

    def close(x: Tensor, y: Tensor) -> Tensor:
        equal = torch.isclose(x, y, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)
        return equal.flatten(1).all(1)

    return torch.nonzero(~torch.stack(a.merge(b, close).tensors()).all(0)).flatten()


def select_chunks(state: State, chunks: Tensor) -> State:
    """Return the state of some chunks, given by index (W,)."""
    return state.map(lambda tensor: tensor[chunks])


def replace_chunks(state: State, chunks: Tensor, by: State) -> State:
    """Return `state` with the states of some chunks, given by index (W,), replaced."""
    return state.merge(by, lambda tensor, new: tensor.index_copy(0, chunks, new))


def _block_metrics(
    model: RNNLanguageModel,
    inputs: Tensor,
    targets: Tensor,
    state: State,
    *,
    metric: Metric,
    chunks: int,
    segment_steps: int,
    exact: bool,
) -> tuple[Tensor, State]:
    """Inputs and targets (N,) and the state before them -> metrics (N, M) and the state after them."""
    # The state of an attention is right once all of its context was read from a state that is.
    warm_up = WARM_UP + model.config.attention if exact else WARM_UP
    count = max(1, min(chunk_count(len(targets), chunks), len(targets) // warm_up))
    length = len(targets) // count
    body = length * count  # the remainder is scored after the chunks
    rows, goals = inputs[:body].view(count, length), targets[:body].view(count, length)
    initial = warm_up_states(model, rows, state, warm_up=warm_up, segment_steps=segment_steps)
    metrics, final = chunk_metrics(model, rows, goals, initial, metric=metric, segment_steps=segment_steps)
    if exact:
        true = verified_states(model, rows, state, initial=initial, final=final, segment_steps=segment_steps)
        wrong = differing_chunks(true, initial)
        if len(wrong):
            metrics[wrong], after = chunk_metrics(
                model,
                rows[wrong],
                goals[wrong],
                select_chunks(true, wrong),
                metric=metric,
                segment_steps=segment_steps,
            )
            final = replace_chunks(final, wrong, after)
    flat, last = metrics.flatten(0, 1), final.map(lambda tensor: tensor[-1:])
    if body < len(targets):
        rest, last = chunk_metrics(
            model,
            inputs[None, body:],
            targets[None, body:],
            last,
            metric=metric,
            segment_steps=segment_steps,
        )
        flat = torch.cat([flat, rest[0]])
    return flat, last
