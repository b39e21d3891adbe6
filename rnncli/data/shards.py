"""Several arrays of ids read as one, none of them copied. Shapes: N ids in all."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from rnncli.data.tokenizers.base import Ids


class Shards:
    """Answers len(), [start:stop] and [positions] (any shape) as one array (N,) would."""

    def __init__(self, arrays: Sequence[Ids]) -> None:
        self.arrays = [array for array in arrays if len(array)] or list(arrays[:1])
        self._starts = [0, *accumulate(map(len, self.arrays))]

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, wanted: slice | npt.NDArray[Any]) -> Ids:
        if isinstance(wanted, slice):
            return self._slice(*wanted.indices(len(self)))
        if wanted.size and not -len(self) <= wanted.min() <= wanted.max() < len(self):
            raise IndexError(f"a position is outside of {len(self)} ids")
        positions = np.where(wanted < 0, wanted + len(self), wanted)
        found = np.empty(positions.shape, self.arrays[0].dtype)
        for array, (start, stop) in zip(self.arrays, pairwise(self._starts), strict=True):
            inside = (positions >= start) & (positions < stop)
            found[inside] = array[positions[inside] - start]
        return found

    def _slice(self, start: int, stop: int, step: int) -> Ids:
        assert step == 1, "a text is read forwards"
        first = max(bisect_right(self._starts, start) - 1, 0)
        parts = []
        for array, begin in zip(self.arrays[first:], self._starts[first:], strict=False):
            if begin >= stop:
                break
            parts.append(array[max(start - begin, 0) : stop - begin])
        return np.concatenate(parts) if parts else self.arrays[0][:0]
