"""Searches that wait together: embedded in one go, answered one by one, and never kept waiting by a failure."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from connector.errors import ModelUnavailable
from connector.server.records.asking import Question
from connector.server.records.together import MOST, Search, Together
from connector.space import Weights
from tests.conftest import PATIENCE


def search(text: str | None) -> Search:
    asked = Question(text, None if text else "a1", (), None, None, 10, 0, Weights(), None, "fused")
    return Search(asked, None, asyncio.get_running_loop().create_future())


class Played:
    """An embedder that can be held up, and notes what it was asked."""

    def __init__(self) -> None:
        self.batches: list[list[str | None]] = []
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Event()
        self.error: Exception | None = None

    def embed(self, searches: Sequence[Search]) -> None:
        self.batches.append([each.question.text for each in searches])
        self.entered.set()
        assert self.go.wait(PATIENCE)
        if self.error is not None:
            raise self.error

    def answer(self, one: Search) -> bytes:
        if one.question.text == "wrong":
            raise ValueError("this one alone")
        return (one.question.text or "like").encode()


def run(work: Callable[[Together, Played], Awaitable[Any]], threads: int = 2) -> Played:
    played = Played()

    async def main() -> None:
        together = Together(played.embed, played.answer, threads)
        try:
            await work(together, played)
        finally:
            played.go.set()
            together.close()

    asyncio.run(main())
    return played


def test_a_search_alone_waits_for_nobody() -> None:
    async def work(together: Together, played: Played) -> None:
        one = search("mug")
        assert await together.ask(one) == b"mug"
        assert set(one.took) == {"embed_ms", "search_ms"}

    assert run(work).batches == [["mug"]]


def test_what_waits_while_others_are_embedded_is_embedded_together() -> None:
    async def work(together: Together, played: Played) -> None:
        played.go.clear()
        first = asyncio.ensure_future(together.ask(search("first")))
        await asyncio.to_thread(played.entered.wait, 10)
        rest = [asyncio.ensure_future(together.ask(search(f"t{number}"))) for number in range(MOST + 5)]
        await asyncio.sleep(0)  # they stand in line now
        played.go.set()
        assert await first == b"first"
        assert await asyncio.gather(*rest) == [f"t{number}".encode() for number in range(MOST + 5)]

    assert [len(batch) for batch in run(work).batches] == [1, MOST, 5]


def test_what_needs_no_model_passes_those_that_do() -> None:
    async def work(together: Together, played: Played) -> None:
        played.go.clear()
        held = asyncio.ensure_future(together.ask(search("held")))
        await asyncio.to_thread(played.entered.wait, 10)
        one = search(None)
        assert await together.ask(one) == b"like"
        assert set(one.took) == {"search_ms"}
        assert not held.done()
        played.go.set()
        assert await held == b"held"

    run(work)


def test_one_that_fails_fails_alone() -> None:
    async def work(together: Together, played: Played) -> None:
        asked = [together.ask(search(text)) for text in ("a", "wrong", "b")]
        a, wrong, b = await asyncio.gather(*asked, return_exceptions=True)
        assert (a, b) == (b"a", b"b")
        assert isinstance(wrong, ValueError)

    run(work)


@pytest.mark.parametrize("threads", [1, 4])
def test_a_model_that_cannot_be_had_is_told_to_all_that_need_it(threads: int) -> None:
    async def work(together: Together, played: Played) -> None:
        played.error = ModelUnavailable("no model")
        asked = [together.ask(search(text)) for text in ("a", "b")]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ModelUnavailable] * 2
        assert await together.ask(search(None)) == b"like"
        played.error = None
        assert await together.ask(search("again")) == b"again"

    run(work, threads)


def test_who_gave_up_is_not_embedded_for() -> None:
    async def work(together: Together, played: Played) -> None:
        played.go.clear()
        first = asyncio.ensure_future(together.ask(search("first")))
        await asyncio.to_thread(played.entered.wait, 10)
        gone, stays = (asyncio.ensure_future(together.ask(search(text))) for text in ("gone", "stays"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        played.go.set()
        assert await first == b"first"
        assert await stays == b"stays"

    assert run(work).batches == [["first"], ["stays"]]


def test_closing_cancels_what_waits_and_takes_no_more() -> None:
    async def work(together: Together, played: Played) -> None:
        played.go.clear()
        first = asyncio.ensure_future(together.ask(search("first")))
        await asyncio.to_thread(played.entered.wait, 10)
        second = asyncio.ensure_future(together.ask(search("second")))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(asyncio.to_thread(together.close))
        with pytest.raises(asyncio.CancelledError):
            await second
        played.go.set()
        await closing
        with pytest.raises(RuntimeError, match="have ended"):
            await together.ask(search("late"))
        first.cancel()

    run(work)


def test_closing_what_never_began() -> None:
    async def work(together: Together, played: Played) -> None:
        together.close()

    assert run(work).batches == []
