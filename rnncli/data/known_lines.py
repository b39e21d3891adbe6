"""Which lines a text has, kept as a number of 64 bits each. Shapes: N tokens, L different lines.

Two lines of a million have the same number with a probability of 3e-8, so that a line that is not known
was not there, and one that is known was.

    number = sum over k of mixed(id k) * base^k, mixed again with the length        (mod 2^64)
"""

import numpy as np
import numpy.typing as npt

from rnncli.data.shards import Shards
from rnncli.data.tokenizers.base import Ids

Numbers = npt.NDArray[np.uint64]

# Three seconds of work, and a file of 32 MB: what has more is better looked up in the text itself.
MOST_TOKENS, MOST_LINES = 2**26, 2**22
_AT_ONCE = 2**20
_BASE = np.uint64(0x9E3779B97F4A7C15)
_POWERS = np.cumprod(np.append(np.uint64(1), np.full(2**16 - 1, _BASE)))


class KnownLines:
    """A set of lines, given by their ids without the line end."""

    def __init__(self, numbers: Numbers) -> None:
        """`numbers` (L,), sorted."""
        self.numbers = numbers

    @classmethod
    def of(cls, ids: Ids | Shards, line_end: int | None) -> "KnownLines":
        """Those of a text's ids (N,)."""
        found, begun, length = np.zeros(0, np.uint64), np.zeros(1, np.uint64), 0
        for start in range(0, len(ids), _AT_ONCE):
            chunk = ids[start : start + _AT_ONCE]
            ends = np.flatnonzero(chunk == line_end)
            starts = np.concatenate([[0], ends + 1])
            inside = np.arange(len(chunk)) - np.repeat(starts, np.diff(starts, append=len(chunk)))
            inside[: starts[1] if len(ends) else len(chunk)] += length
            terms = _mixed(chunk.astype(np.uint64)) * _powers(inside)
            terms[ends] = 0
            sums = np.add.reduceat(np.append(terms, np.uint64(0)), starts)
            sums[:1] += begun
            lengths = np.append(ends, len(chunk)) - starts
            lengths[0] += length
            begun, length = sums[-1:], int(lengths[-1])
            found = np.union1d(found, _numbers(sums[:-1], lengths[:-1]))
        return cls(np.union1d(found, _numbers(begun, length)) if length else found)

    def __contains__(self, line: Ids) -> bool:
        terms = _mixed(line.astype(np.uint64)) * _powers(np.arange(len(line)))
        number = _numbers(terms.sum(keepdims=True), len(line))[0]
        place = int(self.numbers.searchsorted(number))
        return place < len(self.numbers) and bool(self.numbers[place] == number)


def _numbers(sums: Numbers, lengths: npt.NDArray[np.integer] | int) -> Numbers:
    return _mixed(sums + _mixed(np.atleast_1d(lengths).astype(np.uint64)))


def _powers(k: npt.NDArray[np.integer]) -> Numbers:
    """base^k, from a table of the lower half of k and one of the upper."""
    upper = k // len(_POWERS)
    table = np.cumprod(np.append(np.uint64(1), np.full(int(upper.max(initial=0)), _POWERS[-1:] * _BASE)))
    return np.asarray(_POWERS[k % len(_POWERS)] * table[upper])


def _mixed(numbers: Numbers) -> Numbers:
    """Every bit of a number decides about every other (splitmix64; Steele, Lea and Flood 2014)."""
    mixed = numbers + _BASE
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
