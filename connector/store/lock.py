"""One writer at a time, known by name: what all locks of collections have in common."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from connector.errors import StoreLocked

T = TypeVar("T")

PAUSE = 0.25  # seconds between two tries


def holder() -> str:
    """Who holds a lock, to whoever waits for it: this machine and process."""
    return f"{platform.node()}, process {os.getpid()}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clock:
    """What time it is, and how to wait; tests pass their own.

    Attributes:
        now: seconds since 1970 as the machine has it; may jump.
        elapsed: seconds since some moment; never goes back.
        sleep: waits so many seconds.
    """

    now: Callable[[], float] = time.time
    elapsed: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def locked(place: str, holder: str, since: float, cure: str) -> StoreLocked:
    """Say who holds the lock of `place`, since when (seconds since 1970), and what to do."""
    return StoreLocked(f"{place} is locked by {holder} since {moment(since)}. {cure}")


def moment(seconds: float) -> str:
    """Write a moment, in seconds since 1970, for a person."""
    try:
        return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):  # somebody else wrote it
        return "an unknown moment"


def patiently(take: Callable[[], T], wait: float, clock: Clock, pause: float = PAUSE) -> T:
    """Return what `take` returns, trying again for `wait` seconds while it raises `StoreLocked`."""
    deadline = clock.elapsed() + wait
    while True:
        try:
            return take()
        except StoreLocked:
            left = deadline - clock.elapsed()
            if left <= 0:
                raise
            clock.sleep(min(left, pause))


class Turn:
    """The lock between the threads of one store."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._holder = ("another thread", 0.0)

    @contextlib.contextmanager
    def held(self, place: str, holder: str, wait: float) -> Iterator[None]:
        """Hold it for as long as the block runs.

        Raises:
            StoreLocked: another thread held it for longer than `wait` seconds.
        """

        def take() -> None:
            if not self._lock.acquire(blocking=False):
                cure = "It is in this same process: let it end first, or wait longer (wait=…)."
                raise locked(place, *self._holder, cure)

        patiently(take, wait, self._clock)
        self._holder = holder, self._clock.now()
        try:
            yield
        finally:
            self._lock.release()

    def made(self) -> None:
        """Nothing to do: threads take turns without a collection, too."""

    def check(self) -> None:
        """Nothing to see: a thread does not lose its turn."""

    def close(self) -> None:
        """Nothing to give back: the block that has the turn ends by itself."""
