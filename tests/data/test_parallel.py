"""Several processes give the same results in the same order as one, and the same errors."""

import multiprocessing
import operator
import os
from functools import partial

import pytest

from rnncli.data.parallel import ordered_map
from rnncli.data.tokenizers.base import ByteTokenizer
from rnncli.errors import CorpusError, TokenizerError

# What other processes do is named in rnncli or in Python itself: they cannot see this file.


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_results_come_in_the_order_of_the_tasks(workers: int) -> None:
    # The first tasks take longest.
    tasks = [[number] * (200_000 // (number + 1)) for number in range(20)]
    assert list(ordered_map(len, tasks, workers)) == [len(task) for task in tasks]
    assert multiprocessing.active_children() == []


def test_large_tasks_with_large_results_do_not_wait_for_each_other() -> None:
    """Both ends of a pipe would write at once."""
    tasks = [bytes(1_000_000)] * 6
    assert [len(result) for result in ordered_map(bytes, tasks, 2)] == [1_000_000] * 6


def test_no_tasks_have_no_results() -> None:
    assert list(ordered_map(len, [], 1)) == list(ordered_map(len, [], 2)) == []


def test_the_work_is_done_elsewhere_and_shared() -> None:
    at_work = set(ordered_map(eval, ["__import__('os').getpid()"] * 8, 2))
    assert len(at_work) == 2
    assert os.getpid() not in at_work
    assert set(ordered_map(eval, ["__import__('os').getpid()"], 1)) == {os.getpid()}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_is_raised_here_with_its_hint_when_its_turn_comes(workers: int) -> None:
    results = ordered_map(ByteTokenizer().encode, ["a", "bc", "d\ud800", "e"], workers)
    assert [len(next(results)), len(next(results))] == [1, 2]
    with pytest.raises(TokenizerError, match=r"U\+D800, at character 1") as caught:
        next(results)
    assert caught.value.hint == "a lone surrogate is half of a character; use whole characters"
    assert multiprocessing.active_children() == []


def test_an_error_of_any_other_kind_keeps_its_kind() -> None:
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(partial(operator.truediv, 1), [1, 0, 1], 2))


def test_a_process_that_dies_is_an_error_that_has_a_hint() -> None:
    with pytest.raises(CorpusError, match="a worker process ended before it was done") as caught:
        list(ordered_map(os._exit, range(20), 2))
    assert "--workers 1" in caught.value.hint
    assert multiprocessing.active_children() == []


def test_an_early_close_ends_the_processes() -> None:
    results = ordered_map(abs, range(-1000, 0), 2)
    assert next(results) == 1000
    assert len(multiprocessing.active_children()) == 2
    results.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []
