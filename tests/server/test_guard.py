"""What every request meets first."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import re
import threading
from collections.abc import Iterator

import httpx
import pytest

from connector.logs import JsonLines
from connector.server.guard import Standing
from connector.server.problems import Problem
from tests.conftest import PATIENCE, until
from tests.server.conftest import READ_KEY, WRITE_KEY, Shell, ask, dial, new_client, rest, shell


def with_routes(**limits: object) -> Shell:
    """A shell with some routes."""
    made = shell(**limits)
    app = made.app

    @app.get("/health")
    async def health() -> str:
        return "ok"

    @app.get("/records/{id}")
    async def get(id: str) -> str:
        return id

    @app.delete("/records/{id}")
    async def remove(id: str) -> str:
        return id

    @app.post("/search")
    async def search() -> str:
        return "found"

    return made


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of a server without keys."""
    with with_routes().running() as url, new_client(url) as client:
        yield client


def test_every_answer_has_an_id_and_a_sane_one_is_kept(client: httpx.Client) -> None:
    given = {"X-Request-ID": "client-7.b_C"}
    assert client.get("/health", headers=given).headers["x-request-id"] == "client-7.b_C"
    first, second = (client.get("/nothing").headers["x-request-id"] for _ in range(2))
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second


@pytest.mark.parametrize("id", ["", "a" * 129, "with space", '"quoted"', "semi;colon", "ümlaut"])
def test_an_odd_id_is_replaced(client: httpx.Client, id: str) -> None:
    answer = client.get("/health", headers=[(b"X-Request-ID", id.encode())])
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_every_answer_has_safe_headers(client: httpx.Client) -> None:
    for answer in (client.get("/health"), client.get("/nothing"), client.post("/search", content=b"{")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in answer.headers


def test_head_is_get_without_a_body(client: httpx.Client) -> None:
    answer = client.head("/records/a1")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len('"a1"'))
    assert client.head("/nothing").status_code == 404
    assert client.head("/search").status_code == 405


def test_other_methods_are_405_and_say_what_is_allowed(client: httpx.Client) -> None:
    for method in ("PUT", "PATCH", "OPTIONS", "TRACE"):
        answer = client.request(method, "/search")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert client.post("/records/a1").headers["allow"] == "DELETE, GET, HEAD"


def test_a_slash_too_many_is_redirected(client: httpx.Client) -> None:
    answer = client.post("/search/")
    assert answer.status_code == 307
    assert answer.headers["location"].endswith("/search")


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "connector"]


def test_a_request_is_one_line_in_the_log_without_what_was_asked(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="connector"):
        client.get("/records/secret-record?token=hunter2", headers={"X-Request-ID": "the-id"})
        client.get("/nothing-secret")
        client.get("/health")
    assert len(logged(caplog)) == 2  # health is asked for all day long
    assert re.fullmatch(r"GET /records/\{id\} 200 [\d.]+ ms the-id", logged(caplog)[0])
    assert logged(caplog)[1].startswith("GET unmatched 404 ")
    assert "secret" not in caplog.text
    assert "hunter2" not in caplog.text
    line = json.loads(JsonLines().format(caplog.records[0]))
    assert (line["method"], line["route"], line["status"], line["request_id"]) == (
        "GET",
        "/records/{id}",
        200,
        "the-id",
    )
    assert line["ms"] > 0


def test_no_key_gets_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    made = with_routes(read_keys=(READ_KEY,), write_keys=(WRITE_KEY,))
    with (
        caplog.at_level(logging.DEBUG),
        made.running() as url,
        new_client(url) as client,
    ):
        client.post("/search", headers={"X-API-Key": READ_KEY})
        client.delete("/records/a1", headers={"Authorization": f"Bearer {READ_KEY}"})
        client.post("/search", headers={"X-API-Key": "a-wrong-key-0123"})
    text = io.StringIO()
    for record in caplog.records:
        if record.name.split(".")[0] not in ("httpx", "httpcore"):  # the client of this very test
            text.write(JsonLines().format(record))
    for key in (READ_KEY, WRITE_KEY, "a-wrong-key-0123"):
        assert key not in text.getvalue()
    assert "/search" in text.getvalue()


