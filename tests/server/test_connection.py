"""Connections that do not wait for ever, over raw sockets; with tiny limits where a test is about what is given up.

No test measures time: a server that waited without end would make the client's own time-out fail the test.
"""

from __future__ import annotations

import contextlib
import json
import resource
import select
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.responses import Response

from connector.server.connection import LONGEST_HEADER, PatientProtocol
from tests.server.conftest import ANSWER, Shell, ask, dial, new_client, rest, shell

LARGE = 32 * 1024 * 1024  # more than sockets hold
SOON = 0.3  # seconds; nothing that must be answered may depend on them
MOST = 200  # connections at once


def with_routes(**limits: Any) -> Shell:
    """A shell with a small answer and a large one."""
    made = shell(**limits)

    @made.app.get("/small")
    async def small() -> str:
        return "x"

    @made.app.get("/large")
    async def large() -> Response:
        return Response(bytes(LARGE))

    return made


@pytest.fixture(scope="module")
def patient() -> Iterator[str]:
    """A server with the usual times, for what must be answered."""
    with with_routes().running() as url:
        yield url


@pytest.fixture(scope="module")
def impatient() -> Iterator[str]:
    """A server for what must be given up."""
    with with_routes(header_seconds=SOON, body_seconds=SOON).running() as url:
        yield url


@pytest.fixture
def accepted(monkeypatch: pytest.MonkeyPatch) -> list[PatientProtocol]:
    """The server's side of the connections of a test."""
    connections: list[PatientProtocol] = []
    made = PatientProtocol.connection_made

    def noted(self: PatientProtocol, transport: Any) -> None:
        connections.append(self)
        made(self, transport)

    monkeypatch.setattr(PatientProtocol, "connection_made", noted)
    return connections


def idlers(stack: contextlib.ExitStack, url: str) -> list[socket.socket]:
    """Many connections on which nothing is sent; each takes two open files of this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = MOST if soft == resource.RLIM_INFINITY else min(MOST, soft // 4)
    return [stack.enter_context(dial(url)) for _ in range(count)]


def given_up(connection: socket.socket, seconds: float) -> bool:
    """Whether the server lets go of a connection within some seconds, whatever is still to be read."""
    poll = select.poll()
    poll.register(connection, select.POLLERR | select.POLLHUP | select.POLLRDHUP)
    return bool(poll.poll(1000 * seconds))


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        b"\r\n",
        b"GET /small HTTP/1.1\r\n",
        b"GET /small HTTP/1.1\r\nHost: localhost\r\nX-Half: ",
        b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n",
    ],
)
def test_a_socket_without_a_whole_header_is_closed(impatient: str, sent: bytes) -> None:
    with dial(impatient) as connection:
        connection.sendall(sent)
        assert rest(connection) == b""


def test_a_header_that_dribbles_is_closed_too(impatient: str) -> None:
    with dial(impatient) as connection:
        connection.sendall(b"GET /small HTTP/1.1\r\nX-Slow: ")
        connection.settimeout(0.02)
        # One byte at a time, for far longer than a header may take.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(2000):
                connection.sendall(b"x")
                with contextlib.suppress(TimeoutError):
                    if connection.recv(100) == b"":
                        break
            else:
                pytest.fail("still open")


def test_the_second_request_of_a_connection_is_watched_like_the_first(
    patient: str, accepted: list[PatientProtocol]
) -> None:
    with dial(patient) as connection:
        connection.sendall(b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first = connection.recv(65536)
        assert first.startswith(b"HTTP/1.1 200")
        accepted[0].header_seconds = SOON
        connection.sendall(b"GET /small HTTP/1.1\r\nHost: loc")
        assert b"HTTP/1.1" not in rest(connection)


def test_a_body_that_nobody_reads_does_not_keep_a_connection(
    patient: str, accepted: list[PatientProtocol]
) -> None:
    with dial(patient) as connection:
        connection.sendall(b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\nhalf")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404")
        accepted[0].header_seconds = SOON
        connection.sendall(b"of it")
        rest(connection)  # ends


def test_a_header_without_end_is_refused(patient: str) -> None:
    with dial(patient) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"GET /small HTTP/1.1\r\nX-Long: " + b"a" * (LONGEST_HEADER + 10))
        answer = rest(connection)
        assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""  # a reset may swallow the answer


def test_a_long_header_that_ends_in_time_is_taken(patient: str) -> None:
    answer = ask(f"{patient}/small", headers={"X-Long": "a" * 50_000})
    assert answer.json() == "x"


@pytest.mark.parametrize(
    "sent",
    [
        b"no http at all\r\n\r\n",
        b"GET /small HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /search HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /search HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"GET /sm\x00all HTTP/1.1\r\n\r\n",
        b"POST /search HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
def test_what_is_no_http_gets_a_problem(patient: str, sent: bytes) -> None:
    with dial(patient) as connection:
        connection.sendall(sent)
        answer = rest(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body.splitlines()[-1])["code"] == "bad_request"


def asks_for_much(url: str, room: int, last: str = "Connection: close\r\n") -> socket.socket:
    """A connection with so much room for a large answer, which is coming."""
    connection = dial(url)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    connection.sendall(f"GET /large HTTP/1.1\r\nHost: localhost\r\n{last}\r\n".encode())
    return connection


@pytest.mark.parametrize("last", ["", "Connection: close\r\n"])
def test_a_client_that_does_not_read_its_answer_is_left(impatient: str, last: str) -> None:
    with asks_for_much(impatient, 4096, last) as connection:
        # Nothing is read until the server has given up: it says so by a reset.
        assert given_up(connection, ANSWER), "the server still waits"


def test_a_client_that_reads_a_byte_now_and_then_is_left_too(impatient: str) -> None:
    with asks_for_much(impatient, 4096) as connection, contextlib.suppress(ConnectionResetError):
        for _ in range(2000):
            if given_up(connection, 0.02):
                break
            connection.recv(1)
        else:
            pytest.fail("still open")


def test_a_client_that_reads_gets_all_of_it(patient: str) -> None:
    assert len(ask(f"{patient}/large").content) == LARGE


def test_a_client_that_goes_on_reading_gets_all_of_it_however_often_it_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here the server's time passes when the client has read a part, and not before."""
    look, part = PatientProtocol._look_at_reader, LARGE // 8
    read, looked = threading.Semaphore(0), threading.Semaphore(0)

    def look_then(self: PatientProtocol, before: int) -> None:
        if read.acquire(blocking=False):
            look(self, before)
            looked.release()
        else:
            self._reading_timer = self.loop.call_later(0.01, look_then, self, before)

    monkeypatch.setattr(PatientProtocol, "_look_at_reader", look_then)
    with (
        with_routes(body_seconds=0.01).running() as url,
        asks_for_much(url, 65536) as connection,
        connection.makefile("rb") as answer,
    ):
        for _ in range(5):
            assert len(answer.read(part)) == part
            read.release()
            assert looked.acquire(timeout=ANSWER)
        assert len(answer.read()) > LARGE - 5 * part


def test_idle_sockets_hinder_nobody(patient: str) -> None:
    with contextlib.ExitStack() as stack:
        idlers(stack, patient)
        with new_client(patient) as client:
            assert client.get("/small").json() == "x"


def test_idle_sockets_are_all_closed(impatient: str) -> None:
    with contextlib.ExitStack() as stack:
        assert {rest(connection) for connection in idlers(stack, impatient)} == {b""}
