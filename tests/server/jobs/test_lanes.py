"""Who is next: jobs take turns, kinds take turns, and large pictures wait for room."""

from __future__ import annotations

from connector.server.jobs.catalogue import TEXT, ZERO_SHOT
from connector.server.jobs.job import Failure, Item
from connector.server.jobs.lanes import Lanes
from tests.server.jobs.jobs import job

MANY = 1e18


def places(items: list[Item], jobs: list[object]) -> list[tuple[int, int]]:
    return [(jobs.index(item.job), item.index) for item in items]


def test_jobs_take_turns_so_that_one_of_many_delays_none_of_one() -> None:
    lanes, jobs = Lanes(), [job(5), job(1), job(2)]
    for each in jobs:
        lanes.add(each)
    taken = lanes.take("picture", 4, MANY, needed=True)
    assert places(taken, list(jobs)) == [(0, 0), (1, 0), (2, 0), (0, 1)]
    assert len(lanes) == 4
    rest = lanes.take("picture", 9, MANY, needed=True)
    assert places(rest, list(jobs)) == [(2, 1), (0, 2), (0, 3), (0, 4)]
    assert len(lanes) == 0


def test_kinds_take_turns_while_both_wait() -> None:
    lanes = Lanes()
    assert lanes.next_kind() is None
    lanes.add(job(2))
    lanes.add(job(0, 2, task=TEXT))
    assert [lanes.next_kind(), lanes.next_kind(), lanes.next_kind()] == ["picture", "text", "picture"]
    lanes.take("text", 9, MANY, needed=True)
    assert [lanes.next_kind(), lanes.next_kind()] == ["picture", "picture"]


def test_a_job_of_both_kinds_waits_in_both_lanes() -> None:
    lanes = Lanes()
    lanes.add(job(2, 3, task=ZERO_SHOT))
    assert (lanes.count("picture"), lanes.count("text"), len(lanes)) == (2, 3, 5)
    lanes.clear()
    assert (len(lanes), lanes.next_kind()) == (0, None)


def test_no_more_pixels_are_taken_than_there_is_room_for_but_one_picture_always_fits() -> None:
    lanes = Lanes()
    lanes.add(job(3, pixels=40))
    assert [item.index for item in lanes.take("picture", 9, 100, needed=True)] == [0, 1]
    assert lanes.take("picture", 9, 39, needed=False) == []
    assert [item.index for item in lanes.take("picture", 9, 39, needed=True)] == [2]


def test_inputs_of_jobs_that_have_ended_are_passed_over() -> None:
    lanes, gone, here = Lanes(), job(3), job(1)
    lanes.add(gone)
    lanes.add(here)
    gone.fail(Failure("late", "deadline", 504))
    assert [item.job for item in lanes.take("picture", 9, MANY, needed=True)] == [here]
    assert len(lanes) == 0
