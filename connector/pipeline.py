"""When things happen: stages that run ahead of each other in threads, in order and bounded.

What happens is written in `ingestion.py` as a straight line; this file only lets its stages overlap in time.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor
from typing import Generic, TypeVar

T = TypeVar("T")

PATIENCE = (
    2.0  # seconds that a row may wait for others to go on with; a slow pipe's rows are stored as they come
)
PICTURE_BYTES_AHEAD = 64 * 2**20  # decoded pictures that may wait for the model, and that it sees at once


class _Ready(Generic[T]):
    """Finished items between a stage's thread and its reader, bounded by what they cost together."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._items: collections.deque[tuple[T, int]] = collections.deque()
        self._cost = 0
        self._ended = False
        self._stopped = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def put(self, item: T, cost: int) -> bool:
        """Wait for room, then add; False when the reader has gone. One item always has room."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped or not self._items or self._cost + cost <= self._budget
            )
            if not self._stopped:
                self._items.append((item, cost))
                self._cost += cost
                self._changed.notify_all()
            return not self._stopped

    def end(self, error: BaseException | None = None) -> None:
        """No more items will come, or an error in their place."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def stop(self) -> None:
        """Nobody reads any more."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._ended)
                if not self._items:
                    if self._error is not None:
                        raise self._error
                    return
                item, cost = self._items.popleft()
                self._cost -= cost
                self._changed.notify_all()
            yield item


def ahead(
    items: Iterable[T], budget: int, cost: Callable[[T], int] = lambda item: 1
) -> Generator[T, None, None]:
    """Iterate `items` in a thread of its own, as far ahead of the reader as `budget` allows.

    Order is kept, an exception in `items` is raised in the reader at its place, and closing this generator
    (also by an exception or Ctrl-C in the reader) stops the thread after the item in hand.
    """
    ready: _Ready[T] = _Ready(budget)

    def work() -> None:
        iterator = iter(items)
        try:
            for item in iterator:
                if not ready.put(item, cost(item)):
                    return
            ready.end()
        except BaseException as error:  # noqa: BLE001  whatever it is, it belongs to the reader
            ready.end(error)
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    thread = threading.Thread(target=work, name="connector-stage", daemon=True)
    thread.start()
    try:
        yield from ready
    finally:
        ready.stop()
        thread.join(
            timeout=5
        )  # one that waits for a server or a pipe is left behind; it cannot reach anybody any more


def in_order(
    work: Callable[[T], T],
    items: Iterable[T],
    pool: Executor,
    in_flight: int,
    done: Callable[[T], bool] = lambda item: False,
    cost: Callable[[T], int] = lambda item: 1,
) -> Iterator[T]:
    """`map(work, items)` over a pool's threads, results in order, at most `in_flight` items begun and not yet read.

    Items that are `done` already go along in their places; handing them to a thread would cost more than it gives.
    A heavy item may `cost` the room of several; one always has room.
    """
    begun = ((item, None if done(item) else pool.submit(work, item)) for item in items)
    # In a thread of its own, so that results are handed on while a slow source still keeps the next item to itself.
    reading = ahead(begun, in_flight - 1, lambda one: cost(one[0]))
    try:
        for item, result in reading:
            yield item if result is None else result.result()
    finally:
        reading.close()