def test_requests_are_counted_by_route(client: httpx.Client) -> None:
    made = with_routes()
    with made.running() as url, new_client(url) as one:
        one.get("/records/a1")
        one.get("/records/a2")
        one.get("/nothing")
    told = made.metrics.render().decode()
    assert 'connector_requests_total{method="GET",route="/records/{id}",status="200"} 2.0' in told
    assert 'connector_requests_total{method="GET",route="unmatched",status="404"} 1.0' in told
    assert "connector_requests_in_hand 0.0" in told
    assert "a1" not in told


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://[half"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_origins_do_nothing_here(client: httpx.Client, headers: dict[str, str]) -> None:
    answer = client.delete("/records/a1", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_forbidden")
    assert client.get("/records/a1", headers=headers).status_code == 200  # the browser keeps it from the page


def test_the_servers_own_page_and_programs_may(client: httpx.Client) -> None:
    own = str(client.base_url).rstrip("/")
    assert client.delete("/records/a1", headers={"Origin": own}).status_code == 200
    assert client.delete("/records/a1").status_code == 200
    proxied = {"Origin": "https://shop.example", "Sec-Fetch-Site": "same-origin"}
    assert client.delete("/records/a1", headers=proxied).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8888", "[half", "localhost.evil.example"])
def test_a_name_that_a_stranger_points_here_is_refused(client: httpx.Client, host: str) -> None:
    answer = client.get("/records/a1", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "host_forbidden")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8888", "shop.localhost", "127.0.0.1:1", "[::1]:8888"]
)
def test_names_of_this_machine_are_taken(client: httpx.Client, host: str) -> None:
    assert client.get("/records/a1", headers={"Host": host}).status_code == 200


def test_with_keys_any_name_and_any_page_will_do() -> None:
    made = with_routes(write_keys=(WRITE_KEY,))
    headers = {"Host": "shop.example", "Origin": "https://other.example", "X-API-Key": WRITE_KEY}
    with made.running() as url, new_client(url) as client:
        assert client.delete("/records/a1", headers=headers).status_code == 200


ORIGIN = "https://shop.example"


def test_cors_is_off_until_it_is_set(client: httpx.Client) -> None:
    answer = client.get("/health", headers={"Origin": ORIGIN})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    preflight = client.options("/search", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"})
    assert preflight.status_code == 405


def test_cors_lets_the_named_origins_ask_also_before_they_show_a_key() -> None:
    made = with_routes(cors_origins=(ORIGIN,), read_keys=(READ_KEY,))
    with made.running() as url, new_client(url) as client:
        asks = {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key,content-type",
        }
        preflight = client.options("/search", headers=asks)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == ORIGIN
        assert "X-API-Key" in preflight.headers["access-control-allow-headers"]
        assert client.options("/search", headers=asks | {"Origin": "https://evil.example"}).status_code == 400

        refused = client.post("/search", headers={"Origin": ORIGIN})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == ORIGIN  # the page may read why
        found = client.post("/search", headers={"Origin": ORIGIN, "X-API-Key": READ_KEY})
        assert found.json() == "found"
        assert "X-Request-ID" in found.headers["access-control-expose-headers"]
        assert "cross-origin-resource-policy" not in found.headers


def test_a_named_origin_may_write_to_a_server_without_keys() -> None:
    with (
        with_routes(cors_origins=(ORIGIN,)).running() as url,
        new_client(url) as client,
    ):
        assert client.delete("/records/a1", headers={"Origin": ORIGIN}).status_code == 200


def test_a_server_that_stops_takes_nothing_new_but_is_alive() -> None:
    made = with_routes()
    with made.running() as url, new_client(url) as client:
        assert client.post("/search").status_code == 200
        made.standing.drain(5.0)
        answer = client.post("/search")
        assert (answer.status_code, answer.json()["code"]) == (503, "stopping")
        assert answer.headers["connection"] == "close"
        assert client.get("/health").status_code == 200


def test_more_requests_than_allowed_are_put_off() -> None:
    made = with_routes(max_requests=1)
    inside, go_on = threading.Event(), threading.Event()

    @made.app.get("/slow")
    async def slow() -> str:
        inside.set()
        await asyncio.to_thread(go_on.wait)
        return "done"

    answers: list[httpx.Response] = []
    with made.running() as url:
        first = threading.Thread(target=lambda: answers.append(ask(f"{url}/slow")))
        first.start()
        try:
            assert inside.wait(PATIENCE)
            answer = ask(f"{url}/search", "POST")
            assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
            assert answer.headers["retry-after"] == "2"
            assert ask(f"{url}/health").status_code == 200
        finally:
            go_on.set()
            first.join()
        assert ask(f"{url}/search", "POST").status_code == 200
    assert answers[0].json() == "done"


def test_a_request_that_is_put_off_waits_for_that_and_the_others_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("connector.server.guard.PAUSE", 3600.0)
    made = with_routes()

    @made.app.get("/busy")
    async def busy() -> None:
        raise Problem(429, "queue_full", "Too much. Wait.", headers={"Retry-After": "2"})

    with made.running() as url, contextlib.closing(dial(url)) as waiting:
        waiting.sendall(b"GET /busy HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: "connector_requests_in_hand 1.0" in made.metrics.render().decode())
        assert ask(f"{url}/search", "POST").json() == "found"
        waiting.settimeout(0.05)
        with pytest.raises(TimeoutError):
            waiting.recv(1)


def test_a_client_that_leaves_before_the_answer_breaks_nothing(client: httpx.Client) -> None:
    for _ in range(20):
        with dial(str(client.base_url)) as connection:
            connection.sendall(b"GET /records/a1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert client.get("/records/a1").json() == "a1"


def test_requests_in_one_go_are_answered_one_after_the_other(client: httpx.Client) -> None:
    request = b"GET /records/a%d HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
    with dial(str(client.base_url)) as connection:
        connection.sendall(request % (1, b"") + request % (2, b"") + request % (3, b"Connection: close\r\n"))
        answers = rest(connection)
    assert [answers.index(b'"a%d"' % number) for number in (1, 2, 3)] == sorted(
        answers.index(b'"a%d"' % number) for number in (1, 2, 3)
    )


def test_standing_counts_down_from_the_first_word() -> None:
    standing = Standing()
    assert standing.left() == 0.0
    standing.drain(1000.0)
    standing.drain(5.0)
    assert 5.0 < standing.left() <= 1000.0


def test_a_cancelled_request_says_that_the_server_is_stopping() -> None:
    """What uvicorn does to requests that are not done when the drain is over."""
    made = with_routes()
    inside = threading.Event()
    tasks: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[object]]] = []

    @made.app.get("/endless")
    async def endless() -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append((asyncio.get_running_loop(), task))
        inside.set()
        await asyncio.Event().wait()

    answers: list[httpx.Response] = []
    with made.running() as url:
        thread = threading.Thread(target=lambda: answers.append(ask(f"{url}/endless")))
        thread.start()
        assert inside.wait(PATIENCE)
        loop, task = tasks[0]
        loop.call_soon_threadsafe(task.cancel)
        thread.join(PATIENCE)
    assert (answers[0].status_code, answers[0].json()["code"]) == (503, "stopping")
    with contextlib.suppress(asyncio.CancelledError):
        assert task.done()
