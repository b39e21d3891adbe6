"""Find what a text has in common with the training data: runs of characters that occur in both.

Every substring of `min_length` characters of the training data is hashed, and the hashes are sorted. A
substring of the sample with the same hash is compared character by character, and extended as far as both
agree:

    training data   ...and what was lost was what we learned...
    sample          he said what was lost was found
                            +----------------+  an overlap, if it is long enough

Shapes:
  N: characters of a text
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnncli.data.tokenizers.base import code_points

CodePoints = npt.NDArray[np.uint32]

_BASE = np.uint64(0x9E3779B97F4A7C15)
# How many positions of the training data with the same substring are compared.
_MAX_CANDIDATES = 64


@dataclass(frozen=True)
class OverlapSpan:
    """A run of characters that occurs in the sample and in the training data.

    Attributes:
        start: Its position in the sample.
        length: Its length in characters.
        train_start: Its position in the training data.
    """

    start: int
    length: int
    train_start: int


class OverlapIndex:
    """An index of the training data for finding overlaps of at least `min_length` characters."""

    def __init__(self, text: str, min_length: int) -> None:
        self._characters, self._min_length = code_points(text), min_length
        hashes = _substring_hashes(self._characters, min_length)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def overlaps(self, sample: str) -> list[OverlapSpan]:
        """Return the overlaps of a sample with the training data, from left to right, without intersections.

        Each is as long as possible given its start; among equally long ones, the first in the training data.
        """
        characters = code_points(sample)
        hashes = _substring_hashes(characters, self._min_length)
        lows = np.searchsorted(self._hashes, hashes, "left")
        highs = np.searchsorted(self._hashes, hashes, "right")
        spans: list[OverlapSpan] = []
        start = 0
        while start < len(hashes):
            candidates = self._order[lows[start] : min(highs[start], lows[start] + _MAX_CANDIDATES)].tolist()
            lengths = [_common_prefix(characters[start:], self._characters[other:]) for other in candidates]
            longest = max(lengths, default=0)
            if longest >= self._min_length:
                spans.append(OverlapSpan(start, longest, candidates[lengths.index(longest)]))
            start += longest if longest >= self._min_length else 1
        return spans


def _substring_hashes(characters: CodePoints, length: int) -> npt.NDArray[np.uint64]:
    """The hash of each substring of this length (N - length + 1,)."""
    if len(characters) < length:
        return np.zeros(0, np.uint64)
    hashes, values = np.zeros(len(characters) - length + 1, np.uint64), characters.astype(np.uint64)
    for offset in range(length):
        hashes = hashes * _BASE + values[offset : offset + len(hashes)]
    return hashes


def _common_prefix(one: CodePoints, other: CodePoints) -> int:
    """The number of characters that two texts have in common at their beginning."""
    done, size, end = 0, 64, min(len(one), len(other))
    while done < end:
        stop = min(done + size, end)
        different = np.flatnonzero(one[done:stop] != other[done:stop])
        if len(different):
            return done + int(different[0])
        done, size = stop, 4 * size
    return end
