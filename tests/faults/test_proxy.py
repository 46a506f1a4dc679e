"""The proxy does what its catalogue says: seen with plain sockets and plain HTTP, without the connector."""

from __future__ import annotations

import collections
import contextlib
import email.utils
import http.client
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

import pytest

from connector.store.retry import Passing
from tests.conftest import until
from tests.faults import catalogue
from tests.faults.catalogue import AFTER, ASKED_SECONDS, BEFORE, FAULTS, UNTIL_DEADLINE, Fault
from tests.faults.mix import AMPLE
from tests.faults.proxy import IN_A_ROW, Clock, Plan, Proxy, Seen, faulty_proxy, once

BODY = b'{"result": "written down in full", "status": "ok"}'
HEARKEN = 0.3  # seconds of listening to silence


class _Book(BaseHTTPRequestHandler):
    """Writes down every request body and confirms it."""

    protocol_version = "HTTP/1.1"
    written: list[bytes]

    def do_PUT(self) -> None:
        self.written.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def written() -> list[bytes]:
    """What the server behind the proxy carried out."""
    return []


@pytest.fixture
def book(written: list[bytes]) -> Iterator[str]:
    """The address of a server that writes down what it is sent."""
    handler = type("Book", (_Book,), {"written": written})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def connected(proxy: Proxy) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=AMPLE)
    try:
        yield connection
    finally:
        connection.close()


Answer: TypeAlias = "tuple[int, bytes, str | None]"  # status, body and Retry-After


def put(connection: http.client.HTTPConnection, body: bytes = b"words", clock: Clock | None = None) -> Answer:
    """Send a request, signed where there is a clock, and take its answer."""
    headers: dict[str, str] = {}
    if clock is not None:
        clock.sign(headers)
    connection.request("PUT", "/things/points?wait=true", body, headers)
    return answered(connection)


def answered(connection: http.client.HTTPConnection) -> Answer:
    with connection.getresponse() as response:
        return response.status, response.read(), response.headers.get("retry-after")


def outcome(proxy: Proxy) -> str:
    """What a plain client makes of one request, in a word."""
    earlier = len(proxy.events)
    with connected(proxy) as connection:
        try:
            connection.request("PUT", "/things/points?wait=true", b"words")
            until(lambda: len(proxy.events) > earlier)
            fault = proxy.events[earlier].fault
            if fault is not None and MEANT[fault.name] == "silence":
                connection.sock.settimeout(HEARKEN)
            status, body, _ = answered(connection)
        except TimeoutError:
            return "silence"
        except http.client.HTTPException:  # also where nothing came, which is a ConnectionResetError too
            return "broken"
        except ConnectionResetError:
            return "reset"
    return str(status) if status != 200 else "ok" if body == BODY else "not it"


