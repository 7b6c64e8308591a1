"""Parallel calls with results in order."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    work: Callable[[T], R], items: Iterable[T], *, at_once: int
) -> Generator[tuple[T, Callable[[], R]], None, None]:
    """Yield each item, in order, with a function that returns the result of its call or raises its error.

    at_once: number of parallel calls. With 1, each is made when its result is requested, in the caller's
        thread. With more, as many again may be finished and wait for their turn.

    Stopping early doesn't wait for running calls.
    """
    if at_once == 1:
        for item in items:
            yield item, partial(work, item)
        return
    tasks: SimpleQueue[tuple[T, Future[R]] | None] = SimpleQueue()
    stopped = threading.Event()

    def go_on() -> None:
        while (task := tasks.get()) is not None and not stopped.is_set():
            item, future = task
            try:
                future.set_result(work(item))
            except BaseException as error:  # raised by `result`
                future.set_exception(error)

    # Not an executor: Python waits for its threads at exit, and Ctrl-C must not wait for a server.
    for _ in range(at_once):
        threading.Thread(target=go_on, daemon=True).start()
    begun: deque[tuple[T, Future[R]]] = deque()
    try:
        for item in items:
            if len(begun) == 2 * at_once:
                first, future = begun.popleft()
                yield first, future.result
            begun.append((item, Future()))
            tasks.put(begun[-1])
        while begun:
            first, future = begun.popleft()
            yield first, future.result
    finally:
        stopped.set()
        for _ in range(at_once):
            tasks.put(None)
