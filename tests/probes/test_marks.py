"""A check is good for a day on the machine that made it, whatever the clock does."""

from __future__ import annotations

import datetime as dt

import pytest

from connector.probes.marks import due, marked
from connector.probes.place import place

NOW = dt.datetime(2026, 11, 21, 10, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (dt.timedelta(0), False),
        (dt.timedelta(hours=23, minutes=59), False),
        (dt.timedelta(days=1), True),
        (dt.timedelta(days=400), True),
        (-dt.timedelta(seconds=1), True),
        (-dt.timedelta(days=400), True),
    ],
)
def test_a_check_is_good_for_a_day_and_not_into_the_past(after: dt.timedelta, expected: bool) -> None:
    assert due(marked(None, NOW), NOW + after) is expected


def test_after_a_clock_has_jumped_back_one_check_is_enough() -> None:
    ahead = marked(None, NOW + dt.timedelta(days=30))
    assert due(ahead, NOW)
    assert not due(marked(ahead, NOW), NOW + dt.timedelta(hours=1))


def test_how_often_can_be_said_and_a_time_without_a_zone_is_utc() -> None:
    marks = marked(None, NOW)
    assert due(marks, NOW + dt.timedelta(minutes=61), every=dt.timedelta(hours=1))
    assert not due(marks, NOW.replace(tzinfo=None) + dt.timedelta(hours=1))


@pytest.mark.parametrize("marks", [None, {}, {place(): "yesterday"}, {"another machine": NOW.isoformat()}])
def test_what_was_never_checked_here_is_due(marks: dict[str, str] | None) -> None:
    assert due(marks, NOW)


def test_marks_of_other_machines_stay_until_there_are_too_many() -> None:
    marks: dict[str, str] = {}
    for number in range(40):
        marks = marked(marks, NOW + dt.timedelta(minutes=number), here=f"m{number}")
    assert sorted(marks) == sorted(f"m{number}" for number in range(24, 40))
    assert not due(marks, NOW + dt.timedelta(hours=1), here="m30")
    marks = marked(marks, NOW + dt.timedelta(minutes=35), here="m0")
    assert sorted(marks) == sorted(["m0", *(f"m{number}" for number in range(24, 36))])
