"""A proxy that fails on purpose: HTTP/1.1 on a loopback socket, in a thread, before a server on this machine.

    with running_server() as server, faulty_proxy(server.url, Plan(rate=0.2, seed=7)) as proxy:
        open_store(proxy.url, "things")
    proxy.events     what every request met

Which request meets which fault is a pure function of what is known when it arrives, so a seed can be run again.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import random
import socket
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Any, Final, TypeVar

from connector.store.retry import Passing
from tests.faults.catalogue import FAULTS, Answer, Fault, answer

_LONGEST_HEAD: Final = 64 * 1024
_TRY: Final = "x-try"
IN_A_ROW: Final = 3

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Seen:
    """A request as it arrived.

    Attributes:
        number: how many came before it.
        key: the same for a request that is sent again.
    """

    number: int
    method: str
    path: str
    key: str

    @property
    def writes_points(self) -> bool:
        """Whether it is an upsert."""
        return self.method == "PUT" and self.path.endswith("/points")


@dataclasses.dataclass(frozen=True)
class Event:
    """What became of a request.

    Attributes:
        at: when it arrived, by the proxy's clock, in seconds.
        fault: the fault it met, None where it met none.
        asked: seconds that a Retry-After asked the client to wait.
    """

    seen: Seen
    at: float
    fault: Fault | None
    asked: float | None = None


Choice = Callable[[Seen], Fault | None]


@dataclasses.dataclass(frozen=True)
class Plan:
    """Every request meets a fault with probability `rate`, at most three in a row: a function of seed and number."""

    rate: float
    seed: int
    names: Sequence[str] = tuple(FAULTS)

    def __call__(self, seen: Seen) -> Fault | None:
        """The fault that this request meets."""
        return self.fault(seen.number)

    def fault(self, number: int) -> Fault | None:
        """The fault that request `number` meets."""
        run = 0
        while run <= number and self._drawn(number - run).random() < self.rate:
            run += 1
        if run % (IN_A_ROW + 1) == 0:  # none was drawn, or it would be the fourth in a row
            return None
        drawn = self._drawn(number)
        drawn.random()
        return FAULTS[drawn.choice(self.names)]

    def _drawn(self, number: int) -> random.Random:
        return random.Random(f"{self.seed} {number}")


def once(name: str, when: Callable[[Seen], bool]) -> Choice:
    """The first request that `when` picks meets this fault."""
    met: list[Seen] = []

    def choose(seen: Seen) -> Fault | None:
        if met or not when(seen):
            return None
        met.append(seen)
        return FAULTS[name]

    return choose


class Clock:
    """The time as if waiting took any, for a client and the proxy before it. Safe for threads.

    What `sleep` was asked for is added to what passed. A try ends as late when the proxy says so, and not because a busy
    machine takes long: which try meets what is then a matter of the seed alone.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slept = 0.0
        self._tries: list[Future[Any]] = []
        self._thread = threading.local()
        self.naps: list[float] = []

    def now(self) -> float:
        """Seconds since some moment."""
        with self._lock:
            return time.monotonic() + self._slept

    def today(self) -> float:
        """Seconds since 1970."""
        with self._lock:
            return time.time() + self._slept

    def sleep(self, seconds: float) -> None:
        """Wait, in no time."""
        with self._lock:
            self._slept += seconds
            self.naps.append(seconds)

    def within(self, seconds: float, call: Callable[[], T]) -> T:
        """As `connector.store.retry.within`, whose late calls are left to themselves, too."""
        outcome: Future[T] = Future()
        with self._lock:
            number = len(self._tries)
            self._tries.append(outcome)

        def run() -> None:
            self._thread.number = number
            try:
                made = call()
            # A border between threads: whatever was raised there is raised again here.
            except BaseException as error:  # noqa: BLE001
                _settle(outcome.set_exception, error)
            else:
                _settle(outcome.set_result, made)

        threading.Thread(target=run, name="qdrant-request", daemon=True).start()
        return outcome.result(seconds)

    def sign(self, headers: MutableMapping[str, str]) -> None:
        """Say in a request which try it belongs to."""
        number = getattr(self._thread, "number", None)
        if number is not None:
            headers[_TRY] = str(number)

    def too_late(self, number: int) -> None:
        """End a try."""
        with self._lock:
            outcome = self._tries[number]
        _settle(outcome.set_exception, Passing("no answer within the time"))


def _settle(how: Callable[[Any], None], what: object) -> None:
    """Say what became of a try, unless that was said before."""
    with contextlib.suppress(InvalidStateError):
        how(what)


