"""95% confidence intervals of scores and of their differences, by the block bootstrap.

The tokens of a text are not independent, so blocks of consecutive tokens are resampled with replacement
(Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 6 and 8). All models are scored on
the same blocks: a block that is hard for one model is hard for all, so the confidence interval of a
difference is far narrower than those of the two scores.

Shapes:
  N: tokens of a text
  n: tokens of one part of it
  K: blocks
  M: models
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.data.splits import Split
from rnncli.results import ModelScore, PairedDifference

Floats = npt.NDArray[np.floating[Any]]
Sums = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_MAX_BLOCKS, _MIN_BLOCKS, _MIN_BLOCK_TOKENS = 200, 10, 100
_RESAMPLES = 2000
_PERCENTILES = (2.5, 97.5)


class BlockSums(NamedTuple):
    """The negative log-likelihood (NLL) of a text under several models, in nats.

    Attributes:
        nll_nats: The NLL of each block under each model (K, M).
        oov_nll_nats: The part of it due to out-of-vocabulary tokens, over all blocks (M,).
    """

    nll_nats: Sums
    oov_nll_nats: Sums

    def of_model(self, model: int) -> tuple[Sums, float]:
        """Return the two sums for one model, given by index: (K,) and a number."""
        return self.nll_nats[:, model], float(self.oov_nll_nats[model])


def block_bounds(tokens: int) -> Counts:
    """Divide a text into blocks of about equal length.

    Returns:
        The position of each block's first token, and the end of the last block (K + 1,).
    """
    blocks = min(max(tokens // _MIN_BLOCK_TOKENS, 1), _MAX_BLOCKS)
    return np.arange(blocks + 1) * tokens // blocks


def block_sums(parts: Iterator[Floats], text: Split, bounds: Counts, models: int) -> BlockSums:
    """Sum the NLL of tokens over blocks.

    Args:
        parts: The NLL of all tokens of the text, in order, in parts (n, M).
        text: The text.
        bounds: The bounds of the blocks (K + 1,).
        models: The number of models, M.
    """
    first, sums, oov_sums = 0, np.zeros((len(bounds) - 1, models)), np.zeros(models)
    for part in parts:
        last = first + len(part)
        blocks = np.searchsorted(bounds, np.arange(first, last), side="right") - 1
        columns = part.astype(np.float64).T
        sums += np.stack([np.bincount(blocks, column, len(bounds) - 1) for column in columns], 1)
        oov_sums += columns[:, text.ids[first:last] == text.unk_id].sum(1)
        first = last
    return BlockSums(sums, oov_sums)


def model_score(name: str, sums: Sums, oov_nll_nats: float, *, text: Split, bounds: Counts) -> ModelScore:
    """Return the score of a text under a model, with its confidence interval.

    Args:
        name: The model.
        sums: The NLL of each block (K,).
        oov_nll_nats: The part of it due to out-of-vocabulary tokens.
        text: The text.
        bounds: The bounds of the blocks (K + 1,).
    """
    low, high = _confidence_interval(sums, np.diff(bounds))
    return ModelScore(name, text.score(float(sums.sum()), oov_nll_nats), low, high)


def paired_difference(
    one: tuple[str, Sums], other: tuple[str, Sums], unit: Literal["token", "character"], units: Counts
) -> PairedDifference:
    """Return the difference in NLL of two models, with its confidence interval.

    Args:
        one: The name of a model, and the NLL of each block under it (K,).
        other: The same for the other model.
        unit: What the difference is per.
        units: The number of units in each block (K,).
    """
    (better, lower), (worse, higher) = sorted((one, other), key=lambda each: each[1].sum())
    gap = higher - lower
    low, high = _confidence_interval(gap, units)
    return PairedDifference(better, worse, unit, float(gap.sum() / units.sum()), low, high)


def _confidence_interval(sums: Sums, units: Counts) -> tuple[float | None, float | None]:
    """Bounds of sums.sum() / units.sum(); the resampled blocks depend on the number of blocks alone."""
    if len(units) < _MIN_BLOCKS:
        return None, None
    resampled = np.random.default_rng(0).integers(0, len(units), (_RESAMPLES, len(units)))
    low, high = np.percentile(sums[resampled].sum(1) / units[resampled].sum(1), _PERCENTILES)
    return float(low), float(high)
