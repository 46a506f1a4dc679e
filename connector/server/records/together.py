"""Searches that wait together are embedded together: one forward pass for all of them, then each its own hits.

Embedding fifty texts takes hardly longer than embedding one, so under load the model's share of a search nearly
vanishes; a search that comes alone waits for nobody.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from connector.server.records.asking import Question

if TYPE_CHECKING:
    from connector.blobs.picture import Picture

MOST = 64  # searches embedded at once


@dataclasses.dataclass(eq=False)
class Search:
    """One search on its way.

    Attributes:
        question: what is asked.
        picture: decoded, where it asks by one.
        answer: set when it is known, on the event loop it was made on.
        took: milliseconds by stage.
    """

    question: Question
    picture: Picture | None
    answer: asyncio.Future[bytes]
    took: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def needs_model(self) -> bool:
        """Whether there is something to embed."""
        return self.picture is not None or self.question.text is not None

    def end(self, answer: bytes | BaseException) -> None:
        """Hand the answer to whoever waits, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            self.answer.get_loop().call_soon_threadsafe(self._end, answer)

    def _end(self, answer: bytes | BaseException) -> None:
        if self.answer.done():
            return
        if isinstance(answer, BaseException):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class Together:
    """Threads that answer searches; one of them at a time embeds for all that wait.

    Args:
        embed: embeds what several searches need.
        answer: answers one whose parts are embedded.
        threads: how many; more than two help only where Qdrant is somewhere else.
    """

    def __init__(
        self, embed: Callable[[Sequence[Search]], None], answer: Callable[[Search], bytes], threads: int
    ) -> None:
        self._embed = embed
        self._answer = answer
        self._waiting: collections.deque[Search] = collections.deque()
        self._ready: collections.deque[Search] = collections.deque()
        self._embedding = False
        self._closed = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"connector-search-{number}", daemon=True)
            for number in range(threads)
        ]
        self._started = False

    async def ask(self, search: Search) -> bytes:
        """The answer to one search; it may wait for others, and leaves the line when its task is cancelled."""
        with self._changed:
            if self._closed:
                raise RuntimeError("the searches have ended")
            if not self._started:
                self._started = True
                for thread in self._threads:
                    thread.start()
            (self._waiting if search.needs_model else self._ready).append(search)
            self._changed.notify()
        return await search.answer

    def close(self) -> None:
        """Stop after the searches in hand; those that wait are cancelled."""
        with self._changed:
            self._closed = True
            left = [*self._waiting, *self._ready]
            self._waiting.clear()
            self._ready.clear()
            self._changed.notify_all()
        for search in left:
            search.end(asyncio.CancelledError())
        if self._started:
            for thread in self._threads:
                thread.join(timeout=5)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work)
                if self._closed:
                    return
                if self._ready:
                    one, batch = self._ready.popleft(), []
                else:
                    one, batch = None, [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
                    self._embedding = True
            if one is not None:
                self._answer_one(one)
            else:
                self._embed_all(batch)

    def _has_work(self) -> bool:
        return self._closed or bool(self._ready) or (bool(self._waiting) and not self._embedding)

    def _embed_all(self, batch: list[Search]) -> None:
        began = time.perf_counter()
        # Whoever gave up waiting is not embedded for; reading `cancelled` from another thread is safe, and only a hint.
        batch = [search for search in batch if not search.answer.cancelled()]
        try:
            if batch:
                self._embed(batch)
        # A border: whatever the model's library raises is the answer to these searches, and the thread lives on.
        except Exception as error:  # noqa: BLE001
            for search in batch:
                search.end(error)
            batch = []
        for search in batch:
            search.took["embed_ms"] = round((time.perf_counter() - began) * 1000, 3)
        with self._changed:
            self._embedding = False
            self._ready.extend(batch)
            self._changed.notify_all()

    def _answer_one(self, search: Search) -> None:
        if search.answer.cancelled():
            return
        answer: bytes | Exception
        began = time.perf_counter()
        try:
            answer = self._answer(search)
        # A border, as above.
        except Exception as error:  # noqa: BLE001
            answer = error
        search.took["search_ms"] = round((time.perf_counter() - began) * 1000, 3)
        search.end(answer)