class Proxy:
    """What tests may ask of it: where it listens, and what it saw."""

    def __init__(self, upstream: str, choose: Choice, clock: Clock) -> None:
        parts = urllib.parse.urlsplit(upstream)
        assert parts.hostname is not None
        assert parts.port is not None
        self.url = ""
        self.events: list[Event] = []
        self.server = (parts.hostname, parts.port)
        self.stopping = asyncio.Event()
        self.late: list[bytes] = []
        self.clock = clock
        self._choose = choose
        self._at_work: set[asyncio.Task[None]] = set()

    @property
    def met(self) -> list[Event]:
        """The requests that met a fault."""
        return [event for event in self.events if event.fault is not None]

    def hurried(self) -> list[tuple[Event, Event]]:
        """Requests that were sent again sooner than a Retry-After had asked, each after the one that was answered so."""
        again: list[tuple[Event, Event]] = []
        for place, event in enumerate(self.events):
            later = (each for each in self.events[place + 1 :] if each.seen.key == event.seen.key)
            following = next(later, None)
            if event.asked is not None and following is not None and following.at < event.at + event.asked:
                again.append((event, following))
        return again

    async def serve(self, listening: socket.socket) -> None:
        """Serve until `stopping` is set."""
        server = await asyncio.start_server(self._connected, sock=listening, limit=_LONGEST_HEAD)
        await self.stopping.wait()
        server.close()
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)
        await self.carry_out_late()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._at_work.add(task)
        try:
            while not writer.is_closing() and (request := await _read_message(reader)) is not None:
                await self._serve_one(request, reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the client has gone, or the proxy goes
        finally:
            self._at_work.discard(task)
            writer.close()

    async def _serve_one(
        self, request: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        method, path = request.head.decode("latin-1").split(" ", 2)[:2]
        key = hashlib.sha256(b"%b %b %b" % (method.encode(), path.encode(), request.body)).hexdigest()
        # Taken without an await in between, so that numbers follow the order of arrival.
        seen = Seen(len(self.events), method, urllib.parse.urlsplit(path).path, key)
        fault = self._choose(seen)
        exchange = _Exchange(self, seen.number, request, reader, writer)
        self.events.append(Event(seen, self.clock.now(), fault))
        if fault is None:
            given = await exchange.carry_out()
            await self.carry_out_late()
            await exchange.send(given.head + given.body)
        else:
            await fault.play(exchange)

    def note_asked(self, number: int, seconds: float) -> None:
        """Note that a request was asked to wait."""
        self.events[number] = dataclasses.replace(self.events[number], asked=seconds)

    async def carry_out_late(self) -> None:
        """Let the server carry out what was held back."""
        late, self.late = self.late, []
        for request in late:
            await forward(self.server, request)


class _Exchange:
    """One request at work: the catalogue's `Exchange`."""

    def __init__(
        self,
        proxy: Proxy,
        number: int,
        request: Answer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._number = number
        self._request = request
        self._reader = reader
        self._writer = writer

    async def carry_out(self) -> Answer:
        """Let the server carry it out."""
        return await forward(self._proxy.server, self._request.head + self._request.body)

    def carry_out_later(self) -> None:
        """Let the server carry it out after the next request."""
        self._proxy.late.append(self._request.head + self._request.body)

    async def send(self, data: bytes) -> None:
        """Send the client some bytes."""
        self._writer.write(data)
        await self._writer.drain()

    def take_too_long(self) -> None:
        """End the client's try, where its clock is the proxy's."""
        if (number := _header(self._request, _TRY)) is not None:
            self._proxy.clock.too_late(int(number))

    async def until_given_up(self) -> None:
        """Wait until the client closes the connection."""
        while await self._reader.read(1024):
            pass

    def end(self, *, reset: bool = False) -> None:
        """Close the connection, or cut it."""
        if reset:
            raw: socket.socket = self._writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        else:
            self._writer.close()

    def ask_to_wait(self, seconds: float) -> None:
        """Note what a Retry-After said."""
        self._proxy.note_asked(self._number, seconds)


async def forward(server: tuple[str, int], request: bytes) -> Answer:
    """Send a whole request over a connection of its own; the whole answer, or a 502 where there is none."""
    line, _, rest = request.partition(b"\r\n")
    try:
        reader, writer = await asyncio.open_connection(*server, limit=_LONGEST_HEAD)
    except OSError:
        return answer(502, b'{"status": {"error": "the server is not there"}}')
    try:
        writer.write(line + b"\r\nconnection: close\r\n" + rest)
        await writer.drain()
        given = await _read_message(reader)
    except OSError:
        given = None
    finally:
        writer.close()
    if given is None:
        return answer(502, b'{"status": {"error": "the server did not answer"}}')
    head = b"\r\n".join(
        line for line in given.head.split(b"\r\n") if not line.lower().startswith(b"connection:")
    )
    return Answer(head, given.body)


async def _read_message(reader: asyncio.StreamReader) -> Answer | None:
    """A request or an answer whose length is told; None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(_header(Answer(head, b""), "content-length") or 0)
        return Answer(head, await reader.readexactly(length))
    except asyncio.IncompleteReadError:
        return None


def _header(message: Answer, wanted: str) -> str | None:
    for line in message.head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == wanted:
            return value.strip()
    return None


@contextlib.contextmanager
def faulty_proxy(upstream: str, choose: Choice, clock: Clock | None = None) -> Iterator[Proxy]:
    """Listen on a free port of 127.0.0.1 for as long as the block runs.

    Args:
        upstream: "http://127.0.0.1:…", the server behind it.
        choose: the fault that a request meets; see `Plan` and `once`.
        clock: the client's, where it has one.
    """
    proxy = Proxy(upstream, choose, clock or Clock())
    listening = socket.create_server(("127.0.0.1", 0))
    proxy.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    running: list[asyncio.AbstractEventLoop] = []
    ready = threading.Event()

    async def serve() -> None:
        running.append(asyncio.get_running_loop())
        ready.set()
        await proxy.serve(listening)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="faulty-proxy", daemon=True)
    thread.start()
    assert ready.wait(60), "the proxy did not start"
    try:
        yield proxy
    finally:
        running[0].call_soon_threadsafe(proxy.stopping.set)
        thread.join(60)
        listening.close()
