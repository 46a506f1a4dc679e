"""A body as a file: whole and in order, no further ahead than its limit, and an end to waiting on both sides."""

from __future__ import annotations

import asyncio
import io
import random
import threading

import pytest

from connector.server.records.feed import AHEAD, Feed
from tests.conftest import PATIENCE


def test_bytes_come_out_as_they_went_in() -> None:
    draw = random.Random(1)
    content = draw.randbytes(300_000)

    async def main() -> bytes:
        feed = Feed()
        reading = asyncio.ensure_future(asyncio.to_thread(io.BufferedReader(feed, 999).read))
        left = content
        while left:
            size = draw.randint(0, 20_000)
            assert await feed.put(left[:size])
            left = left[size:]
        feed.end()
        return await reading

    assert asyncio.run(main()) == content


def test_who_sends_faster_than_it_is_read_waits() -> None:
    async def main() -> None:
        feed = Feed()
        put = 0

        async def send() -> None:
            nonlocal put
            while await feed.put(b"x" * 2**20):
                put += 2**20

        sending = asyncio.ensure_future(send())
        for _ in range(100):
            await asyncio.sleep(0)
        assert AHEAD < put <= AHEAD + 2**20
        await asyncio.to_thread(io.BufferedReader(feed).read, 3 * 2**20)
        async with asyncio.timeout(PATIENCE):
            while put < AHEAD + 3 * 2**20:
                await asyncio.sleep(0)
        feed.leave()
        await sending

    asyncio.run(main())


def test_a_body_that_breaks_off_is_an_error_after_what_came() -> None:
    async def main() -> None:
        feed = Feed()
        await feed.put(b"abc")
        feed.end("the client went away")
        feed.end()  # the first word counts
        assert await asyncio.to_thread(feed.read, 10) == b"abc"
        with pytest.raises(OSError, match="the client went away"):
            await asyncio.to_thread(feed.read, 10)

    asyncio.run(main())


def test_nobody_waits_for_ever() -> None:
    async def main() -> None:
        feed = Feed()
        outcome: list[str] = []

        def read() -> None:
            try:
                feed.read(10)
            except OSError as error:
                outcome.append(str(error))

        thread = threading.Thread(target=read)
        thread.start()
        feed.leave()
        await asyncio.to_thread(thread.join, PATIENCE)
        assert outcome == ["nobody reads it any more"]
        assert await feed.put(b"x") is False

    asyncio.run(main())


def test_it_can_be_read_after_its_loop_has_ended() -> None:
    async def main() -> Feed:
        feed = Feed()
        await feed.put(b"late")
        feed.end()
        return feed

    feed = asyncio.run(main())
    assert feed.read(10) == b"late"
    assert feed.read(10) == b""
