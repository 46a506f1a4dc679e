"""Trying again: how often, how long to wait, and how long one try may take."""

from __future__ import annotations

import dataclasses
import datetime
import email.utils
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import tenacity

T = TypeVar("T")


class Refused(Exception):
    """Qdrant understood the request and said no; asking again would not help."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


class Passing(Exception):
    """Something that may pass: no connection, no answer in time, overload, a garbled answer.

    Attributes:
        retry_after: seconds the server asked us to wait, where it did.
        throttled: the server said "too much", so a smaller request might do.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, throttled: bool = False) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.throttled = throttled


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retries:
    """A budget for one request: full jitter between tries, from `first` doubling up to `cap` seconds.

    Attributes:
        attempts: tries in all.
        seconds: no new try starts later than this after the first.
        longest_hint: the most that a server's Retry-After can make us wait, in seconds.
        sleep: how to wait; tests pass their own.
    """

    attempts: int = 8
    seconds: float = 120.0
    first: float = 0.2
    cap: float = 20.0
    longest_hint: float = 60.0
    sleep: Callable[[float], None] = time.sleep

    def run(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, trying again while it raises `Passing` and the budget lasts.

        Raises:
            Passing: the last one, when the budget is spent.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Passing),
            stop=tenacity.stop_after_attempt(self.attempts) | tenacity.stop_before_delay(self.seconds),
            wait=self._wait,
            sleep=self.sleep,
            reraise=True,
        )
        return retrying(call)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        jitter = tenacity.wait_random_exponential(multiplier=self.first, max=self.cap)(state)
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, Passing) else None
        # Jitter on top, so that many clients told the same number do not come back at the same moment.
        return jitter if asked is None else min(asked, self.longest_hint) + min(jitter, 1.0)


def retry_after_seconds(header: str | None, *, now: datetime.datetime | None = None) -> float | None:
    """Read a Retry-After header: whole seconds or an HTTP date; None when absent or unreadable."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(0.0, (moment - (now or datetime.datetime.now(datetime.UTC))).total_seconds())


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns, or raise `Passing` when it takes longer than `seconds`.

    HTTP clients bound each read, so an answer that trickles in could take for ever; this bounds it all.
    The call runs in a thread of its own and, when late, is left to itself: a write may still be applied.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(call())
        # A border between threads: whatever was raised there, interrupts included, is raised again here.
        except BaseException as error:  # noqa: BLE001
            failure.append(error)

    thread = threading.Thread(target=run, name="qdrant-request", daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not outcome:
        raise Passing(f"no answer within {seconds:g} s")
    return outcome[0]
