"""One function over many tasks in several processes: results in order, the same for any number."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from rnncli import runtime
from rnncli.errors import CorpusError, RnncliError

Task = TypeVar("Task")
Result = TypeVar("Result")
# A process that always has a second task waiting never stands still.
_TASKS_AHEAD = 2


def ordered_map(work: Callable[[Task], Result], tasks: Iterable[Task], workers: int) -> Iterator[Result]:
    """work(task) for each task, in order; `work` and tasks are picklable.

    One worker is this process. Others end when this one ends, however it ends: their pipe closes.
    """
    if workers <= 1:
        yield from map(work, tasks)
        return
    helpers: list[_Helper] = []
    try:
        with runtime.blocked_signals():  # they are for this process to answer, once it can end its helpers
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


def _serve(pipe: Connection, work: Callable[[Any], Any]) -> None:
    """Tasks are taken in while others are worked on: two ends that both write would wait for each other."""
    runtime.ignore_ctrl_c()
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
