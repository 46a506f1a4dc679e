"""What can go wrong with one request on its way to a server, by name; half of it after the server has carried it out."""

from __future__ import annotations

import asyncio
import dataclasses
import email.utils
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

ASKED_SECONDS = 2  # what a Retry-After asks for; no more than a lock may cost in the end
DRIP_SECONDS = 0.05  # between two bytes of an answer that trickles in


@dataclasses.dataclass(frozen=True)
class Answer:
    """A whole answer: its status line and headers (with the empty line), and its body."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        """Such as 200."""
        return int(self.head.split(b" ", 2)[1])


class Exchange(Protocol):
    """One request of a client, and what may be done with it."""

    async def carry_out(self) -> Answer:
        """Let the server carry it out, as often as this is called."""
        ...

    def carry_out_later(self) -> None:
        """Let the server carry it out after the next request."""
        ...

    async def send(self, data: bytes) -> None:
        """Send the client some bytes."""
        ...

    def take_too_long(self) -> None:
        """Let the client's time for this try be over."""
        ...

    async def until_given_up(self) -> None:
        """Wait until the client closes the connection, or the proxy does."""
        ...

    def end(self, *, reset: bool = False) -> None:
        """Close the connection, or cut it (RST)."""
        ...

    def ask_to_wait(self, seconds: float) -> None:
        """Note what a Retry-After said."""
        ...


@dataclasses.dataclass(frozen=True)
class Fault:
    """One kind of trouble.

    Attributes:
        name: its name.
        applied: whether the server carries the request out all the same, at once or late.
        play: what happens.
    """

    name: str
    applied: bool
    play: Callable[[Exchange], Awaitable[None]]


def answer(status: int, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> Answer:
    """An answer in JSON, or in what claims to be."""
    lines = [f"HTTP/1.1 {status} planted", "content-type: application/json", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return Answer("\r\n".join([*lines, "", ""]).encode(), body)


def _status(code: int, retry_after: str | None = None) -> Callable[[Exchange], Awaitable[None]]:
    async def play(exchange: Exchange) -> None:
        headers = {}
        if retry_after == "seconds":
            headers["retry-after"] = str(ASKED_SECONDS)
            exchange.ask_to_wait(ASKED_SECONDS)
        elif retry_after == "date":
            moment = int(time.time()) + ASKED_SECONDS  # such a date knows whole seconds only
            headers["retry-after"] = email.utils.formatdate(moment, usegmt=True)
            exchange.ask_to_wait(moment - time.time())
        body = json.dumps({"status": {"error": "a planted fault"}, "time": 0.0}).encode()
        planted = answer(code, body, headers)
        await exchange.send(planted.head + planted.body)

    return play


def _applied(play: Callable[[Exchange], Awaitable[None]]) -> Callable[[Exchange], Awaitable[None]]:
    async def after(exchange: Exchange) -> None:
        await exchange.carry_out()
        await play(exchange)

    return after


async def _reset(exchange: Exchange) -> None:
    exchange.end(reset=True)


async def _eof(exchange: Exchange) -> None:
    exchange.end()


async def _silence(exchange: Exchange) -> None:
    exchange.take_too_long()
    await exchange.until_given_up()
    exchange.end()


async def _web_page(exchange: Exchange) -> None:
    page = answer(200, b"<html><body>Log in to the network first</body></html>")
    await exchange.send(page.head + page.body)


async def _garbage(exchange: Exchange) -> None:
    planted = answer(200, b"\xff\xfe\x00garbage")
    await exchange.send(planted.head + planted.body)


async def _half_head(exchange: Exchange) -> None:
    given = await exchange.carry_out()
    await exchange.send(given.head[: len(given.head) // 2])
    exchange.end()


async def _half_body(exchange: Exchange) -> None:
    given = await exchange.carry_out()
    await exchange.send(given.head + given.body[: len(given.body) // 2])
    exchange.end()


async def _half_body_reset(exchange: Exchange) -> None:
    given = await exchange.carry_out()
    await exchange.send(given.head + given.body[: len(given.body) // 2])
    await asyncio.sleep(0.01)  # so that the half is read before the cut is felt
    exchange.end(reset=True)


async def _half_json(exchange: Exchange) -> None:
    given = await exchange.carry_out()
    cut = answer(200, given.body[: len(given.body) // 2])
    await exchange.send(cut.head + cut.body)


async def _drip(exchange: Exchange) -> None:
    given = await exchange.carry_out()
    exchange.take_too_long()
    for byte in given.head + given.body:
        await exchange.send(bytes([byte]))
        await asyncio.sleep(DRIP_SECONDS)


async def _damaged_chunk(exchange: Exchange) -> None:
    given = await exchange.carry_out()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    half = given.body[: len(given.body) // 2]
    await exchange.send(head + b"%x\r\n%b\r\nnot-a-size\r\n" % (len(half), half))
    exchange.end()


async def _twice(exchange: Exchange) -> None:
    await exchange.carry_out()
    given = await exchange.carry_out()
    await exchange.send(given.head + given.body)


async def _late(exchange: Exchange) -> None:
    exchange.carry_out_later()
    await _status(504)(exchange)


BEFORE: Final = {
    "429, seconds": _status(429, "seconds"),
    "429, date": _status(429, "date"),
    "429": _status(429),
    "503, seconds": _status(503, "seconds"),
    "408": _status(408),
    "500": _status(500),
    "502": _status(502),
    "503": _status(503),
    "504": _status(504),
    "reset": _reset,
    "end of file": _eof,
    "silence": _silence,
    "web page": _web_page,
}
AFTER: Final = {
    "applied, 500": _applied(_status(500)),
    "applied, reset": _applied(_reset),
    "applied, end of file": _applied(_eof),
    "applied, silence": _applied(_silence),
    "applied, garbage": _applied(_garbage),
    "half a head": _half_head,
    "half a body": _half_body,
    "half a body, reset": _half_body_reset,
    "half a JSON": _half_json,
    "drip": _drip,
    "damaged chunk": _damaged_chunk,
    "applied twice": _twice,
    "504, applied late": _late,
}
FAULTS: Final = {
    name: Fault(name, applied, play)
    for applied, plays in ((False, BEFORE), (True, AFTER))
    for name, play in plays.items()
}
UNTIL_DEADLINE: Final = ("silence", "applied, silence", "drip")  # each costs a client all of a try's time
