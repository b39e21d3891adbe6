"""Where the loss is: by distance from the beginning, by frequency, by line. Shapes: N tokens, V symbols."""

import numpy as np
import numpy.typing as npt

from rnncli.data.lines import line_bounds
from rnncli.data.tokenizers.base import Ids, Tokenizer, decode
from rnncli.results import Share

Reals = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

_WORST_LINES = 10


def by_position(nats: Reals, line_starts: Whole | None) -> tuple[Share, ...]:
    """By how many tokens stand before one (N,) in its text or line: how much does a longer memory buy?"""
    starts = np.zeros(1, np.int64) if line_starts is None else line_starts
    positions = np.arange(len(nats))
    before = positions - starts[np.searchsorted(starts, positions, side="right") - 1]
    bins = np.frexp(before.astype(np.float64))[1]  # 0, 1, 2 to 3, 4 to 7, ...
    labels = ["0", "1", *(f"{2**power:,} to {2 ** (power + 1) - 1:,}" for power in range(1, 64))]
    return _shares(nats, bins, labels)


def by_frequency(nats: Reals, ids: Ids, train_counts: Whole) -> tuple[Share, ...]:
    """By how often the training part has a token (V,): rare ones cost the most, and there are few of them."""
    counts = train_counts[ids.astype(np.int64)]
    bins = np.where(counts > 0, 1 + np.floor(np.log10(np.maximum(counts, 1))), 0).astype(np.int64)
    labels = ["never", *(f"{10**power:,} to {10 ** (power + 1) - 1:,} times" for power in range(19))]
    return _shares(nats, bins, labels)


def by_line(nats: Reals, ids: Ids, line_starts: Whole, tokenizer: Tokenizer) -> tuple[Share, ...]:
    """The lines with the most nats per token, the worst first."""
    begins, lengths = line_bounds(ids, line_starts, np.arange(len(line_starts)))
    sums = np.add.reduceat(nats, begins)
    worst = np.argsort(-sums / lengths, kind="stable")[:_WORST_LINES]
    return tuple(
        Share(
            decode(tokenizer, ids[begins[line] : begins[line] + lengths[line]].tolist()).rstrip("\n"),
            int(lengths[line]),
            float(sums[line] / lengths[line]),
            float(sums[line] / nats.sum()),
        )
        for line in worst.tolist()
    )


def _shares(nats: Reals, bins: npt.NDArray[np.integer], labels: list[str]) -> tuple[Share, ...]:
    tokens, sums = np.bincount(bins), np.bincount(bins, nats)
    return tuple(
        Share(
            labels[place],
            int(tokens[place]),
            float(sums[place] / tokens[place]),
            float(sums[place] / sums.sum()),
        )
        for place in np.flatnonzero(tokens).tolist()
    )
