"""Every line is a sample of its own: whole, once an epoch, and beside no other in a row."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.batching import PADDING, Window
from rnncli.data.lines import LENGTH_STEP, Lines, line_bounds, line_starts
from rnncli.data.shards import Shards
from rnncli.errors import CorpusError

END = 7
START = 99_999


def ids_of(lengths: list[int]) -> np.ndarray:
    """Lines of so many ids, their ends included; every other id is a number of its own."""
    ids = np.arange(1000, 1000 + sum(lengths), dtype=np.uint32)
    ids[np.cumsum(lengths) - 1] = END
    return ids


def lines_of(lengths: list[int], batch_size: int, bptt: int) -> Lines:
    starts = np.cumsum([0, *lengths[:-1]]).astype("<u8")
    return Lines(ids_of(lengths), starts, START, batch_size, bptt)


def rows_of(window: Window) -> list[tuple[int, tuple[int, ...]]]:
    """Of each row the input before its first target, and its targets without padding."""
    return [
        (int(before), tuple(row[row != PADDING].tolist()))
        for before, row in zip(window.inputs[:, 0], window.targets, strict=True)
    ]


def epoch_of(lines: Lines, epoch: int) -> list[tuple[int, tuple[int, ...]]]:
    first = epoch * lines.windows_per_epoch
    return [row for k in range(lines.windows_per_epoch) for row in rows_of(lines[first + k])]


def stretches_of(lines: Lines) -> list[tuple[int, tuple[int, ...]]]:
    ids, found = lines.ids[:].tolist(), []
    starts = lines.line_starts.astype(int).tolist()
    for begin, end in zip(starts, [*starts[1:], len(ids)], strict=True):
        for at in range(begin, end, lines.bptt):
            before = START if at == begin else ids[at - 1]
            found.append((before, tuple(ids[at : min(at + lines.bptt, end)])))
    return found


lengths = st.lists(st.integers(1, 30), min_size=1, max_size=40)


@st.composite
def some_lines(draw: st.DrawFn) -> Lines:
    chosen = draw(lengths)
    return lines_of(chosen, draw(st.integers(1, len(chosen))), draw(st.integers(1, 35)))


def test_the_drawing_at_the_top_of_the_module_is_true() -> None:
    ids = np.frombuffer(b"emma\nava\n", np.uint8)
    window = Lines(ids, line_starts(ids, ord("\n")), START, batch_size=2, bptt=9)[0]
    by_length = np.argsort(-np.count_nonzero(window.targets != PADDING, axis=1))
    assert window.targets[by_length, :5].tolist() == [[*b"emma\n"], [*b"ava\n", PADDING]]
    assert window.inputs[by_length, :5].tolist() == [[START, *b"emma"], [START, *b"ava\n"]]
    assert (window.targets[:, 5:] == PADDING).all()


@given(some_lines(), st.integers(0, 200))
def test_a_window_depends_on_its_number_alone(lines: Lines, k: int) -> None:
    again = Lines(lines.ids, lines.line_starts, START, lines.batch_size, lines.bptt)
    expected = lines[k]
    for other in (k + 1, 0, 3 * k):
        _ = again[other]
    window = again[k]
    np.testing.assert_array_equal(window.inputs, expected.inputs)
    np.testing.assert_array_equal(window.targets, expected.targets)
    np.testing.assert_array_equal(window.fresh, expected.fresh)


@given(some_lines(), st.integers(0, 9))
def test_an_epoch_has_whole_lines_or_stretches_of_long_ones_and_none_twice(lines: Lines, epoch: int) -> None:
    read, all_of_them = Counter(epoch_of(lines, epoch)), Counter(stretches_of(lines))
    assert read <= all_of_them
    assert read.total() == all_of_them.total() // lines.batch_size * lines.batch_size


@given(lengths, st.integers(1, 35), st.integers(0, 9), st.data())
def test_every_line_is_read_once_an_epoch_when_the_batch_divides_them(
    chosen: list[int], bptt: int, epoch: int, data: st.DataObject
) -> None:
    stretches = sum(-(-length // bptt) for length in chosen)
    fitting = [size for size in range(1, len(chosen) + 1) if stretches % size == 0]
    lines = lines_of(chosen, data.draw(st.sampled_from(fitting)), bptt)
    assert Counter(epoch_of(lines, epoch)) == Counter(stretches_of(lines))


def test_many_batches_read_every_line_once_an_epoch() -> None:
    chosen = np.random.default_rng(3).integers(1, 50, 4 * 200).tolist()
    lines = lines_of(chosen, 4, 20)
    for epoch in (0, 1, 7):
        read = Counter(epoch_of(lines, epoch))
        missing = Counter(stretches_of(lines)) - read
        assert read.most_common(1)[0][1] == 1 or max(Counter(stretches_of(lines)).values()) > 1
        assert missing.total() == len(stretches_of(lines)) % 4


def test_lines_that_wait_are_read_in_a_later_epoch() -> None:
    lines = lines_of([3] * 11, batch_size=4, bptt=9)
    read = {row for epoch in range(20) for row in epoch_of(lines, epoch)}
    assert read == set(stretches_of(lines))


def test_epochs_have_another_order() -> None:
    lines = lines_of([3] * 64, batch_size=4, bptt=9)
    assert epoch_of(lines, 0) != epoch_of(lines, 1)
    assert sorted(epoch_of(lines, 0)) == sorted(epoch_of(lines, 1))


@given(some_lines(), st.integers(0, 200))
def test_inputs_are_the_targets_one_step_late(lines: Lines, k: int) -> None:
    window = lines[k]
    assert window.inputs.dtype == window.targets.dtype == np.int64
    follows = window.targets[:, 1:] != PADDING
    np.testing.assert_array_equal(window.inputs[:, 1:][follows], window.targets[:, :-1][follows])
    assert (window.inputs >= 0).all()
    assert window.fresh.all()
    assert window.tokens == np.count_nonzero(window.targets != PADDING)


@given(some_lines(), st.integers(0, 200))
def test_padding_stands_at_the_ends_of_rows_alone(lines: Lines, k: int) -> None:
    is_padding = lines[k].targets == PADDING
    assert not is_padding[:, 0].any()
    assert (np.diff(is_padding.astype(int), axis=1) >= 0).all()


@given(some_lines(), st.integers(0, 200))
def test_a_window_is_no_wider_than_its_longest_row_needs(lines: Lines, k: int) -> None:
    window = lines[k]
    longest = max(len(row) for _, row in rows_of(window))
    assert window.targets.shape == window.inputs.shape
    assert window.targets.shape[0] == lines.batch_size
    assert window.targets.shape[1] % LENGTH_STEP == 0
    assert longest <= window.targets.shape[1] < longest + LENGTH_STEP


def test_lines_of_a_batch_are_about_equally_long() -> None:
    chosen = np.random.default_rng(5).integers(1, 64, 32 * 8).tolist()
    lines = lines_of(chosen, batch_size=8, bptt=64)
    cells = sum(lines[k].targets.size for k in range(lines.windows_per_epoch))
    assert cells < 1.3 * sum(chosen)


@given(lengths)
def test_lines_in_shards_are_the_lines_of_one_array(chosen: list[int]) -> None:
    whole = lines_of(chosen, 1, 10)
    cut = len(whole.ids) // 2
    joined = Lines(Shards([whole.ids[:cut], whole.ids[cut:]]), whole.line_starts, START, 1, 10)
    for k in range(whole.windows_per_epoch):
        assert rows_of(joined[k]) == rows_of(whole[k])


def test_fewer_lines_than_a_batch_are_refused_with_the_numbers() -> None:
    with pytest.raises(CorpusError, match="has 3 lines, and a batch 4") as caught:
        lines_of([5, 5, 5], batch_size=4, bptt=9)
    assert "--batch-size 3" in caught.value.hint
    assert lines_of([5, 5, 5], batch_size=3, bptt=9).windows_per_epoch == 1


@given(st.lists(st.sampled_from([1, 2, END]), max_size=12))
def test_lines_begin_behind_line_ends(values: list[int]) -> None:
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
