"""One place of each kind that Qdrant can be: every test that asks for `store` or `place` runs on all of them."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.store.aliases import Aliases
from connector.store.lock import Clock
from connector.store.opening import open_aliases, open_store
from connector.store.retry import Retries
from connector.store.store import Store
from tests.store.qdrant_server import running_server

PLACES = [
    pytest.param("folder", id="folder"),
    pytest.param("memory", id="memory"),
    pytest.param("rest", id="rest"),
]
if "QDRANT_URL" in os.environ:
    PLACES.append(pytest.param("server", id="server", marks=pytest.mark.server))


@pytest.fixture
def naps() -> list[float]:
    """The seconds that retries would have slept."""
    return []


@pytest.fixture
def retries(naps: list[float]) -> Retries:
    """The default budget, without sleeping."""
    return Retries(sleep=naps.append)


class Place:
    """Somewhere that Qdrant is: opens stores and aliases there, and closes them all in the end."""

    def __init__(self, kind: str, location: str, stack: contextlib.ExitStack, retries: Retries) -> None:
        self.kind = kind
        self.location = location
        self._stack = stack
        self._retries = retries
        self._key = os.environ.get("QDRANT_API_KEY") if kind == "server" else None
        self._prefix = f"contract-{uuid.uuid4()}-" if kind == "server" else ""
        # Memory is only ever one client's: its stores are opened by its aliases.
        self._memory = self.aliases() if kind == "memory" else None

    def name(self, collection: str) -> str:
        """A collection's name here; on a real server one that nobody else has."""
        return self._prefix + collection

    def open(self, collection: str = "things", clock: Clock | None = None) -> Store:
        """Another store of a collection."""
        name = self.name(collection)
        if self._memory is not None:
            store = self._memory.open(name)
        else:
            store = open_store(self.location, name, api_key=self._key, retries=self._retries, clock=clock)
        self._stack.callback(store.close)
        return store

    def aliases(self) -> Aliases:
        """The aliases of this place."""
        if self.kind == "memory" and hasattr(self, "_memory") and self._memory is not None:
            return self._memory
        aliases = open_aliases(self.location, api_key=self._key, retries=self._retries)
        self._stack.callback(aliases.close)
        return aliases

    def clean(self) -> None:
        """Delete what was made on a real server."""
        from qdrant_client import QdrantClient

        client = QdrantClient(self.location, api_key=self._key)
        for each in client.get_collections().collections:
            if each.name.startswith(self._prefix):
                client.delete_collection(each.name)
        client.close()


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path, retries: Retries) -> Iterator[Place]:
    """A place without collections."""
    with contextlib.ExitStack() as stack:
        if request.param == "folder":
            yield Place("folder", str(tmp_path / "shop.qdrant"), stack, retries)
        elif request.param == "memory":
            yield Place("memory", ":memory:", stack, retries)
        elif request.param == "rest":
            server = stack.enter_context(running_server())
            yield Place("rest", server.url, stack, retries)
        else:
            found = Place("server", os.environ["QDRANT_URL"], stack, Retries())
            stack.callback(found.clean)
            yield found


@pytest.fixture
def store(place: Place) -> Store:
    """An opened store without a collection."""
    return place.open()
