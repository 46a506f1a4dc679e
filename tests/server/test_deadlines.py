"""How much of a request is taken, and how long it may take; over raw sockets where bodies lie or dawdle."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import Request
from pydantic import BaseModel

from connector.server.connection import PatientProtocol
from tests.conftest import until
from tests.server.conftest import ask, dial, new_client, rest, shell

BODY = 10_000
SOON = 0.3  # seconds; nothing that must be answered may depend on them


class Body(BaseModel):
    """Any JSON object."""

    text: str = ""


class Server:
    """A server that takes few bytes, and what its routes have seen."""

    def __init__(self, **limits: Any) -> None:
        self.made = shell(max_body_bytes=BODY, max_ingest_bytes=5 * BODY, **limits)
        self.seen: list[str] = []
        self.hold = asyncio.Event()
        app = self.made.app

        @app.post("/search")
        async def search(body: Body) -> int:
            self.seen.append("search")
            return len(body.text)

        @app.post("/ingest")
        async def ingest(request: Request) -> int:
            total = 0
            try:
                async for part in request.stream():
                    total += len(part)
            except Exception as error:
                self.seen.append(f"{type(error).__name__} after {total}")
                raise
            return total

        @app.post("/stubborn")
        async def stubborn(request: Request) -> str:
            with contextlib.suppress(Exception):
                await request.body()
            return "whatever came"

        @app.get("/sleeps")
        @app.post("/sleeps")
        async def sleeps() -> str:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.seen.append("cancelled")
                raise
            return "never"

        @app.post("/api/legacy/tasks/text-embedding/demo/jobs")
        async def legacy() -> str:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2 * SOON):
                    await self.hold.wait()
            return "done"


@pytest.fixture(scope="module")
def server() -> Server:
    """A server with the usual times."""
    return Server()


@pytest.fixture(scope="module")
def url(server: Server) -> Iterator[str]:
    """Where it listens."""
    with server.made.running() as url:
        yield url


@pytest.fixture(scope="module")
def hasty() -> Iterator[str]:
    """Where a server listens that waits for no body."""
    with Server(body_seconds=SOON).made.running() as url:
        yield url


@pytest.fixture(scope="module")
def brief() -> Server:
    """A server whose answers may take no time."""
    return Server(request_seconds=SOON)


@pytest.fixture(scope="module")
def brief_url(brief: Server) -> Iterator[str]:
    """Where that one listens."""
    with brief.made.running() as url:
        yield url


def raw(url: str, sent: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes as they are and read one answer: its status and its problem."""
    with dial(url) as connection:
        connection.sendall(sent)
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = connection.recv(65536)
            assert part, f"closed after {answer!r}"
            answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        while len(body) < length:
            part = connection.recv(65536)
            assert part, f"closed after {body!r}"
            body += part
        return int(head.split()[1]), json.loads(body)


def head(path: str, *lines: str) -> bytes:
    """A POST's header."""
    return "\r\n".join(
        (f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *lines, "", "")
    ).encode()


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read(server: Server, url: str) -> None:
    server.seen.clear()
    status, problem = raw(url, head("/search", f"Content-Length: {BODY + 1}"))  # and no byte of it
    assert (status, problem["code"]) == (413, "body_too_large")
    assert problem["detail"] == "The body is larger than 10,000 bytes. Send less at once."
    assert server.seen == []
    assert raw(url, head("/search", "Content-Length: 99999999999999999999"))[0] in (400, 413)


def test_a_body_that_does_not_say_so_is_refused_while_it_is_read(server: Server, url: str) -> None:
    server.seen.clear()
    chunk = b"%x\r\n%s\r\n" % (4000, b"a" * 4000)
    status, problem = raw(url, head("/search", "Transfer-Encoding: chunked") + chunk * 3)
    assert (status, problem["code"]) == (413, "body_too_large")
    assert server.seen == []


