"""Connections that do not wait for ever, over raw sockets and with tiny limits.

No test measures time: a server that waited without end would make the client's own time-out fail the test.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
from collections.abc import Iterator

import httpx
import pytest
from starlette.responses import Response

from connector.server.connection import LONGEST_HEADER
from tests.server.conftest import dial, rest, shell

LARGE = 32 * 1024 * 1024  # more than sockets hold


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that is impatient."""
    made = shell(header_seconds=0.3, body_seconds=0.3, max_body_bytes=10_000)

    @made.app.get("/small")
    async def small() -> str:
        return "x"

    @made.app.get("/large")
    async def large() -> Response:
        return Response(bytes(LARGE))

    with made.running() as url:
        yield url


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
def test_a_socket_without_a_whole_header_is_closed(url: str, sent: bytes) -> None:
    with dial(url) as connection:
        connection.sendall(sent)
        assert rest(connection) == b""


def test_a_header_that_dribbles_is_closed_too(url: str) -> None:
    with dial(url) as connection:
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


def test_the_second_request_of_a_connection_is_watched_like_the_first(url: str) -> None:
    with dial(url) as connection:
        connection.sendall(b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first = connection.recv(65536)
        assert first.startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /small HTTP/1.1\r\nHost: loc")
        assert b"HTTP/1.1" not in rest(connection)


def test_a_body_that_nobody_reads_does_not_keep_a_connection(url: str) -> None:
    with dial(url) as connection:
        connection.sendall(b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\nhalf")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404")
        connection.sendall(b"of it")
        rest(connection)  # ends


def test_a_header_without_end_is_refused(url: str) -> None:
    with dial(url) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"GET /small HTTP/1.1\r\nX-Long: " + b"a" * (LONGEST_HEADER + 10))
        answer = rest(connection)
        assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""  # a reset may swallow the answer


def test_a_long_header_that_ends_in_time_is_taken(url: str) -> None:
    answer = httpx.get(f"{url}/small", headers={"X-Long": "a" * 50_000}, trust_env=False)
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
def test_what_is_no_http_gets_a_problem(url: str, sent: bytes) -> None:
    with dial(url) as connection:
        connection.sendall(sent)
        answer = rest(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body.splitlines()[-1])["code"] == "bad_request"


def test_a_client_that_does_not_read_its_answer_is_left(url: str) -> None:
    with dial(url) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        # Nothing is read until the server has given up: it says so by a reset.
        poll = select.poll()
        poll.register(connection, select.POLLERR | select.POLLHUP | select.POLLRDHUP)
        assert poll.poll(10_000), "the server still waits"


def test_a_client_that_reads_gets_all_of_it(url: str) -> None:
    assert len(httpx.get(f"{url}/large", trust_env=False).content) == LARGE


def test_idle_sockets_hinder_nobody(url: str) -> None:
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(dial(url)) for _ in range(200)]
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.get("/small").json() == "x"
        assert {rest(connection) for connection in idle} == {b""}
