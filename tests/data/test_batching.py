"""Batches depend on their number alone, continue each row, and leave no id out forever."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.batching import RESET_INTERVAL, Batch, StreamBatches
from rnncli.errors import CorpusError

BOS = 65


def batches_over(length: int, batch_size: int, bptt: int) -> StreamBatches:
    return StreamBatches(np.arange(length, dtype=np.uint16), BOS, batch_size, bptt)


def epoch_of(batches: StreamBatches, epoch: int) -> list[Batch]:
    first = epoch * batches.batches_per_epoch
    return [batches[first + number] for number in range(batches.batches_per_epoch)]


shapes = st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(0, 40)).map(
    lambda shape: batches_over(shape[0] * shape[1] + shape[2], shape[0], shape[1])
)


def test_the_example_in_the_module_docstring_is_correct() -> None:
    ids = np.frombuffer(b"abcdefghi", np.uint8)
    batch = StreamBatches(ids, BOS, batch_size=2, bptt=4)[0]
    assert [bytes(row.astype(np.uint8)) for row in batch.targets] == [b"abcd", b"efgh"]
    assert [bytes(row.astype(np.uint8)) for row in batch.inputs] == [b"Aabc", b"Aefg"]


def test_an_id_that_is_left_over_is_read_in_the_next_epoch() -> None:
    ids = np.frombuffer(b"abcdefghi", np.uint8)
    batch = StreamBatches(ids, BOS, batch_size=2, bptt=4)[1]
    assert [bytes(row.astype(np.uint8)) for row in batch.targets] == [b"bcde", b"fghi"]


@given(shapes, st.integers(0, 200))
def test_a_batch_depends_on_its_number_alone(batches: StreamBatches, k: int) -> None:
    again = StreamBatches(batches.ids.copy(), batches.bos_id, batches.batch_size, batches.bptt)
    expected = batches[k]
    for other in (k + 1, 0, 3 * k):
        _ = again[other]
    batch = again[k]
    np.testing.assert_array_equal(batch.inputs, expected.inputs)
    np.testing.assert_array_equal(batch.targets, expected.targets)
    np.testing.assert_array_equal(batch.reset, expected.reset)


@given(shapes, st.integers(0, 200))
def test_targets_are_the_inputs_one_step_ahead(batches: StreamBatches, k: int) -> None:
    batch = batches[k]
    assert batch.inputs.shape == batch.targets.shape == (batches.batch_size, batches.bptt)
    assert batch.inputs.dtype == batch.targets.dtype == np.int64
    np.testing.assert_array_equal(batch.inputs[:, 1:], batch.targets[:, :-1])
    # The ids count up, so within a row each is one more than the one before.
    np.testing.assert_array_equal(np.diff(batch.targets, axis=1), 1)


@given(shapes, st.integers(0, 20))
def test_batches_continue_every_row_that_is_not_reset(batches: StreamBatches, epoch: int) -> None:
    batches_read = epoch_of(batches, epoch)
    for before, after in pairwise(batches_read):
        continued = ~after.reset
        np.testing.assert_array_equal(after.inputs[continued, 0], before.targets[continued, -1])
        np.testing.assert_array_equal(after.targets[:, 0], before.targets[:, -1] + 1)


@given(shapes, st.integers(0, 20))
def test_every_row_is_reset_when_an_epoch_begins(batches: StreamBatches, epoch: int) -> None:
    first, *_ = epoch_of(batches, epoch)
    assert first.reset.all()


@given(shapes, st.integers(0, 200))
def test_a_reset_row_begins_with_bos_and_no_other_does(batches: StreamBatches, k: int) -> None:
    batch = batches[k]
    np.testing.assert_array_equal(batch.inputs[:, 0] == BOS, batch.reset)
    assert not (batch.inputs[:, 1:] == BOS).any() or BOS in batches.ids


def test_half_of_the_rows_are_reset_in_turn_and_half_continue() -> None:
    batches = StreamBatches(np.zeros(8 * 3 * RESET_INTERVAL, np.uint8), BOS, batch_size=4, bptt=2)
    reset = np.array([batches[k].reset for k in range(1, 1 + 2 * RESET_INTERVAL)])
    assert reset.sum(axis=0).tolist() == [2, 2, 0, 0]
    assert reset.sum(axis=1).max() == 1, "one at a time"


def test_a_single_row_continues() -> None:
    batches = StreamBatches(np.zeros(3 * RESET_INTERVAL, np.uint8), BOS, batch_size=1, bptt=1)
    assert not any(batches[k].reset.any() for k in range(1, 3 * RESET_INTERVAL))


@given(shapes, st.integers(0, 20))
def test_an_epoch_reads_no_id_twice_and_as_many_as_fit(batches: StreamBatches, epoch: int) -> None:
    read = np.concatenate([batch.targets for batch in epoch_of(batches, epoch)], axis=None)
    batch_tokens = batches.batch_size * batches.bptt
    assert len(np.unique(read)) == len(read) == len(batches.ids) // batch_tokens * batch_tokens


@given(shapes)
def test_the_first_epoch_begins_with_the_text(batches: StreamBatches) -> None:
    assert batches[0].targets[0, 0] == 0


@pytest.mark.parametrize("left_over", [1, 2, 3, 5, 11])
def test_every_id_is_a_target_within_a_few_epochs(left_over: int) -> None:
    batches = batches_over(24 + left_over, batch_size=3, bptt=4)
    read: set[int] = set()
    for epoch in range(3 * (left_over + 1)):
        for batch in epoch_of(batches, epoch):
            read.update(batch.targets.ravel().tolist())
    assert read == set(range(24 + left_over))


def test_epochs_do_not_all_begin_at_the_same_position() -> None:
    batches = batches_over(24 + 11, batch_size=3, bptt=4)
    offsets = {int(epoch_of(batches, epoch)[0].targets[0, 0]) for epoch in range(8)}
    assert len(offsets) >= 6


def test_every_epoch_is_the_whole_text_if_all_ids_fit() -> None:
    batches = batches_over(24, batch_size=3, bptt=4)
    for epoch in range(5):
        assert epoch_of(batches, epoch)[0].targets[0, 0] == 0


def test_ids_of_four_bytes_are_read_whole() -> None:
    ids = np.array([2**32 - 1, 70_000, 5, 2**31], np.uint32)
    batch = StreamBatches(ids, bos_id=2**32, batch_size=1, bptt=4)[0]
    assert batch.inputs.tolist() == [[2**32, 2**32 - 1, 70_000, 5]]
    assert batch.targets.tolist() == [ids.tolist()]


def test_a_text_too_short_for_one_batch_is_refused_with_the_numbers() -> None:
    with pytest.raises(
        CorpusError, match=r"has 1,999 tokens; a batch of 4 rows of 500 needs 2,000$"
    ) as caught:
        batches_over(1999, batch_size=4, bptt=500)
    assert "--bptt 499" in caught.value.hint
    assert batches_over(2000, batch_size=4, bptt=500).batches_per_epoch == 1


@given(st.integers(1, 60), st.integers(1, 8))
def test_the_bptt_that_the_hint_names_works(length: int, batch_size: int) -> None:
    with pytest.raises(CorpusError) as caught:
        batches_over(length, batch_size, bptt=100)
    fitting = int(caught.value.hint.rsplit(" ", 1)[1])
    if length >= batch_size:
        assert batches_over(length, batch_size, fitting).batches_per_epoch >= 1
    assert batches_over(length, 1, fitting).batches_per_epoch >= 1
