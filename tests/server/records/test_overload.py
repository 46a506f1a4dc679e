"""More at once than is allowed: told at once, with when to come again, and nothing is left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from connector import Connector
from tests.conftest import PATIENCE, until
from tests.server.conftest import Live, OpenLive, ask


class Held:
    """Calls of one method of the shop that wait until they are let go."""

    def __init__(self, live: Live, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inside = threading.Semaphore(0)
        self.go = threading.Event()
        real: Callable[..., Any] = getattr(Connector, name)

        def held(*args: Any, **kwargs: Any) -> Any:
            self.inside.release()
            assert self.go.wait(PATIENCE)
            return real(*args, **kwargs)

        monkeypatch.setattr(Connector, name, held)


def together(live: Live, paths: list[str]) -> tuple[list[threading.Thread], list[httpx.Response]]:
    responses: list[httpx.Response] = []

    def keep(path: str) -> None:
        responses.append(ask(live.url + path))

    threads = [threading.Thread(target=keep, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    return threads, responses


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("search", "/search?text=mug", "too_many_searches"),
        ("get", "/records/a1", "too_many_reads"),
        ("count", "/count", "too_many_reads"),
        ("thumbnail", "/images/a1", "too_many_reads"),
    ],
)
def test_beyond_the_limit_is_a_429_at_once(
    open_live: OpenLive, monkeypatch: pytest.MonkeyPatch, method: str, path: str, code: str
) -> None:
    live = open_live(max_searches=3, max_reads=3)
    assert live.client.get(path).status_code == 200
    held = Held(live, method, monkeypatch)
    threads, responses = together(live, [path] * 4)
    try:
        # Three are held; the fourth, whichever it is, is answered while they are.
        until(lambda: responses)
        (refusal,) = responses
    finally:
        held.go.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert (refusal.status_code, refusal.json()["code"]) == (429, code)
    assert refusal.headers["retry-after"]
    assert sorted(response.status_code for response in responses) == [200, 200, 200, 429]
    assert live.client.get(path).status_code == 200


def test_health_and_the_other_routes_are_answered_meanwhile(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(live, "search", monkeypatch)
    threads, responses = together(live, ["/search?text=mug"] * 5)
    try:
        assert held.inside.acquire(timeout=PATIENCE)
        for path in ("/health", "/count", "/records/a1", "/schema", "/images/a1"):
            assert live.client.get(path).status_code == 200
    finally:
        held.go.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert [response.status_code for response in responses] == [200] * 5


def test_many_clients_all_get_their_own_answer(open_live: OpenLive) -> None:
    live = open_live(max_searches=64)
    texts = [f"{colour} mug {number}" for number in range(20) for colour in ("red", "green", "blue")]
    expected = {text: [hit.id for hit in live.shop.search(text, limit=3)] for text in texts}
    threads, responses = together(live, [f"/search?limit=3&text={text.replace(' ', '+')}" for text in texts])
    for thread in threads:
        thread.join(PATIENCE)
    assert len(responses) == len(texts)
    for response in responses:
        text = httpx.QueryParams(response.request.url.query.decode())["text"]
        assert [hit["id"] for hit in response.json()["hits"]] == expected[text]


def test_a_request_that_takes_too_long_frees_its_place(
    open_live: OpenLive, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = open_live(max_searches=1, request_seconds=0.3)
    held = Held(live, "search", monkeypatch)
    assert live.client.get("/search?text=mug").status_code == 503
    held.go.set()
    until(lambda: live.client.get("/search?text=mug").status_code == 200)
