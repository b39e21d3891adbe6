"""How far a figure could be off: the bootstrap over blocks of a text. Shapes: K blocks, M models, R draws.

Tokens of a text are not independent of one another, so that blocks of consecutive ones are drawn again, with
replacement (Efron and Tibshirani 1993, chapters 6 and 8). All models are measured on the same blocks:
what is hard about one of them is hard for all, and the interval of a difference is far narrower than those
of the two figures.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.data.split import Part
from rnncli.results import Difference, Measured

Reals = npt.NDArray[np.floating[Any]]
Sums = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

_MOST_BLOCKS, _FEWEST_BLOCKS, _SHORTEST_BLOCK = 200, 10, 100
_RESAMPLES = 2000
_PERCENTILES = (2.5, 97.5)


def block_cuts(tokens: int) -> Whole:
    """Where blocks of about the same length begin, and the last ends (K + 1,)."""
    blocks = min(max(tokens // _SHORTEST_BLOCK, 1), _MOST_BLOCKS)
    return np.arange(blocks + 1) * tokens // blocks


class BlockSums(NamedTuple):
    """Nats of a text by block, and of its unknown tokens in all, under M models: (K, M) and (M,)."""

    nats: Sums
    oov_nats: Sums

    def of_model(self, model: int) -> tuple[Sums, float]:
        return self.nats[:, model], float(self.oov_nats[model])


def block_sums(parts: Iterator[Reals], text: Part, cuts: Whole, models: int) -> BlockSums:
    """Nats of the tokens of `text` in their order, in parts (n, M) -> their sums."""
    first, sums, unknown = 0, np.zeros((len(cuts) - 1, models)), np.zeros(models)
    for part in parts:
        last = first + len(part)
        blocks = np.searchsorted(cuts, np.arange(first, last), side="right") - 1
        columns = part.astype(np.float64).T
        sums += np.stack([np.bincount(blocks, column, len(cuts) - 1) for column in columns], 1)
        unknown += columns[:, text.ids[first:last] == text.unknown_id].sum(1)
        first = last
    return BlockSums(sums, unknown)


def measured(name: str, sums: Sums, oov_nats: float, text: Part, cuts: Whole) -> Measured:
    """Nats by block (K,), and of unknown tokens -> the score, with the interval of its nats per token."""
    return Measured(name, text.score(float(sums.sum()), oov_nats), *_bounds(sums, np.diff(cuts)))


def difference(
    one: tuple[str, Sums], other: tuple[str, Sums], unit: Literal["token", "character"], units: Whole
) -> Difference:
    """Two names with their nats by block (K,), and the units of the blocks -> who is better, by how much."""
    (better, less), (worse, more) = sorted((one, other), key=lambda each: each[1].sum())
    gap = more - less
    return Difference(better, worse, unit, float(gap.sum() / units.sum()), *_bounds(gap, units))


def _bounds(sums: Sums, units: Whole) -> tuple[float | None, float | None]:
    """Of sums.sum() / units.sum(): the same draws every time, whatever is measured."""
    if len(units) < _FEWEST_BLOCKS:
        return None, None
    drawn = np.random.default_rng(0).integers(0, len(units), (_RESAMPLES, len(units)))
    low, high = np.percentile(sums[drawn].sum(1) / units[drawn].sum(1), _PERCENTILES)
    return float(low), float(high)
