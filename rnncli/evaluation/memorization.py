"""What of a text was copied from another: runs of characters that both have. Shapes: N characters.

Every window of so many characters of the source has a number that its characters make up, and these are
sorted. A window of the sample that has the same number is looked up, compared character by character, and
made as long as it goes:

    source   ...and what was lost was what we learned...
    sample   he said what was lost was found
                     +----------------+  a run, if it is long enough
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnncli.data.counting import code_points

Points = npt.NDArray[np.uint32]

_BASE = np.uint64(0x9E3779B97F4A7C15)
# Of places in the source that begin alike so many are compared.
_MOST_PLACES = 64


@dataclass(frozen=True)
class Run:
    """Characters of the sample from `start` on that stand in the source from `source` on."""

    start: int
    length: int
    source: int


class Source:
    """A text that others may have copied from, in runs of at least so many characters (> 0)."""

    def __init__(self, text: str, least: int) -> None:
        self._points, self._least = code_points(text), least
        known = _numbers(self._points, least)
        self._order = np.argsort(known, kind="stable")
        self._known = known[self._order]

    def runs(self, sample: str) -> list[Run]:
        """What of the sample is copied, no run overlapping another, from left to right.

        Each is made as long as it goes from where it begins; of places that are as good the first.
        """
        ours = code_points(sample)
        windows = _numbers(ours, self._least)
        lows = np.searchsorted(self._known, windows, "left")
        highs = np.searchsorted(self._known, windows, "right")
        runs: list[Run] = []
        place = 0
        while place < len(windows):
            places = self._order[lows[place] : min(highs[place], lows[place] + _MOST_PLACES)].tolist()
            lengths = [_common(ours[place:], self._points[start:]) for start in places]
            longest = max(lengths, default=0)
            if longest >= self._least:
                runs.append(Run(place, longest, places[lengths.index(longest)]))
            place += longest if longest >= self._least else 1
        return runs


def _numbers(points: Points, width: int) -> npt.NDArray[np.uint64]:
    """A number for each window of so many characters (N - width + 1,): equal ones for equal windows."""
    if len(points) < width:
        return np.zeros(0, np.uint64)
    numbers, of_one = np.zeros(len(points) - width + 1, np.uint64), points.astype(np.uint64)
    for offset in range(width):
        numbers = numbers * _BASE + of_one[offset : offset + len(numbers)]
    return numbers


def _common(one: Points, other: Points) -> int:
    """How many characters two texts begin with alike."""
    done, size, end = 0, 64, min(len(one), len(other))
    while done < end:
        stop = min(done + size, end)
        differ = np.flatnonzero(one[done:stop] != other[done:stop])
        if len(differ):
            return done + int(differ[0])
        done, size = stop, 4 * size
    return end
