"""Line batches hold every line once per epoch, each in a row of its own."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.batching import LENGTH_STEP, PADDING, Batch, LineBatches
from rnncli.data.splits import ConcatenatedIds, line_bounds
from rnncli.data.text_units import line_starts
from rnncli.errors import CorpusError

END = 7
BOS = 99_999


def ids_of(lengths: list[int]) -> np.ndarray:
    """Return lines of these lengths, line ends included; all other ids are distinct."""
    ids = np.arange(1000, 1000 + sum(lengths), dtype=np.uint32)
    ids[np.cumsum(lengths) - 1] = END
    return ids


def lines_of(lengths: list[int], batch_size: int, bptt: int) -> LineBatches:
    starts = np.cumsum([0, *lengths[:-1]]).astype("<u8")
    return LineBatches(ids_of(lengths), line_starts=starts, bos_id=BOS, batch_size=batch_size, bptt=bptt)


def rows_of(batch: Batch) -> list[tuple[int, tuple[int, ...]]]:
    """Return, for each row, the input before its first target and its targets without padding."""
    return [
        (int(before), tuple(row[row != PADDING].tolist()))
        for before, row in zip(batch.inputs[:, 0], batch.targets, strict=True)
    ]


def epoch_of(lines: LineBatches, epoch: int) -> list[tuple[int, tuple[int, ...]]]:
    first = epoch * lines.batches_per_epoch
    return [row for k in range(lines.batches_per_epoch) for row in rows_of(lines[first + k])]


def segments_of(lines: LineBatches) -> list[tuple[int, tuple[int, ...]]]:
    ids, found = lines.ids[:].tolist(), []
    starts = lines.line_starts.astype(int).tolist()
    for begin, end in zip(starts, [*starts[1:], len(ids)], strict=True):
        for at in range(begin, end, lines.bptt):
            before = BOS if at == begin else ids[at - 1]
            found.append((before, tuple(ids[at : min(at + lines.bptt, end)])))
    return found


lengths = st.lists(st.integers(1, 30), min_size=1, max_size=40)


@st.composite
def some_lines(draw: st.DrawFn) -> LineBatches:
    chosen = draw(lengths)
    return lines_of(chosen, draw(st.integers(1, len(chosen))), draw(st.integers(1, 35)))


def test_the_example_in_the_module_docstring_is_correct() -> None:
    ids = np.frombuffer(b"emma\nava\n", np.uint8)
    batch = LineBatches(ids, line_starts=line_starts(ids, ord("\n")), bos_id=BOS, batch_size=2, bptt=9)[0]
    by_length = np.argsort(-np.count_nonzero(batch.targets != PADDING, axis=1))
    assert batch.targets[by_length, :5].tolist() == [[*b"emma\n"], [*b"ava\n", PADDING]]
    assert batch.inputs[by_length, :5].tolist() == [[BOS, *b"emma"], [BOS, *b"ava\n"]]
    assert (batch.targets[:, 5:] == PADDING).all()


@given(some_lines(), st.integers(0, 200))
def test_a_batch_depends_on_its_number_alone(lines: LineBatches, k: int) -> None:
    again = replace(lines, ids=lines.ids.copy())
    expected = lines[k]
    for other in (k + 1, 0, 3 * k):
        _ = again[other]
    batch = again[k]
    np.testing.assert_array_equal(batch.inputs, expected.inputs)
    np.testing.assert_array_equal(batch.targets, expected.targets)
    np.testing.assert_array_equal(batch.reset, expected.reset)


@given(some_lines(), st.integers(0, 9))
def test_an_epoch_has_whole_lines_or_segments_of_long_ones_and_none_twice(
    lines: LineBatches, epoch: int
) -> None:
    read, all_of_them = Counter(epoch_of(lines, epoch)), Counter(segments_of(lines))
    assert read <= all_of_them
    assert read.total() == all_of_them.total() // lines.batch_size * lines.batch_size


@given(lengths, st.integers(1, 35), st.integers(0, 9), st.data())
def test_every_line_is_read_once_an_epoch_when_the_batch_divides_them(
    chosen: list[int], bptt: int, epoch: int, data: st.DataObject
) -> None:
    segments = sum(-(-length // bptt) for length in chosen)
    fitting = [size for size in range(1, len(chosen) + 1) if segments % size == 0]
    lines = lines_of(chosen, data.draw(st.sampled_from(fitting)), bptt)
    assert Counter(epoch_of(lines, epoch)) == Counter(segments_of(lines))


def test_many_batches_read_every_line_once_an_epoch() -> None:
    chosen = np.random.default_rng(3).integers(1, 50, 4 * 200).tolist()
    lines = lines_of(chosen, 4, 20)
    for epoch in (0, 1, 7):
        read = Counter(epoch_of(lines, epoch))
        missing = Counter(segments_of(lines)) - read
        assert read.most_common(1)[0][1] == 1 or max(Counter(segments_of(lines)).values()) > 1
        assert missing.total() == len(segments_of(lines)) % 4


def test_lines_that_are_left_over_are_read_in_a_later_epoch() -> None:
    lines = lines_of([3] * 11, batch_size=4, bptt=9)
    read = {row for epoch in range(20) for row in epoch_of(lines, epoch)}
    assert read == set(segments_of(lines))


def test_epochs_have_another_order() -> None:
    lines = lines_of([3] * 64, batch_size=4, bptt=9)
    assert epoch_of(lines, 0) != epoch_of(lines, 1)
    assert sorted(epoch_of(lines, 0)) == sorted(epoch_of(lines, 1))


@given(some_lines(), st.integers(0, 200))
def test_inputs_are_the_targets_one_step_late(lines: LineBatches, k: int) -> None:
    batch = lines[k]
    assert batch.inputs.dtype == batch.targets.dtype == np.int64
    follows = batch.targets[:, 1:] != PADDING
    np.testing.assert_array_equal(batch.inputs[:, 1:][follows], batch.targets[:, :-1][follows])
    assert (batch.inputs >= 0).all()
    assert batch.reset.all()
    assert batch.tokens == np.count_nonzero(batch.targets != PADDING)


@given(some_lines(), st.integers(0, 200))
def test_padding_stands_at_the_ends_of_rows_alone(lines: LineBatches, k: int) -> None:
    is_padding = lines[k].targets == PADDING
    assert not is_padding[:, 0].any()
    assert (np.diff(is_padding.astype(int), axis=1) >= 0).all()


@given(some_lines(), st.integers(0, 200))
def test_a_batch_is_no_longer_than_its_longest_row_needs(lines: LineBatches, k: int) -> None:
    batch = lines[k]
    longest = max(len(row) for _, row in rows_of(batch))
    assert batch.targets.shape == batch.inputs.shape
    assert batch.targets.shape[0] == lines.batch_size
    assert batch.targets.shape[1] % LENGTH_STEP == 0
    assert longest <= batch.targets.shape[1] < longest + LENGTH_STEP


def test_lines_of_a_batch_are_about_equally_long() -> None:
    chosen = np.random.default_rng(5).integers(1, 64, 32 * 8).tolist()
    lines = lines_of(chosen, batch_size=8, bptt=64)
    cells = sum(lines[k].targets.size for k in range(lines.batches_per_epoch))
    assert cells < 1.3 * sum(chosen)


@given(lengths)
def test_lines_in_concatenated_arrays_are_the_lines_of_one_array(chosen: list[int]) -> None:
    whole = lines_of(chosen, 1, 10)
    cut = len(whole.ids) // 2
    joined = replace(whole, ids=ConcatenatedIds([whole.ids[:cut], whole.ids[cut:]]))
    for k in range(whole.batches_per_epoch):
        assert rows_of(joined[k]) == rows_of(whole[k])


def test_fewer_lines_than_a_batch_are_refused_with_the_numbers() -> None:
    with pytest.raises(CorpusError, match="has 3 lines; a batch needs 4") as caught:
        lines_of([5, 5, 5], batch_size=4, bptt=9)
    assert "--batch-size 3" in caught.value.hint
    assert lines_of([5, 5, 5], batch_size=3, bptt=9).batches_per_epoch == 1


@given(st.lists(st.sampled_from([1, 2, END]), max_size=12))
def test_lines_begin_after_line_ends(values: list[int]) -> None:
    ids = np.array(values, np.uint8)
    text = "".join("\n" if value == END else str(value) for value in values)
    expected, at = [], 0
    for line in text.splitlines(keepends=True) or [""]:
        expected.append(at)
        at += len(line)
    assert line_starts(ids, END).tolist() == expected


@given(lengths)
def test_the_bounds_of_lines_are_where_they_begin_and_end(chosen: list[int]) -> None:
    lines = lines_of(chosen, 1, 9)
    begins, sizes = line_bounds(lines.ids, lines.line_starts, np.arange(len(chosen)))
    assert sizes.tolist() == chosen
    assert begins.tolist() == lines.line_starts.tolist()