MEANT = {
    "429, seconds": "429",
    "429, date": "429",
    "429": "429",
    "503, seconds": "503",
    "408": "408",
    "500": "500",
    "502": "502",
    "503": "503",
    "504": "504",
    "reset": "reset",
    "end of file": "broken",
    "silence": "silence",
    "web page": "not it",
    "applied, 500": "500",
    "applied, reset": "reset",
    "applied, end of file": "broken",
    "applied, silence": "silence",
    "applied, garbage": "not it",
    "half a head": "not it",  # Python's own client takes it for a whole one
    "half a body": "broken",
    "half a body, reset": "reset",
    "half a JSON": "not it",
    "drip": "ok",  # for who waits
    "damaged chunk": "broken",
    "applied twice": "ok",
    "504, applied late": "504",
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_what_its_name_says_and_the_next_request_meets_none(
    fault: Fault, book: str, written: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "DRIP_SECONDS", 0.001)
    with faulty_proxy(book, once(fault.name, lambda seen: True)) as proxy:
        assert outcome(proxy) == MEANT[fault.name]
        applied = {"applied twice": 2, "504, applied late": 0}.get(fault.name, int(fault.applied))
        until(lambda: len(written) >= applied)  # who hears nothing does not know when
        assert len(written) == applied
        assert outcome(proxy) == "ok"
    assert len(written) == applied + 1 + (fault.name == "504, applied late")
    assert [event.fault for event in proxy.events] == [fault, None]


def test_a_healthy_answer_passes_unchanged_over_a_connection_that_is_kept(
    book: str, written: list[bytes]
) -> None:
    with faulty_proxy(book, lambda seen: None) as proxy, connected(proxy) as connection:
        assert [put(connection, body)[:2] for body in (b"one", b"two", b"")] == [(200, BODY)] * 3
    assert written == [b"one", b"two", b""]
    assert [event.seen.number for event in proxy.events] == [0, 1, 2]
    assert proxy.events[0].seen.path == "/things/points"
    assert proxy.events[0].seen.writes_points


def test_a_request_that_is_sent_again_has_the_same_key(book: str) -> None:
    with faulty_proxy(book, lambda seen: None) as proxy, connected(proxy) as connection:
        for body in (b"one", b"two", b"one"):
            put(connection, body)
    first, second, third = (event.seen.key for event in proxy.events)
    assert first == third != second


def test_a_retry_after_comes_in_seconds_or_as_a_date_and_is_noted(book: str) -> None:
    for name in ("429, seconds", "429, date"):
        with faulty_proxy(book, once(name, lambda seen: True)) as proxy, connected(proxy) as connection:
            header = put(connection)[2]
        assert header is not None
        asked = proxy.events[0].asked
        assert asked is not None
        if header.isdigit():
            assert asked == float(header) == ASKED_SECONDS
        else:
            assert email.utils.parsedate_to_datetime(header).timestamp() - time.time() <= asked
            assert asked > ASKED_SECONDS - 1.1


class Standing(Clock):
    """Time passes only for who sleeps."""

    def now(self) -> float:
        return sum(self.naps)


def test_who_comes_back_too_soon_is_told_from_who_waits(book: str) -> None:
    for nap, hurried in ((ASKED_SECONDS - 0.5, 1), (ASKED_SECONDS + 0.0, 0)):
        clock = Standing()
        choose = once("429, seconds", lambda seen: True)
        with faulty_proxy(book, choose, clock) as proxy, connected(proxy) as connection:
            put(connection)
            clock.sleep(nap)
            put(connection)
        assert len(proxy.hurried()) == hurried


@pytest.mark.parametrize("name", UNTIL_DEADLINE)
def test_a_try_ends_when_the_proxy_says_that_it_is_late(name: str, book: str) -> None:
    clock = Clock()
    with faulty_proxy(book, once(name, lambda seen: True), clock) as proxy:

        def ask() -> Answer:
            with connected(proxy) as connection:
                return put(connection, clock=clock)

        with pytest.raises(Passing):
            clock.within(AMPLE, ask)
        assert clock.within(AMPLE, ask)[:2] == (200, BODY)


def test_a_server_that_is_not_there_is_a_bad_gateway(book: str) -> None:
    with faulty_proxy("http://127.0.0.1:1", lambda seen: None) as proxy:
        assert outcome(proxy) == "502"


def test_a_plan_is_a_function_of_seed_and_number() -> None:
    plan = Plan(0.2, 7)
    forwards = [plan.fault(number) for number in range(200)]
    assert forwards == [plan.fault(number) for number in reversed(range(200))][::-1]
    assert forwards != [Plan(0.2, 8).fault(number) for number in range(200)]
    assert plan(Seen(3, "GET", "/", "")) == forwards[3]


def test_a_plan_keeps_its_rate_and_uses_the_whole_catalogue() -> None:
    met = [fault.name for number in range(3000) if (fault := Plan(0.2, 1).fault(number))]
    assert 500 < len(met) < 700
    assert collections.Counter(met).keys() == FAULTS.keys()


def test_never_more_than_three_in_a_row() -> None:
    for rate in (0.2, 0.7, 1.0):
        met = "".join("x" if Plan(rate, 3).fault(number) else "." for number in range(300))
        assert max(map(len, met.split("."))) == IN_A_ROW or rate < 0.5
        assert "x" * (IN_A_ROW + 1) not in met


def test_a_plan_may_be_of_some_faults_only() -> None:
    met = {fault.name for number in range(100) if (fault := Plan(0.5, 1, ("500", "reset")).fault(number))}
    assert met == {"500", "reset"}


def test_the_catalogue_tells_what_is_applied() -> None:
    assert MEANT.keys() == FAULTS.keys() == BEFORE.keys() | AFTER.keys()
    assert all(FAULTS[name].applied == (name in AFTER) for name in FAULTS)
    assert set(UNTIL_DEADLINE) <= FAULTS.keys()