def test_a_body_of_just_the_largest_size_is_taken(url: str) -> None:
    text = "a" * (BODY - len('{"text": ""}'))
    body = b'{"text": "%s"}' % text.encode()
    assert len(body) == BODY
    answer = ask(f"{url}/search", "POST", content=body, headers={"Content-Type": "application/json"})
    assert answer.json() == len(text)


@pytest.mark.parametrize("path", ["/search", "/ingest", "/stubborn"])
@pytest.mark.parametrize("length", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_half_a_body_is_not_waited_for(hasty: str, path: str, length: str) -> None:
    with dial(hasty) as connection:
        connection.sendall(head(path, length) + b"5\r\nhalf ")
        answer = rest(connection)  # the server answers, and closes
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "body_slow"
    assert b"connection: close" in answer.lower()


def test_a_client_that_is_gone_half_way_leaves_a_server_that_goes_on(server: Server, url: str) -> None:
    server.seen.clear()
    with dial(url) as connection:
        connection.sendall(head("/ingest", "Content-Length: 100") + b"half")
    assert ask(f"{url}/search", "POST", json={"text": "ab"}).json() == 2


def test_a_stream_has_a_limit_of_its_own(server: Server, url: str) -> None:
    with new_client(url) as client:
        assert client.post("/ingest", content=b"a" * 4 * BODY).json() == 4 * BODY
        answer = client.post("/ingest", content=(b"a" * BODY for _ in range(6)))
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert server.seen[-1] == f"Problem after {5 * BODY}"


def test_a_stream_is_refused_after_what_was_within_the_limit(server: Server, url: str) -> None:
    """However much of it comes at a time: here all of it at once."""
    server.seen.clear()
    chunk = b"%x\r\n%s\r\n" % (6 * BODY, b"a" * 6 * BODY)
    status, problem = raw(url, head("/ingest", "Transfer-Encoding: chunked") + chunk)
    assert (status, problem["code"]) == (413, "body_too_large")
    assert server.seen == [f"Problem after {5 * BODY}"]


def test_an_answer_that_takes_too_long_is_given_up(brief: Server, brief_url: str) -> None:
    brief.seen.clear()
    with new_client(brief_url) as client:
        for answer in (client.get("/sleeps"), client.post("/sleeps", content=b"x")):
            assert (answer.status_code, answer.json()["code"]) == (503, "took_too_long")
            assert answer.headers["retry-after"] == "2"
    assert brief.seen == ["cancelled"] * 2


def test_a_legacy_job_may_take_as_long_as_jobs_do(brief_url: str) -> None:
    answer = ask(f"{brief_url}/api/legacy/tasks/text-embedding/demo/jobs", "POST")
    assert answer.json() == "done"


def test_bodies_that_are_read_at_once_have_a_limit_together() -> None:
    server = Server(max_held_bytes=BODY)
    with server.made.running() as url, contextlib.ExitStack() as stack:
        slow = stack.enter_context(dial(url))
        slow.sendall(head("/search", f"Content-Length: {BODY}") + b" " * (BODY - 100))
        with new_client(url) as client:
            small = client.post("/search", json={"text": "ab"})
            assert small.json() == 2  # there is room for small ones
            answer = client.post("/search", json={"text": "a" * 5000})
            assert (answer.status_code, answer.json()["code"]) == (429, "too_many_bytes")
            slow.close()
            # Its bytes are given back as soon as the server sees that it has gone.
            until(lambda: client.post("/search", json={"text": "a" * 5000}).status_code == 200)


def test_the_seconds_are_the_configurations(monkeypatch: pytest.MonkeyPatch) -> None:
    made = shell(header_seconds=70.0, body_seconds=80.0)
    seen: list[tuple[float, float]] = []
    connection_made = PatientProtocol.connection_made

    def look(self: PatientProtocol, transport: Any) -> None:
        seen.append((self.header_seconds, self.read_seconds))
        connection_made(self, transport)

    monkeypatch.setattr(PatientProtocol, "connection_made", look)
    with made.running() as url:
        ask(url)
    assert seen == [(70.0, 80.0)]
