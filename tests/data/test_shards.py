"""Several arrays read like the one that they are together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from rnncli.data.shards import Shards

lists = st.lists(st.lists(st.integers(0, 60_000), max_size=6), min_size=1, max_size=5)


def both(shards: list[list[int]]) -> tuple[Shards, np.ndarray]:
    arrays = [np.array(shard, np.uint16) for shard in shards]
    return Shards(arrays), np.concatenate(arrays)


@given(lists)
def test_the_length_is_that_of_all_arrays(shards: list[list[int]]) -> None:
    joined, whole = both(shards)
    assert len(joined) == len(whole)


@given(lists, st.none() | st.integers(-35, 35), st.none() | st.integers(-35, 35))
def test_slices_are_those_of_one_array(shards: list[list[int]], start: int | None, stop: int | None) -> None:
    joined, whole = both(shards)
    found = joined[start:stop]
    assert found.dtype == whole.dtype
    np.testing.assert_array_equal(found, whole[start:stop])


@given(lists.filter(lambda shards: sum(map(len, shards)) > 0), st.data())
def test_positions_of_any_shape_are_those_of_one_array(shards: list[list[int]], data: st.DataObject) -> None:
    joined, whole = both(shards)
    shapes = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    inside = st.integers(-len(whole), len(whole) - 1)
    positions = np.asarray(data.draw(npst.arrays(np.int64, shapes, elements=inside)))
    found = joined[positions]
    assert found.dtype == whole.dtype
    np.testing.assert_array_equal(found, whole[positions])


def test_a_position_behind_the_end_is_refused_as_by_one_array() -> None:
    joined, whole = both([[1, 2], [3]])
    for position in (3, -4):
        with pytest.raises(IndexError):
            whole[np.array([position])]
        with pytest.raises(IndexError):
            joined[np.array([position])]


def test_arrays_without_ids_are_an_array_without_ids() -> None:
    joined, whole = both([[], []])
    assert len(joined) == 0
    assert joined[:].dtype == whole.dtype
    assert joined[:5].shape == joined[np.zeros(0, np.int64)].shape == (0,)
