"""The desk: everything is taken in order, what finds no place is counted, a bad item ends nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from mitm_balancer.ops.desk import Desk


def eventually(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def test_all_is_taken_in_order_also_what_came_before_the_start() -> None:
    taken: list[int] = []
    desk = Desk(taken.append, lambda: None)
    for number in range(300):
        desk.put(number)
    desk.start()
    for number in range(300, 600):
        desk.put(number)

    assert desk.close(5) == 0
    assert taken == list(range(600))


def test_a_put_after_a_rest_wakes_it_again() -> None:
    taken: list[int] = []
    desk = Desk(taken.append, lambda: None)
    desk.start()
    for number in range(5):
        desk.put(number)
        eventually(lambda number=number: taken == list(range(number + 1)))
        time.sleep(0.06)
    desk.close(1)


def test_it_rests_after_each_few() -> None:
    rests: list[int] = []
    taken: list[int] = []
    desk = Desk(taken.append, lambda: rests.append(len(taken)))
    for number in range(250):
        desk.put(number)
    desk.start()
    desk.close(5)

    assert rests == [100, 200, 250]


def test_what_finds_no_place_is_dropped_and_counted() -> None:
    go = threading.Event()
    taken: list[int] = []

    def work(number: int) -> None:
        go.wait(5)
        taken.append(number)

    desk = Desk(work, lambda: None, most=10)
    desk.start()
    desk.put(-1)
    eventually(lambda: not desk._items)  # it is being worked on
    started = time.perf_counter()
    for number in range(25):
        desk.put(number)
    assert time.perf_counter() - started < 0.5, "a full desk made somebody wait"
    assert desk.dropped == 15
    go.set()
    desk.close(5)
    assert taken == [-1, *range(10)]


def test_an_item_that_fails_is_told_and_the_rest_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[int] = []

    def work(number: int) -> None:
        if number == 3:
            raise RuntimeError("a fault of ours")
        taken.append(number)

    desk = Desk(work, lambda: None)
    for number in range(6):
        desk.put(number)
    desk.start()
    desk.close(5)

    assert taken == [0, 1, 2, 4, 5]
    assert "got lost" in caplog.text


def test_an_end_does_not_wait_for_a_thread_that_stands_still() -> None:
    go = threading.Event()
    stands = threading.Event()

    def work(_: int) -> None:
        stands.set()
        go.wait(30)

    desk = Desk(work, lambda: None)
    desk.start()
    for number in range(4):
        desk.put(number)
    assert stands.wait(30)

    started = time.monotonic()
    left = desk.close(0.2)

    assert left >= 3 and time.monotonic() - started < 2
    go.set()
