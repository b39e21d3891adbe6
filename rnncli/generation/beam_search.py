"""Search for the most probable continuations of a text, exact or with a beam.

The cost of a continuation, -ln p, never decreases with another token. If the cheapest open continuation is
always expanded first, everything found later costs at least as much, and a complete continuation that is the
cheapest of all is the next most probable one: best-first search (Dijkstra 1959) over a tree that is built
while it is searched.

    0.0 "The ki" --+-- 0.7 "kin" --+-- 0.9 "king" ... complete at 1.1: the first result
                   |               +-- 2.5 "kind" ...
                   +-- 1.2 "kis" ...

Shapes:
  B: batch size, the number of continuations that are expanded together
  N: tokens of a continuation
  V: vocabulary size
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from rnncli.generation.decoder import Decoder, DecoderState
from rnncli.generation.sampling_filters import Logits

# Open continuations that are expanded together: a decoder step for one is hardly faster.
_EXPANDED_TOGETHER = 32
# If there are more open continuations, only the cheapest half of this number is kept.
_MAX_OPEN = 200_000
# Number of the most probable next tokens that are considered.
_MAX_NEXT_TOKENS = 1024


@dataclass(frozen=True)
class _Node:
    """A continuation that the decoder has read: its cost, its next tokens in order of cost, and its state."""

    nll: float
    tokens: tuple[int, ...]
    next_tokens: npt.NDArray[np.uint32]
    next_costs: npt.NDArray[np.float32]
    state: Any
    row: int


# Cost, a unique number that breaks ties, and either a node and the rank of its next token, or the tokens of
# a complete continuation.
_Entry = tuple[float, int, _Node | tuple[int, ...], int]
_Expansion = tuple[float, _Node, tuple[int, ...]]


def most_probable(
    decoder: Decoder,
    start: DecoderState,
    *,
    end_tokens: Sequence[int],
    forbidden: Sequence[int] = (),
    max_tokens: int = 200,
) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield continuations that are followed by an end token, the most probable first.

    Exact as long as at most 200,000 continuations are open, among continuations whose tokens are each one of
    the 1,024 most probable at their position.

    Args:
        decoder: The language model.
        start: The state of the decoder before the continuations, for a batch of one.
        end_tokens: Tokens that end a continuation and are not part of it; without any, all have `max_tokens`.
        forbidden: Tokens that no continuation has.
        max_tokens: Maximum number of tokens (N); a continuation of this length needs no end token.

    Yields:
        The tokens of a continuation, and its negative log-likelihood in nats, end token included.
    """
    if max_tokens < 1:
        return
    excluded = [*end_tokens, *forbidden]
    numbers, heap = count(), list[_Entry]()

    def add_node(nll: float, tokens: tuple[int, ...], log_probs: Logits, state: Any, row: int) -> None:
        if end_tokens:
            end = float(np.logaddexp.reduce(log_probs[list(end_tokens)]))
            heappush(heap, (nll - end, next(numbers), tokens, 0))
        costs = -log_probs
        costs[excluded] = np.inf
        order = np.argsort(costs, kind="stable")[:_MAX_NEXT_TOKENS]
        order = order[np.isfinite(costs[order])]
        push(_Node(nll, tokens, order.astype(np.uint32), costs[order].astype(np.float32), state, row), 0)

    def push(node: _Node, rank: int) -> None:
        if rank < len(node.next_costs):
            heappush(heap, (node.nll + float(node.next_costs[rank]), next(numbers), node, rank))

    add_node(0.0, (), start.log_probs[0], start.state, 0)
    while heap:
        if not isinstance(heap[0][2], _Node):
            nll, _, tokens, _ = heappop(heap)
            assert isinstance(tokens, tuple)
            yield tokens, nll
            continue
        expanded: list[_Expansion] = []
        while heap and len(expanded) < _EXPANDED_TOGETHER and isinstance(node := heap[0][2], _Node):
            nll, _, _, rank = heappop(heap)
            tokens = (*node.tokens, int(node.next_tokens[rank]))
            if len(tokens) == max_tokens:
                heappush(heap, (nll, next(numbers), tokens, 0))
            else:
                expanded.append((nll, node, tokens))
            push(node, rank + 1)
        for group in _by_state(expanded):
            rows = np.array([node.row for _, node, _ in group])
            before = decoder.select(group[0][1].state, rows)
            log_probs, after = decoder.step(np.array([tokens[-1] for _, _, tokens in group]), before)
            for row, (nll, _, tokens) in enumerate(group):
                add_node(nll, tokens, log_probs[row], after, row)
        if len(heap) > _MAX_OPEN:
            heap[:] = sorted(heap, key=lambda entry: entry[:2])[: _MAX_OPEN // 2]


def _by_state(expanded: list[_Expansion]) -> list[list[_Expansion]]:
    """Group expansions whose states are rows of the same batch."""
    groups: dict[int, list[_Expansion]] = {}
    for expansion in expanded:
        groups.setdefault(id(expansion[1].state), []).append(expansion)
    return list(groups.values())


def beam_search(
    decoder: Decoder,
    start: DecoderState,
    *,
    width: int,
    max_tokens: int,
    end_tokens: Sequence[int] = (),
    forbidden: Sequence[int] = (),
) -> tuple[tuple[int, ...], float]:
    """Return a probable continuation and its negative log-likelihood in nats.

    After each token the `width` most probable continuations are kept (Lowerre 1976). A width of 1 always
    takes the most probable token.

    Args:
        decoder: The language model.
        start: The state of the decoder before the continuation, for a batch of one.
        width: Number of continuations that are kept.
        max_tokens: Maximum number of tokens (N).
        end_tokens: Tokens that end a continuation and are part of it.
        forbidden: Tokens that no continuation has.
    """
    state, costs, texts = start, np.zeros(1), np.zeros((1, 0), np.int64)  # (B, V), (B,), (B, N)
    best: tuple[float, tuple[int, ...]] | None = None
    for _ in range(max_tokens):
        totals = costs[:, None] - state.log_probs
        totals[:, list(forbidden)] = np.inf
        order = np.argpartition(totals, min(width, totals.size) - 1, axis=None)[:width]
        order = order[np.isfinite(totals.ravel()[order])]
        order = order[np.lexsort((order, totals.ravel()[order]))]
        rows, tokens = np.divmod(order, totals.shape[1])
        costs, texts = totals.ravel()[order], np.column_stack([texts[rows], tokens])
        ended = np.isin(tokens, list(end_tokens))
        for cost, text in zip(costs[ended].tolist(), texts[ended].tolist(), strict=True):
            if best is None or cost < best[0]:
                best = cost, tuple(text)
        costs, texts, rows, tokens = costs[~ended], texts[~ended], rows[~ended], tokens[~ended]
        # No continuation becomes more probable with another token.
        if not len(costs) or (best is not None and best[0] <= costs[0]):
            break
        state = decoder.step(tokens, decoder.select(state.state, rows))
    if len(costs) and (best is None or costs[0] < best[0]):
        best = float(costs[0]), tuple(texts[0].tolist())
    return (best[1], best[0]) if best is not None else ((), 0.0)
