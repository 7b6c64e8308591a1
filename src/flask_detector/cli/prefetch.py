"""Work that is begun ahead of its turn: several pieces at once, their outcomes in order."""

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
    """Yield each item with a function that gives what came of it, or raises that; in the items' order.

    at_once: how many pieces of work are done at the same time. With 1 each is done when its outcome is asked
        for, in the caller's thread. With more, as many again may be done and wait for their turn.

    Whoever stops early waits for nothing: what is underway then ends by itself, or with the program.
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
            except BaseException as error:  # it is raised where the outcome is asked for
                future.set_exception(error)

    # Not an executor: at its end Python waits for its threads, and Ctrl-C must not wait for a server.
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
