"""Stages overlap in time, and nothing else about them changes."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from connector.pipeline import ahead, in_order


def test_ahead_keeps_order_and_loses_nothing() -> None:
    assert list(ahead(range(1000), budget=7)) == list(range(1000))


def test_ahead_runs_no_further_than_its_budget() -> None:
    taken: list[int] = []
    second_asked = threading.Event()

    def source() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            if number == 3:
                second_asked.set()
            yield number

    stage = ahead(source(), budget=10, cost=lambda item: 5)
    assert next(stage) == 0
    assert second_asked.wait(10)
    # 0 is read, 1 and 2 cost the budget, 3 waits in the producer's hand.
    assert max(taken) == 3
    stage.close()


def test_one_item_dearer_than_the_budget_still_passes() -> None:
    assert list(ahead([1, 2, 3], budget=1, cost=lambda item: 100)) == [1, 2, 3]


def test_an_error_reaches_the_reader_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken half-way")

    stage = ahead(source(), budget=10)
    assert next(stage) == 1
    with pytest.raises(ValueError, match="half-way"):
        next(stage)


def test_a_reader_that_leaves_stops_the_stage_and_closes_its_source() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.set()

    stage = ahead(source(), budget=3)
    assert next(stage) == 0
    stage.close()
    threads = [thread for thread in threading.enumerate() if thread.name == "connector-stage"]
    for thread in threads:
        thread.join(60)  # closing waits for 5 seconds, and a busy machine may stall a thread for longer
    assert closed.is_set()
    assert not any(thread.is_alive() for thread in threads)


def test_stages_behind_one_another_stop_together() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.set()

    stage = ahead((2 * number for number in ahead(source(), budget=3)), budget=3)
    assert [next(stage) for _ in range(5)] == [0, 2, 4, 6, 8]
    stage.close()
    assert closed.wait(10)


def test_in_order_keeps_order_whichever_finishes_first() -> None:
    first_may_end = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert first_may_end.wait(10)
        elif number == 3:
            first_may_end.set()
        return number * number

    with ThreadPoolExecutor(4) as pool:
        assert list(in_order(work, range(20), pool, in_flight=4)) == [n * n for n in range(20)]


def test_in_order_takes_no_more_items_than_it_may_have_in_flight() -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    with ThreadPoolExecutor(2) as pool:
        results = in_order(lambda number: number, source(), pool, in_flight=5)
        assert next(results) == 0
        assert len(taken) <= 6
        list(results)
    assert len(taken) == 100


def test_in_order_begins_fewer_of_those_that_cost_more() -> None:
    begun: list[int] = []

    def source() -> Iterator[int]:
        for number in range(20):
            begun.append(number)
            yield number

    with ThreadPoolExecutor(2) as pool:
        results = in_order(lambda number: number, source(), pool, in_flight=9, cost=lambda number: 4)
        assert next(results) == 0
        assert len(begun) <= 4  # two wait, one is being added, one was read
        assert list(results) == list(range(1, 20))


def test_in_order_leaves_alone_what_is_done_and_keeps_its_place() -> None:
    worked: list[int] = []

    def work(number: int) -> int:
        worked.append(number)
        return number

    with ThreadPoolExecutor(4) as pool:
        items = in_order(work, range(20), pool, in_flight=4, done=lambda number: number % 3 > 0)
        assert list(items) == list(range(20))
    assert sorted(worked) == list(range(0, 20, 3))
