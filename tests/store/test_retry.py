"""How long to wait, how often to try, and when to stop waiting for an answer."""

from __future__ import annotations

import datetime as dt
import threading

import pytest

from connector.store.retry import Passing, Refused, Retries, retry_after_seconds, within

NOW = dt.datetime(2026, 10, 21, 7, 28, 0, tzinfo=dt.UTC)


class Flaky:
    """Raises what it is given, one by one, then returns 'done'."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_success_needs_one_try(retries: Retries, naps: list[float]) -> None:
    call = Flaky()
    assert (retries.run(call), call.calls, naps) == ("done", 1, [])


def test_waits_double_up_to_the_cap_with_full_jitter(naps: list[float]) -> None:
    for _ in range(50):
        Retries(attempts=10, cap=20.0, seconds=1e6, sleep=naps.append).run(Flaky(*[Passing("x")] * 9))
    by_try = [naps[place::9] for place in range(9)]
    for tried, waits in enumerate(by_try):
        assert max(waits) <= min(20.0, 0.2 * 2**tried)
        assert len(set(waits)) > 10
    assert min(by_try[8]) < 5 < max(by_try[8])


def test_the_last_trouble_is_raised_when_the_tries_are_spent(retries: Retries, naps: list[float]) -> None:
    call = Flaky(*[Passing(f"trouble {n}") for n in range(1, 20)])
    with pytest.raises(Passing, match="trouble 8"):
        retries.run(call)
    assert (call.calls, len(naps)) == (8, 7)


@pytest.mark.parametrize("error", [Refused("no", 400), ValueError("a bug"), KeyboardInterrupt()])
def test_nothing_else_is_tried_again(error: Exception, retries: Retries) -> None:
    call = Flaky(error)
    with pytest.raises(type(error)):
        retries.run(call)
    assert call.calls == 1


def test_a_servers_wish_is_the_least_wait(retries: Retries, naps: list[float]) -> None:
    retries.run(Flaky(Passing("x", retry_after=5.0), Passing("x", retry_after=3600.0)))
    assert 5 <= naps[0] <= 6
    assert 60 <= naps[1] <= 61


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("12", 12.0),
        (" 0 ", 0.0),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("Wed, 21 Oct 2026 07:28:09 GMT", 9.0),
        ("Wed, 21 Oct 2026 07:27:00 GMT", 0.0),
        ("Wed, 21 Oct 2026 07:28:09", 9.0),
        ("Wednesday, 21-Oct-26 07:28:09 GMT", 9.0),
        ("Wed, 99 Oct 2026 07:28:09 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, now=NOW) == seconds


def test_a_call_that_does_not_end_is_left_at_its_deadline() -> None:
    release = threading.Event()
    with pytest.raises(Passing, match=r"no answer within 0\.05 s"):
        within(0.05, release.wait)
    release.set()


def test_what_a_call_returns_or_raises_passes_through() -> None:
    assert within(5, lambda: None) is None
    assert within(5, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)
