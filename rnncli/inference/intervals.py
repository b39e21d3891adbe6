"""How far a figure could be off: the bootstrap over blocks of a text. Shapes: K blocks, M models, R draws.

Tokens of a text are not independent of one another, so that blocks of consecutive ones are drawn again, with
replacement (Efron and Tibshirani 1993, chapters 6 and 8). All models are measured on the same blocks:
what is hard about one of them is hard for all, and the interval of a difference is far narrower than those
of the two figures.
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rnncli.reports import Difference, Measured, Score
from rnncli.text.counting import TextCounts

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


def block_sums(parts: Iterator[Reals], cuts: Whole, models: int) -> Sums:
    """Nats of the tokens in their order, in parts (n, M) -> sums by block (K, M)."""
    first, sums = 0, np.zeros((len(cuts) - 1, models))
    for part in parts:
        blocks = np.searchsorted(cuts, np.arange(first, first + len(part)), side="right") - 1
        columns = [np.bincount(blocks, column, len(cuts) - 1) for column in part.astype(np.float64).T]
        sums += np.stack(columns, 1)
        first += len(part)
    return sums


def measured(name: str, sums: Sums, tokens: Whole, counts: TextCounts, oov_tokens: int) -> Measured:
    """Nats and tokens by block (K,) -> the score with the interval of its nats per token."""
    score = Score(
        float(sums.sum()), int(tokens.sum()), counts.words, counts.characters, counts.bytes, oov_tokens
    )
    return Measured(name, score, *_bounds(sums, tokens))


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
