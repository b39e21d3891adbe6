"""Windows depend on their number alone, continue each lane, and leave no id out for ever."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.batching import RESTART, Lanes, Window
from rnncli.errors import CorpusError

START = 65


def lanes_over(length: int, batch_size: int, bptt: int) -> Lanes:
    return Lanes(np.arange(length, dtype=np.uint16), START, batch_size, bptt)


def epoch_of(lanes: Lanes, epoch: int) -> list[Window]:
    first = epoch * lanes.windows_per_epoch
    return [lanes[first + window] for window in range(lanes.windows_per_epoch)]


shapes = st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(0, 40)).map(
    lambda shape: lanes_over(shape[0] * shape[1] + shape[2], shape[0], shape[1])
)


def test_the_drawing_at_the_top_of_the_module_is_true() -> None:
    ids = np.frombuffer(b"abcdefghi", np.uint8)
    window = Lanes(ids, START, batch_size=2, bptt=4)[0]
    assert [bytes(row.astype(np.uint8)) for row in window.targets] == [b"abcd", b"efgh"]
    assert [bytes(row.astype(np.uint8)) for row in window.inputs] == [b"Aabc", b"Aefg"]


def test_the_one_that_waits_is_read_in_the_next_epoch() -> None:
    ids = np.frombuffer(b"abcdefghi", np.uint8)
    window = Lanes(ids, START, batch_size=2, bptt=4)[1]
    assert [bytes(row.astype(np.uint8)) for row in window.targets] == [b"bcde", b"fghi"]


@given(shapes, st.integers(0, 200))
def test_a_window_depends_on_its_number_alone(lanes: Lanes, k: int) -> None:
    again = Lanes(lanes.ids.copy(), lanes.start, lanes.batch_size, lanes.bptt)
    expected = lanes[k]
    for other in (k + 1, 0, 3 * k):
        _ = again[other]
    window = again[k]
    np.testing.assert_array_equal(window.inputs, expected.inputs)
    np.testing.assert_array_equal(window.targets, expected.targets)
    np.testing.assert_array_equal(window.fresh, expected.fresh)


@given(shapes, st.integers(0, 200))
def test_targets_are_the_inputs_one_step_ahead(lanes: Lanes, k: int) -> None:
    window = lanes[k]
    assert window.inputs.shape == window.targets.shape == (lanes.batch_size, lanes.bptt)
    assert window.inputs.dtype == window.targets.dtype == np.int64
    np.testing.assert_array_equal(window.inputs[:, 1:], window.targets[:, :-1])
    # The ids count up, so within a lane the next one is one more.
    np.testing.assert_array_equal(np.diff(window.targets, axis=1), 1)


@given(shapes, st.integers(0, 20))
def test_windows_continue_every_lane_that_is_not_fresh(lanes: Lanes, epoch: int) -> None:
    windows = epoch_of(lanes, epoch)
    for before, after in pairwise(windows):
        goes_on = ~after.fresh
        np.testing.assert_array_equal(after.inputs[goes_on, 0], before.targets[goes_on, -1])
        np.testing.assert_array_equal(after.targets[:, 0], before.targets[:, -1] + 1)


@given(shapes, st.integers(0, 20))
def test_every_lane_is_fresh_when_an_epoch_begins(lanes: Lanes, epoch: int) -> None:
    first, *_ = epoch_of(lanes, epoch)
    assert first.fresh.all()


@given(shapes, st.integers(0, 200))
def test_a_fresh_lane_begins_with_the_start_id_and_no_other_does(lanes: Lanes, k: int) -> None:
    window = lanes[k]
    np.testing.assert_array_equal(window.inputs[:, 0] == START, window.fresh)
    assert not (window.inputs[:, 1:] == START).any() or START in lanes.ids


def test_half_of_the_lanes_take_turns_to_restart_and_half_go_on() -> None:
    lanes = Lanes(np.zeros(8 * 3 * RESTART, np.uint8), START, batch_size=4, bptt=2)
    fresh = np.array([lanes[k].fresh for k in range(1, 1 + 2 * RESTART)])
    assert fresh.sum(axis=0).tolist() == [2, 2, 0, 0]
    assert fresh.sum(axis=1).max() == 1, "one at a time"


def test_a_single_lane_goes_on() -> None:
    lanes = Lanes(np.zeros(3 * RESTART, np.uint8), START, batch_size=1, bptt=1)
    assert not any(lanes[k].fresh.any() for k in range(1, 3 * RESTART))


@given(shapes, st.integers(0, 20))
def test_an_epoch_reads_no_id_twice_and_as_many_as_fit(lanes: Lanes, epoch: int) -> None:
    read = np.concatenate([window.targets for window in epoch_of(lanes, epoch)], axis=None)
    window_size = lanes.batch_size * lanes.bptt
    assert len(np.unique(read)) == len(read) == len(lanes.ids) // window_size * window_size


@given(shapes)
def test_the_first_epoch_begins_with_the_text(lanes: Lanes) -> None:
    assert lanes[0].targets[0, 0] == 0


@pytest.mark.parametrize("waiting", [1, 2, 3, 5, 11])
def test_every_id_is_a_target_within_a_few_epochs(waiting: int) -> None:
    lanes = lanes_over(24 + waiting, batch_size=3, bptt=4)
    read: set[int] = set()
    for epoch in range(3 * (waiting + 1)):
        for window in epoch_of(lanes, epoch):
            read.update(window.targets.ravel().tolist())
    assert read == set(range(24 + waiting))


def test_epochs_do_not_all_cut_at_the_same_places() -> None:
    lanes = lanes_over(24 + 11, batch_size=3, bptt=4)
    offsets = {int(epoch_of(lanes, epoch)[0].targets[0, 0]) for epoch in range(8)}
    assert len(offsets) >= 6


def test_the_whole_text_is_every_epoch_when_nothing_waits() -> None:
    lanes = lanes_over(24, batch_size=3, bptt=4)
    for epoch in range(5):
        assert epoch_of(lanes, epoch)[0].targets[0, 0] == 0


def test_wide_ids_are_read_whole() -> None:
    ids = np.array([2**32 - 1, 70_000, 5, 2**31], np.uint32)
    window = Lanes(ids, start=2**32, batch_size=1, bptt=4)[0]
    assert window.inputs.tolist() == [[2**32, 2**32 - 1, 70_000, 5]]
    assert window.targets.tolist() == [ids.tolist()]


def test_a_text_too_short_for_one_window_is_refused_with_the_numbers() -> None:
    with pytest.raises(CorpusError, match=r"has 1,999 tokens; 4 lanes of 500 need 2,000$") as caught:
        lanes_over(1999, batch_size=4, bptt=500)
    assert "--bptt 499" in caught.value.hint
    assert lanes_over(2000, batch_size=4, bptt=500).windows_per_epoch == 1


@given(st.integers(1, 60), st.integers(1, 8))
def test_the_bptt_that_the_hint_names_works(length: int, batch_size: int) -> None:
    with pytest.raises(CorpusError) as caught:
        lanes_over(length, batch_size, bptt=100)
    fitting = int(caught.value.hint.rsplit(" ", 1)[1])
    if length >= batch_size:
        assert lanes_over(length, batch_size, fitting).windows_per_epoch >= 1
    assert lanes_over(length, 1, fitting).windows_per_epoch >= 1
