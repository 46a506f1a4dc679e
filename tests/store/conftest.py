"""One store for each place that Qdrant can be: every test that asks for `store` runs on all of them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.store.retry import Retries
from connector.store.store import Store, open_store
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


@pytest.fixture(params=PLACES)
def store(request: pytest.FixtureRequest, tmp_path: Path, retries: Retries) -> Iterator[Store]:
    """An opened store without a collection."""
    if request.param == "folder":
        opened: Store = open_store(tmp_path / "shop.qdrant", "things")
        yield opened
        opened.close()
    elif request.param == "memory":
        opened = open_store(":memory:", "things")
        yield opened
        opened.close()
    elif request.param == "rest":
        with running_server() as server:
            opened = open_store(server.url, "things", retries=retries)
            yield opened
            opened.close()
    else:
        yield from _on_real_server()


def _on_real_server() -> Iterator[Store]:
    from qdrant_client import QdrantClient

    url, key = os.environ["QDRANT_URL"], os.environ.get("QDRANT_API_KEY")
    name = f"contract-{uuid.uuid4()}"
    opened = open_store(url, name, api_key=key)
    yield opened
    opened.close()
    client = QdrantClient(url, api_key=key)
    client.delete_collection(name)
    client.close()
