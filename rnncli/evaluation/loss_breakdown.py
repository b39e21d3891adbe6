"""Break the loss of a text down by position, by token frequency, or by line.

Shapes:
  N: tokens of a text
  L: lines
  V: vocabulary size
"""

import numpy as np
import numpy.typing as npt

from rnncli.data.splits import line_bounds
from rnncli.data.tokenizers.base import Ids, Tokenizer, decode
from rnncli.results import LossGroup

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SHOWN_LINES = 10


def by_position(nll: Floats, line_starts: Ints | None) -> tuple[LossGroup, ...]:
    """Group tokens by their distance from the last reset of the state: how much does a longer history help?

    Args:
        nll: -ln p of each token (N,).
        line_starts: The index of each line's first token (L,) if the state is reset at lines, else None.

    Returns:
        Groups of tokens with 0, 1, 2 to 3, 4 to 7, ... tokens before them.
    """
    starts = np.zeros(1, np.int64) if line_starts is None else line_starts
    positions = np.arange(len(nll))
    distances = positions - starts[np.searchsorted(starts, positions, side="right") - 1]
    bins = np.frexp(distances.astype(np.float64))[1]  # 0, 1, 2 to 3, 4 to 7, ...
    labels = ["0", "1", *(f"{2**power:,} to {2 ** (power + 1) - 1:,}" for power in range(1, 64))]
    return _loss_groups(nll, bins, labels)


def by_frequency(nll: Floats, ids: Ids, train_counts: Ints) -> tuple[LossGroup, ...]:
    """Group tokens by their frequency in the training split: rare tokens have the highest loss.

    Args:
        nll: -ln p of each token (N,).
        ids: The token ids (N,).
        train_counts: How often each token occurs in the training split (V,).

    Returns:
        Groups of tokens that occur 0, 1 to 9, 10 to 99, ... times.
    """
    counts = train_counts[ids.astype(np.int64)]
    bins = np.where(counts > 0, 1 + np.floor(np.log10(np.maximum(counts, 1))), 0).astype(np.int64)
    labels = ["never", *(f"{10**power:,} to {10 ** (power + 1) - 1:,} times" for power in range(19))]
    return _loss_groups(nll, bins, labels)


def by_line(nll: Floats, ids: Ids, line_starts: Ints, tokenizer: Tokenizer) -> tuple[LossGroup, ...]:
    """Return the lines with the highest loss per token, the highest first.

    Args:
        nll: -ln p of each token (N,).
        ids: The token ids (N,).
        line_starts: The index of each line's first token (L,).
        tokenizer: Decodes the lines.
    """
    begins, lengths = line_bounds(ids, line_starts, np.arange(len(line_starts)))
    sums = np.add.reduceat(nll, begins)
    highest = np.argsort(-sums / lengths, kind="stable")[:_SHOWN_LINES]
    return tuple(
        LossGroup(
            decode(tokenizer, ids[begins[line] : begins[line] + lengths[line]].tolist()).rstrip("\n"),
            int(lengths[line]),
            float(sums[line] / lengths[line]),
            float(sums[line] / nll.sum()),
        )
        for line in highest.tolist()
    )


def _loss_groups(nll: Floats, bins: npt.NDArray[np.integer], labels: list[str]) -> tuple[LossGroup, ...]:
    tokens, sums = np.bincount(bins), np.bincount(bins, nll)
    return tuple(
        LossGroup(
            labels[group],
            int(tokens[group]),
            float(sums[group] / tokens[group]),
            float(sums[group] / sums.sum()),
        )
        for group in np.flatnonzero(tokens).tolist()
    )
