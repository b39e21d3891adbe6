r"""Lines as samples of their own, batched by length, window by window. Shapes: B lines, T time, L lines.

    <start> e m m a          ->   e m m a \n
    <start> a v a            ->   a v a \n .        (. is padding, which nothing is learned from)

Every line starts from an empty memory and the start id, and ends with its line end: nothing passes
from one to another. A line longer than `bptt` is learned in stretches, each after the first from the
token before it and an empty memory.
"""

from dataclasses import dataclass
from functools import cached_property
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt

from rnncli.data.batching import PADDING, Window
from rnncli.data.shards import Shards
from rnncli.data.tokenizers.base import Ids
from rnncli.errors import CorpusError

# Windows are as long as a multiple of this: every new length makes kernels prepare themselves anew.
LENGTH_STEP = 8
# Lines are sorted by length among so many batches, so that a batch's lines are about equally long.
_BATCHES_SORTED = 32
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Lines:
    """lines[k] is batch k of an endless stream of epochs, and depends on nothing but k."""

    ids: Ids | Shards
    line_starts: npt.NDArray[Any]
    start: int
    batch_size: int
    bptt: int

    def __post_init__(self) -> None:
        if len(self.line_starts) < self.batch_size:
            raise CorpusError(
                f"the training part has {len(self.line_starts):,} lines, and a batch {self.batch_size}",
                hint=f"use more text, or --batch-size {max(len(self.line_starts), 1)}",
            )

    @property
    def windows_per_epoch(self) -> int:
        return self._stretches // self.batch_size

    def __getitem__(self, k: int) -> Window:
        epoch, batch = divmod(k, self.windows_per_epoch)
        first = batch - batch % _BATCHES_SORTED
        batches = min(_BATCHES_SORTED, self.windows_per_epoch - first)
        places = np.arange(first * self.batch_size, (first + batches) * self.batch_size)
        begins, lengths, opens = self._stretch(self._visited(epoch, places))
        by_length = np.argsort(lengths, kind="stable").reshape(batches, self.batch_size)
        turn = np.random.default_rng([epoch, first]).permutation(batches)[batch - first]
        chosen = by_length[turn]
        return padded(self.ids, begins[chosen], lengths[chosen], opens[chosen], self.start)

    def _visited(self, epoch: int, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Which stretches stand at some places of an epoch: all once, in strides that reach everywhere."""
        count = self._stretches
        stride = max(int(count * _GOLDEN) + epoch, 1)
        while gcd(stride, count) > 1:
            stride += 1
        return (places % count * (stride % count) + epoch * 7919) % count

    def _stretch(self, numbers: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], ...]:
        """Stretches by number -> where they begin, how long they are, whether they open a line."""
        if self._first_stretches is None:
            lines, inside = numbers, np.zeros_like(numbers)
        else:
            lines = np.searchsorted(self._first_stretches, numbers, side="right") - 1
            inside = (numbers - self._first_stretches[lines]) * self.bptt
        begins, lengths = line_bounds(self.ids, self.line_starts, lines)
        return begins + inside, np.minimum(lengths - inside, self.bptt), inside == 0

    @cached_property
    def _stretches(self) -> int:
        if self._first_stretches is None:
            return len(self.line_starts)
        return int(self._first_stretches[-1])

    @cached_property
    def _first_stretches(self) -> npt.NDArray[np.int64] | None:
        """The number of each line's first stretch, and of all; None where every line is one stretch."""
        lengths = np.diff(self.line_starts, append=np.uint64(len(self.ids)))
        if not len(lengths) or lengths.max() <= self.bptt:
            return None
        return np.concatenate([[0], np.cumsum(-(-lengths.astype(np.int64) // self.bptt))])


def line_starts(ids: Ids, line_end: int | None) -> npt.NDArray[np.int64]:
    """Where the lines of a text's ids (N,) begin (L,): behind each line end, and at the beginning."""
    behind = np.flatnonzero(ids == line_end) + 1
    return np.concatenate([[0], behind])[: len(behind) + int(not len(behind) or behind[-1] < len(ids))]


def line_bounds(
    ids: Ids | Shards, starts: npt.NDArray[Any], lines: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where some lines begin and how long they are, their line ends included."""
    begins = starts[lines].astype(np.int64)
    following = starts[np.minimum(lines + 1, len(starts) - 1)].astype(np.int64)
    return begins, np.where(lines + 1 < len(starts), following, len(ids)) - begins


def padded(
    ids: Ids | Shards,
    begins: npt.NDArray[Any],
    lengths: npt.NDArray[Any],
    opens: npt.NDArray[np.bool_],
    start: int,
) -> Window:
    """Stretches of ids as the rows of a window; before one that `opens` a line stands the start id."""
    width = -(-int(lengths.max()) // LENGTH_STEP) * LENGTH_STEP
    steps = np.arange(width)
    inside = steps < lengths[:, None]
    targets = np.full(inside.shape, PADDING, np.int64)
    targets[inside] = ids[(begins[:, None] + steps)[inside]]
    before = np.where(opens, start, ids[np.maximum(begins - 1, 0)].astype(np.int64))
    inputs = np.concatenate([before[:, None], np.maximum(targets[:, :-1], 0)], axis=1)
    return Window(inputs, targets, np.ones(len(begins), np.bool_))
