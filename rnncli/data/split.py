"""A text as ids, to be learned or scored. Shapes: N tokens, L lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rnncli.data.counting import TextCounts
from rnncli.data.shards import Shards
from rnncli.data.tokenizers.base import Ids
from rnncli.results import Score

# numpy counts a copy of eight bytes a token.
_COUNTED_AT_ONCE = 2**22


@dataclass(frozen=True)
class Part:
    """ids (N,), the size of the text they stand for, and where memory is emptied (L,), if it is.

    `oov_tokens` of them are `unknown_id`; `line_end` is the id that ends a line, None where none does.
    """

    ids: Ids | Shards
    counts: TextCounts
    oov_tokens: int
    line_starts: npt.NDArray[Any] | None
    unknown_id: int | None = None
    line_end: int | None = None

    @property
    def tokens(self) -> int:
        return len(self.ids)

    def histogram(self, vocab_size: int) -> npt.NDArray[np.int64]:
        """How often each symbol occurs (V,)."""
        counts = np.zeros(vocab_size, np.int64)
        for start in range(0, self.tokens, _COUNTED_AT_ONCE):
            counts += np.bincount(self.ids[start : start + _COUNTED_AT_ONCE], minlength=vocab_size)
        return counts

    def score(self, nats: float, oov_nats: float) -> Score:
        """What a model says of all of it, and of its unknown tokens, beside its sizes."""
        ends = int(np.count_nonzero(self.ids[0 : self.tokens] == self.line_end))
        counts = self.counts
        sizes = (self.tokens, counts.words, counts.characters, counts.bytes)
        return Score(nats, *sizes, self.oov_tokens, oov_nats, ends)


def joined(parts: Sequence[Part]) -> Part:
    """Several as one, each after the one before."""
    counts, starts, before = TextCounts(0, 0, 0), [], 0
    for part in parts:
        counts = counts.plus(part.counts)
        if part.line_starts is not None:
            starts.append(part.line_starts + np.uint64(before))
        before += part.tokens
    return Part(
        Shards([array for part in parts for array in _arrays(part.ids)]),
        counts,
        sum(part.oov_tokens for part in parts),
        np.concatenate(starts) if starts else None,
        parts[0].unknown_id,
        parts[0].line_end,
    )


def _arrays(ids: Ids | Shards) -> Sequence[Ids]:
    return ids.arrays if isinstance(ids, Shards) else [ids]
