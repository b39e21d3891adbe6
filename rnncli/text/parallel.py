"""One function over many tasks in several processes: results in order, the same for any number."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from rnncli.errors import CorpusError, RnncliError

Task = TypeVar("Task")
Result = TypeVar("Result")
# A process that always has a second task waiting never stands still.
_TASKS_AHEAD = 2


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(work: Callable[[Task], Result], tasks: Iterable[Task], workers: int) -> Iterator[Result]:
    """work(task) for each task, in order; `work` and tasks are picklable.

    One worker is this process. Others end when this one ends, however it ends: their pipe closes.
    """
    if workers <= 1:
        yield from map(work, tasks)
        return
    helpers: list[_Helper] = []
    try:
        with _blocked_signals():
            for _ in range(workers):
                helpers.append(_Helper(work))
        waiting: deque[_Helper] = deque()
        for number, task in enumerate(tasks):
            if len(waiting) >= workers * _TASKS_AHEAD:
                yield waiting.popleft().result()
            helper = helpers[number % workers]
            helper.give(task)
            waiting.append(helper)
        for helper in waiting:
            yield helper.result()
    finally:
        for helper in helpers:
            helper.close()


class _Helper:
    """Another process, at the far end of a pipe."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of torch's threads
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(far_end, work), daemon=True)
        self._process.start()
        far_end.close()

    def give(self, task: Any) -> None:
        try:
            self._pipe.send(task)
        except OSError as error:
            raise _gone() from error

    def result(self) -> Any:
        try:
            error, result = self._pipe.recv()
        except (EOFError, OSError) as failure:
            raise _gone() from failure
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Signals are for this process to answer, when its helpers are there to be ended.

    Those begun meanwhile inherit that they are blocked.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # as a process of its own it would unblock them when it starts
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _serve(pipe: Connection, work: Callable[[Any], Any]) -> None:
    """Tasks are taken in while others are worked on: two ends that both write would wait for each other."""
    tasks: SimpleQueue[list[Any]] = SimpleQueue()
    Thread(target=_take_in, args=(pipe, tasks), daemon=True).start()
    while task := tasks.get():
        try:
            answer: tuple[Exception | None, Any] = None, work(task[0])
        except Exception as error:  # handed on: it is raised again where the result is awaited
            answer = error, None
        try:
            pipe.send(answer)
        except OSError:  # nobody waits any more
            return


def _take_in(pipe: Connection, tasks: "SimpleQueue[list[Any]]") -> None:
    """Each as a list of one; an empty one when the other end is gone."""
    with suppress(EOFError, OSError):
        while True:
            tasks.put([pipe.recv()])
    tasks.put([])


def _gone() -> RnncliError:
    return CorpusError(
        "a worker process ended before its work was done, perhaps for lack of memory",
        hint="try --workers 1",
    )
