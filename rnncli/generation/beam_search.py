"""The most probable continuations of a text, in their order. Shapes: B lanes, V symbols, N tokens.

What a continuation costs, -ln p, only grows with every token. So the cheapest one that is open, looked at
first, can only lead to what costs more than itself, and an ended one that is the cheapest of all is the next
most probable: best-first search (Dijkstra 1959) over a tree that is made as it is walked.

    0.0 "The ki" --+-- 0.7 "kin" --+-- 0.9 "king" ... ends at 1.1: the first
                   |               +-- 2.5 "kind" ...
                   +-- 1.2 "kis" ...
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

import numpy as np
import numpy.typing as npt

from rnncli.generation.prediction import Memory, Place, Predictor
from rnncli.generation.sampling import Logits

# Open continuations that are gone on from together: one at a time would leave the processor waiting.
_AT_ONCE = 32
# The open ones are cut to the cheapest of so many, and what was cut off is never found.
_MOST_OPEN = 200_000
# Of what may follow so many of the likeliest are looked at.
_MOST_FOLLOWING = 1024


@dataclass(frozen=True)
class _Node:
    """A continuation that was read: its cost, its tokens, what may follow, cheapest first, and its memory."""

    nats: float
    tokens: tuple[int, ...]
    following: npt.NDArray[np.uint32]
    costs: npt.NDArray[np.float32]
    memory: Memory
    lane: int


# A cost, a number that no other has, a node, and which of those that may follow it; none where it has ended.
_Entry = tuple[float, int, _Node | tuple[int, ...], int]


def most_probable(
    predictor: Predictor,
    begin: Place,
    ends: Sequence[int],
    forbidden: Sequence[int] = (),
    most_tokens: int = 200,
) -> Iterator[tuple[tuple[int, ...], float]]:
    """Continuations that one of `ends` follows, and -ln p of each with that.

    The most probable first, as long as there are any. None is longer than `most_tokens`: what is so long
    counts as ended. Exact as long as no more than 200,000 are open, and no token beyond the 1,024 likeliest
    of its place is in one.
    """
    if most_tokens < 1:
        return
    out = [*ends, *forbidden]
    numbers, heap = count(), list[_Entry]()

    def add(nats: float, tokens: tuple[int, ...], logs: Logits, memory: Memory, lane: int) -> None:
        if ends:
            end = float(np.logaddexp.reduce(logs[list(ends)]))
            heappush(heap, (nats - end, next(numbers), tokens, 0))
        costs = -logs
        costs[out] = np.inf
        order = np.argsort(costs, kind="stable")[:_MOST_FOLLOWING]
        order = order[np.isfinite(costs[order])]
        push(_Node(nats, tokens, order.astype(np.uint32), costs[order].astype(np.float32), memory, lane), 0)

    def push(node: _Node, rank: int) -> None:
        if rank < len(node.costs):
            heappush(heap, (node.nats + float(node.costs[rank]), next(numbers), node, rank))

    add(0.0, (), begin.logs[0], begin.memory, 0)
    while heap:
        if not isinstance(heap[0][2], _Node):
            nats, _, tokens, _ = heappop(heap)
            assert isinstance(tokens, tuple)
            yield tokens, nats
            continue
        chosen: list[tuple[float, _Node, tuple[int, ...]]] = []
        while heap and len(chosen) < _AT_ONCE and isinstance(node := heap[0][2], _Node):
            nats, _, _, rank = heappop(heap)
            tokens = (*node.tokens, int(node.following[rank]))
            if len(tokens) == most_tokens:
                heappush(heap, (nats, next(numbers), tokens, 0))
            else:
                chosen.append((nats, node, tokens))
            push(node, rank + 1)
        for group in _together(chosen):
            lanes = np.array([node.lane for _, node, _ in group])
            before = predictor.lanes(group[0][1].memory, lanes)
            logs, after = predictor.step(np.array([tokens[-1] for _, _, tokens in group]), before)
            for lane, (nats, _, tokens) in enumerate(group):
                add(nats, tokens, logs[lane], after, lane)
        if len(heap) > _MOST_OPEN:
            heap[:] = sorted(heap, key=lambda entry: entry[:2])[: _MOST_OPEN // 2]


def _together(
    chosen: list[tuple[float, _Node, tuple[int, ...]]],
) -> list[list[tuple[float, _Node, tuple[int, ...]]]]:
    """Those whose memories lie side by side."""
    groups: dict[int, list[tuple[float, _Node, tuple[int, ...]]]] = {}
    for one in chosen:
        groups.setdefault(id(one[1].memory), []).append(one)
    return list(groups.values())


def beam_search(
    predictor: Predictor,
    place: Place,
    width: int,
    length: int,
    ends: Sequence[int] = (),
    forbidden: Sequence[int] = (),
) -> tuple[tuple[int, ...], float]:
    """A probable continuation after a place, up to one of `ends` or to `length` ids, and -ln p.

    Of all continuations of the `width` that were the most probable a token before, as many are kept
    (Lowerre 1976). With a width of 1 it is what always taking the likeliest token gives.
    """
    costs, texts = np.zeros(1), np.zeros((1, 0), np.int64)
    best: tuple[float, tuple[int, ...]] | None = None
    for _ in range(length):
        totals = costs[:, None] - place.logs
        totals[:, list(forbidden)] = np.inf
        order = np.argpartition(totals, min(width, totals.size) - 1, axis=None)[:width]
        order = order[np.isfinite(totals.ravel()[order])]
        order = order[np.lexsort((order, totals.ravel()[order]))]
        lanes, tokens = np.divmod(order, totals.shape[1])
        costs, texts = totals.ravel()[order], np.column_stack([texts[lanes], tokens])
        ended = np.isin(tokens, list(ends))
        for cost, text in zip(costs[ended].tolist(), texts[ended].tolist(), strict=True):
            if best is None or cost < best[0]:
                best = cost, tuple(text)
        costs, texts, lanes, tokens = costs[~ended], texts[~ended], lanes[~ended], tokens[~ended]
        # What goes on only gets less probable.
        if not len(costs) or (best is not None and best[0] <= costs[0]):
            break
        place = predictor.step(tokens, predictor.lanes(place.memory, lanes))
    if len(costs) and (best is None or costs[0] < best[0]):
        best = float(costs[0]), tuple(texts[0].tolist())
    return (best[1], best[0]) if best is not None else ((), 0.0)
