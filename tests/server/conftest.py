"""The real server over a small shop on a real socket, in a thread of the test's process."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from connector import Connector, ModelHandler
from connector.server.config import ServerConfig
from connector.server.guard import Standing
from connector.server.metrics import Metrics
from connector.server.serving import listen, server_for, url_of
from connector.server.shell import new_app
from tests.conftest import PATIENCE, SPACE, Shop

READ_KEY, WRITE_KEY = "reads-only-0123456789", "reads-and-writes-0123456789"
ROWS = 12
# How soon a busy machine answers is asked nowhere here; this only ends what would otherwise hang.
ANSWER = 60.0  # seconds for one answer

assert SPACE.transformation_config.embedding_config.model_handler is ModelHandler.STAND_IN


@contextlib.contextmanager
def running(app: FastAPI, config: ServerConfig | None = None, port: int = 0) -> Iterator[str]:
    """The app on this port, or on a free one of this machine, for as long as the block runs; its URL."""
    config = dataclasses.replace(config or ServerConfig(), port=port)
    with contextlib.closing(listen(config)) as listener:
        started = threading.Event()
        server = server_for(app, config, started.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert started.wait(PATIENCE), "the server did not start"
            yield url_of(listener)
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
        assert not thread.is_alive()


@dataclasses.dataclass(frozen=True)
class Live:
    """A server that runs, and a client for it."""

    url: str
    client: httpx.Client
    shop: Connector[Any]  # the one being served; safe to look at from the test
    app: FastAPI
    config: ServerConfig

    @property
    def address(self) -> tuple[str, int]:
        """For a raw socket."""
        url = httpx.URL(self.url)
        assert url.port is not None
        return url.host, url.port


OpenLive = Callable[..., Live]


@pytest.fixture
def open_live(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenLive]:
    """Open servers: `open_live(max_searches=2)` is one with that limit; each has the shop's first twelve records.

    `space`, `qdrant` (default ":memory:") and `rows` may be given; everything else is `ServerConfig`'s.
    The working directory is the shop's folder.
    """
    from connector.server.app import create_app

    monkeypatch.chdir(shop.folder)
    monkeypatch.setattr("connector.server.health.PATIENCE", ANSWER)
    with contextlib.ExitStack() as stack:

        def open_one(
            *, space: Any = SPACE, qdrant: str | Path = ":memory:", rows: int = ROWS, **limits: Any
        ) -> Live:
            config = ServerConfig(**{"port": 0, **limits})
            connector = Connector(space, qdrant)
            if rows:
                assert connector.ingest(shop.rows(rows), base=shop.folder).rejected == 0
            app = create_app(connector, config)
            url = stack.enter_context(running(app, config))
            key = {"X-API-Key": config.write_keys[0]} if config.write_keys else {}
            client = stack.enter_context(new_client(url, headers=key))
            return Live(url, client, connector, app, config)

        yield open_one


@pytest.fixture
def live(open_live: OpenLive) -> Live:
    """A server without keys over twelve records of the stand-in shop (`a0` … `a11`), in memory."""
    return open_live()


@pytest.fixture
def client(live: Live) -> httpx.Client:
    """A client of `live`."""
    return live.client


@dataclasses.dataclass(frozen=True)
class Shell:
    """An application without the house's routes, and what it shares with its server."""

    app: FastAPI
    config: ServerConfig
    metrics: Metrics
    standing: Standing

    def running(self) -> contextlib.AbstractContextManager[str]:
        """Run it; its URL."""
        return running(self.app, self.config)


def shell(**limits: Any) -> Shell:
    """An application to hang a test's own routes on."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield

    config, metrics, standing = ServerConfig(**{"port": 0, **limits}), Metrics(), Standing()
    return Shell(new_app(config, metrics, standing, lifespan), config, metrics, standing)


def new_client(url: str, **options: Any) -> httpx.Client:
    """A client of a server; the environment's proxies are none of its business."""
    return httpx.Client(base_url=url, timeout=ANSWER, trust_env=False, **options)


def ask(url: str, method: str = "GET", **options: Any) -> httpx.Response:
    """The answer to one request on a connection of its own."""
    return httpx.request(method, url, timeout=ANSWER, trust_env=False, **options)


def dial(url: str, timeout: float = ANSWER) -> socket.socket:
    """A raw connection to a server."""
    address = httpx.URL(url)
    assert address.port is not None
    return socket.create_connection((address.host, address.port), timeout)


def rest(connection: socket.socket) -> bytes:
    """Everything that still comes, until the other side closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)
