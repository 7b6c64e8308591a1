"""Work ahead of its turn: at most so much at once, in order, and nobody waits for what nobody wants."""

import threading
from collections.abc import Callable
from itertools import count, islice

import pytest

from flask_detector.cli.prefetch import in_order


def outcomes(work: Callable[[int], int], number: int, at_once: int) -> list[int]:
    return [outcome() for _, outcome in in_order(work, range(number), at_once=at_once)]


@pytest.mark.parametrize("at_once", [1, 3, 20])
def test_outcomes_come_in_order_with_their_items(at_once: int) -> None:
    found = [(item, outcome()) for item, outcome in in_order(lambda n: n * n, range(9), at_once=at_once)]
    assert found == [(n, n * n) for n in range(9)]
    assert outcomes(lambda n: n, 0, at_once) == []


def test_so_many_are_at_work_together_and_no_more() -> None:
    together = threading.Barrier(3)
    at_work, most, lock = set[int](), [0], threading.Lock()

    def work(n: int) -> int:
        with lock:
            at_work.add(n)
            most.append(len(at_work))
        together.wait(30)  # broken, and so an error, unless three come
        with lock:
            at_work.remove(n)
        return n

    assert outcomes(work, 12, 3) == list(range(12))
    assert max(most) == 3


def test_one_at_a_time_is_done_in_the_callers_thread_when_it_is_asked_for() -> None:
    threads: list[int] = []
    pairs = in_order(lambda _: threads.append(threading.get_ident()), range(5), at_once=1)
    _, outcome = next(pairs)
    assert threads == []
    outcome()
    assert threads == [threading.get_ident()]


def test_no_more_is_taken_ahead_than_is_bounded() -> None:
    taken = count()
    pairs = in_order(lambda n: n, (next(taken) for _ in range(100)), at_once=2)
    assert [outcome() for _, outcome in islice(pairs, 3)] == [0, 1, 2]
    assert next(taken) <= 7


def test_an_error_is_raised_in_its_turn_and_the_others_still_come() -> None:
    def work(n: int) -> int:
        return 6 // (n - 1)

    told = []
    for _, outcome in in_order(work, range(4), at_once=2):
        try:
            told.append(outcome())
        except ZeroDivisionError:
            told.append(0)
    assert told == [-6, 0, 6, 3]


def test_whoever_stops_waits_for_nothing_and_nothing_new_is_begun() -> None:
    hold, begun = threading.Event(), list[int]()

    def work(n: int) -> int:
        begun.append(n)
        if n:
            assert hold.wait(30)
        return n

    others = set(threading.enumerate())
    pairs = in_order(work, range(50), at_once=2)
    _, outcome = next(pairs)
    assert outcome() == 0
    pairs.close()
    at_work = set(threading.enumerate()) - others
    assert at_work  # held, and so waited for by nobody
    hold.set()
    for thread in at_work:
        thread.join(30)
        assert not thread.is_alive()
    assert len(begun) <= 3
