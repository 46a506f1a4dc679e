"""Ended jobs: readable for a time and within their bytes, the oldest going first."""

from __future__ import annotations

from connector.server.jobs.job import OVERHEAD, Failure, Job
from connector.server.jobs.shelf import Shelf
from tests.server.jobs.jobs import job


def failed() -> Job:
    one = job()
    one.fail(Failure("no", "unavailable", 503))
    return one


def test_they_go_when_their_time_is_over() -> None:
    shelf, first, second = Shelf(10, 10**9), failed(), failed()
    shelf.put(first, 100)
    shelf.put(second, 105)
    assert shelf.expire(109.9) == []
    assert shelf.get(first.id) is first
    assert shelf.expire(110) == [first]
    assert shelf.get(first.id) is None
    assert shelf.get(second.id) is second
    assert shelf.expire(1000) == [second]
    assert (len(shelf), shelf.bytes) == (0, 0)


def test_the_oldest_go_when_room_is_needed() -> None:
    shelf, jobs = Shelf(10, 2 * OVERHEAD), [failed() for _ in range(4)]
    assert [shelf.put(each, 0) for each in jobs] == [[], [], [jobs[0]], [jobs[1]]]
    assert (len(shelf), shelf.bytes) == (2, 2 * OVERHEAD)
    assert shelf.get(jobs[3].id) is jobs[3]


def test_one_that_is_larger_than_all_room_can_still_be_read() -> None:
    shelf, large = Shelf(10, 1), failed()
    assert shelf.put(large, 0) == []
    assert shelf.get(large.id) is large
    assert shelf.get("another") is None
