"""Threads that do one thing together, then the next: what one does never waits for Python's interpreter lock long."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

Task = Callable[[int], None]


class Crew:
    """`n_threads` threads, the caller's one of them; a task hands over in some microseconds.

    A pool of `concurrent.futures` takes ten times as long, which is much of a fit of a hundred thousand ratings.
    """

    def __init__(self, n_threads: int) -> None:
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._tasks: list[SimpleQueue[Task | None]] = [SimpleQueue() for _ in range(n_threads - 1)]
        self._threads = [
            threading.Thread(target=self._work, args=(number, tasks), daemon=True)
            for number, tasks in enumerate(self._tasks, start=1)
        ]

    def __call__(self, task: Callable[..., None], *arguments: Any) -> None:
        """Run `task(number, *arguments)` once in each thread, numbered from 0; return when all are done.

        Raises: what a task raised.
        """

        def mine(number: int) -> None:
            task(number, *arguments)

        for tasks in self._tasks:
            tasks.put(mine)
        raised = [_attempt(mine, 0), *(self._done.get() for _ in self._tasks)]
        for error in raised:
            if error is not None:
                raise error

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tasks in self._tasks:
            tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, number: int, tasks: "SimpleQueue[Task | None]") -> None:
        while (task := tasks.get()) is not None:
            self._done.put(_attempt(task, number))


def _attempt(task: Task, number: int) -> BaseException | None:
    try:
        task(number)
    except BaseException as error:
        return error
    return None
