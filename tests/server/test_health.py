"""Is it up, is it ready, how is it doing."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from connector import Connector, StoreLocked, StoreUnavailable
from connector.server.health import Readiness, health_router
from connector.server.metrics import CONTENT_TYPE
from connector.server.problems import Problem
from tests.conftest import PATIENCE, SPACE, Shop
from tests.server.conftest import ANSWER, Shell, ask, new_client, shell


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """How soon a store answers is asked by one test alone, which says so."""
    monkeypatch.setattr("connector.server.health.PATIENCE", ANSWER)


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Store:
    """Counts how often it was asked; says what the test wants said."""

    def __init__(self) -> None:
        self.asked = 0
        self.says: Any = {}
        self.hold: threading.Event | None = None

    def describe(self) -> Any:
        """The answer, or the error."""
        self.asked += 1
        if self.hold is not None:
            self.hold.wait(PATIENCE)
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


class Shelf:
    """As much of a connector as readiness looks at."""

    def __init__(self) -> None:
        self.store = Store()


def test_the_store_is_asked_at_most_once_a_second() -> None:
    shelf, clock = Shelf(), Clock()
    ready = Readiness(shelf, clock)  # type: ignore[arg-type]

    async def ask() -> None:
        assert await asyncio.gather(*(ready.check() for _ in range(20))) == [True] * 20
        assert shelf.store.asked == 1
        shelf.store.says = None
        assert await ready.check() is True  # remembered
        clock.now += 1.5
        assert await ready.check() is False
        assert shelf.store.asked == 2

    asyncio.run(ask())
    ready.close()


def test_a_store_that_is_away_is_503_and_asked_again_a_second_later() -> None:
    shelf, clock = Shelf(), Clock()
    ready = Readiness(shelf, clock)  # type: ignore[arg-type]
    shelf.store.says = StoreUnavailable("Qdrant does not answer. Start it.")

    async def ask() -> None:
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await ready.check()
        assert shelf.store.asked == 1
        shelf.store.says, clock.now = {}, clock.now + 1.5
        assert await ready.check() is True

    asyncio.run(ask())
    ready.close()


def test_a_store_that_thinks_for_long_is_not_asked_again_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.server.health.PATIENCE", 0.05)
    shelf, clock = Shelf(), Clock()
    ready = Readiness(shelf, clock)  # type: ignore[arg-type]
    shelf.store.hold = threading.Event()

    async def ask() -> None:
        for _ in range(3):
            with pytest.raises(Problem, match="did not answer"):
                await ready.check()
            clock.now += 10
        assert shelf.store.asked == 1
        assert shelf.store.hold is not None
        monkeypatch.setattr("connector.server.health.PATIENCE", ANSWER)
        shelf.store.hold.set()
        assert await ready.check()
        assert shelf.store.asked == 1

    asyncio.run(ask())
    ready.close()


def served(shop: Any) -> Shell:
    """The routes over a connector."""
    made = shell()
    made.app.include_router(health_router(Readiness(shop), made.metrics))
    return made


def test_the_routes_over_a_real_store(shop: Shop, tmp_path: Path) -> None:
    with Connector(SPACE, tmp_path / "store.qdrant") as connector:
        made = served(connector)
        with made.running() as url, new_client(url) as client:
            assert client.get("/health").json() == {"status": "ok"}
            assert client.get("/ready").json() == {"status": "ready", "collection": False}
            assert client.get("/metrics").headers["content-type"] == CONTENT_TYPE
            assert 'route="/ready",status="200"' in client.get("/metrics").text
    with Connector(SPACE, tmp_path / "store.qdrant") as connector:
        connector.ingest(shop.rows(2), base=shop.folder)
        with served(connector).running() as url:
            assert ask(f"{url}/ready").json()["collection"] is True


def test_a_locked_folder_is_a_problem_and_health_stays() -> None:
    shelf = Shelf()
    shelf.store.says = StoreLocked("./shop.qdrant is locked by another process. Stop it.")
    with served(shelf).running() as url, new_client(url) as client:
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()["code"]) == (503, "store_locked")
        assert answer.headers["retry-after"] == "2"
        assert client.get("/health").status_code == 200
