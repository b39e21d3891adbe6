"""A set of lines stored as 64-bit hashes, to test whether a line occurs in the training split.

    hash = mix(sum over k of mix(id k) * base^k  +  mix(length))        (mod 2^64)

Among a million lines, two have the same hash with a probability of 3e-8: membership is exact for all
practical purposes.

N tokens, L distinct lines.
"""

import numpy as np
import numpy.typing as npt

from rnncli.data.splits import ConcatenatedIds
from rnncli.data.tokenizers.base import Ids

Hashes = npt.NDArray[np.uint64]

# Three seconds of work, and a file of 32 MB; for a larger text the lines are hashed when they are needed.
MAX_TOKENS, MAX_LINES = 2**26, 2**22
_CHUNK_TOKENS = 2**20
_BASE = np.uint64(0x9E3779B97F4A7C15)
_POWERS = np.cumprod(np.append(np.uint64(1), np.full(2**16 - 1, _BASE)))


class LineHashes:
    """A set of lines; a line is given by its ids without the line end."""

    def __init__(self, hashes: Hashes) -> None:
        """Make a set from sorted hashes (L,)."""
        self.hashes = hashes

    @classmethod
    def of(cls, ids: Ids | ConcatenatedIds, line_end: int | None) -> "LineHashes":
        """Hash the lines of ids (N,), chunk by chunk."""
        found, partial_sum, length = np.zeros(0, np.uint64), np.zeros(1, np.uint64), 0
        for start in range(0, len(ids), _CHUNK_TOKENS):
            chunk = ids[start : start + _CHUNK_TOKENS]
            ends = np.flatnonzero(chunk == line_end)
            starts = np.concatenate([[0], ends + 1])
            offsets = np.arange(len(chunk)) - np.repeat(starts, np.diff(starts, append=len(chunk)))
            offsets[: starts[1] if len(ends) else len(chunk)] += length
            terms = _mix(chunk.astype(np.uint64)) * _powers(offsets)
            terms[ends] = 0
            sums = np.add.reduceat(np.append(terms, np.uint64(0)), starts)
            sums[:1] += partial_sum
            lengths = np.append(ends, len(chunk)) - starts
            lengths[0] += length
            partial_sum, length = sums[-1:], int(lengths[-1])
            found = np.union1d(found, _finish(sums[:-1], lengths[:-1]))
        return cls(np.union1d(found, _finish(partial_sum, length)) if length else found)

    def __contains__(self, line: Ids) -> bool:
        terms = _mix(line.astype(np.uint64)) * _powers(np.arange(len(line)))
        wanted = _finish(terms.sum(keepdims=True), len(line))[0]
        position = int(self.hashes.searchsorted(wanted))
        return position < len(self.hashes) and bool(self.hashes[position] == wanted)


def _finish(sums: Hashes, lengths: npt.NDArray[np.integer] | int) -> Hashes:
    return _mix(sums + _mix(np.atleast_1d(lengths).astype(np.uint64)))


def _powers(k: npt.NDArray[np.integer]) -> Hashes:
    """Return base^k, from one table for the lower 16 bits of k and one for the rest."""
    upper = k // len(_POWERS)
    table = np.cumprod(np.append(np.uint64(1), np.full(int(upper.max(initial=0)), _POWERS[-1:] * _BASE)))
    return np.asarray(_POWERS[k % len(_POWERS)] * table[upper])


def _mix(values: Hashes) -> Hashes:
    """Make every output bit depend on every input bit (splitmix64; Steele, Lea and Flood 2014)."""
    mixed = values + _BASE
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
