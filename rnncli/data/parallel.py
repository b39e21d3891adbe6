"""Ordered parallel map: results in the order of the tasks, the same for any number of processes."""

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
# With a second task waiting, a process is never idle.
_TASKS_AHEAD = 2


def ordered_map(work: Callable[[Task], Result], tasks: Iterable[Task], workers: int) -> Iterator[Result]:
    """Yield work(task) for each task, in order.

    Args:
        work: A picklable function.
        tasks: Picklable arguments.
        workers: Number of processes; 1 works in this process. They end when this process ends, however it
            ends, because their pipe closes.

    Raises:
        CorpusError: A process ended early. What `work` raises is raised here.
    """
    if workers <= 1:
        yield from map(work, tasks)
        return
    processes: list[_WorkerProcess] = []
    try:
        with runtime.blocked_signals():  # handled here once the processes exist and can be ended
            for _ in range(workers):
                processes.append(_WorkerProcess(work))
        waiting: deque[_WorkerProcess] = deque()
        for number, task in enumerate(tasks):
            if len(waiting) >= workers * _TASKS_AHEAD:
                yield waiting.popleft().result()
            process = processes[number % workers]
            process.send(task)
            waiting.append(process)
        for process in waiting:
            yield process.result()
    finally:
        for process in processes:
            process.close()


class _WorkerProcess:
    """Another process, connected by a pipe."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        context = multiprocessing.get_context("spawn")  # fork would copy the locks of torch's threads
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(far_end, work), daemon=True)
        self._process.start()
        far_end.close()

    def send(self, task: Any) -> None:
        try:
            self._pipe.send(task)
        except OSError as error:
            raise _ended_early() from error

    def result(self) -> Any:
        try:
            error, result = self._pipe.recv()
        except (EOFError, OSError) as failure:
            raise _ended_early() from failure
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection, work: Callable[[Any], Any]) -> None:
    """Receive tasks in a thread while working: two ends that both write would wait for each other."""
    runtime.ignore_ctrl_c()
    tasks: SimpleQueue[list[Any]] = SimpleQueue()
    Thread(target=_receive, args=(pipe, tasks), daemon=True).start()
    while task := tasks.get():
        try:
            answer: tuple[Exception | None, Any] = None, work(task[0])
        except Exception as error:  # raised again where the result is awaited
            answer = error, None
        try:
            pipe.send(answer)
        except OSError:  # nobody waits for it any more
            return


def _receive(pipe: Connection, tasks: "SimpleQueue[list[Any]]") -> None:
    """Put each task into the queue as a list of one; an empty list when the other end is closed."""
    with suppress(EOFError, OSError):
        while True:
            tasks.put([pipe.recv()])
    tasks.put([])


def _ended_early() -> RnncliError:
    return CorpusError(
        "a worker process ended before it was done, perhaps because memory ran out",
        hint="try --workers 1",
    )
