"""The whole door over a small shop: every part is there, and the guards are in front of all of them."""

from __future__ import annotations

import httpx
import pytest

from connector import Connector
from connector.server.app import create_app
from connector.server.problems import MEDIA_TYPE
from tests.conftest import SPACE
from tests.server.conftest import READ_KEY, ROWS, WRITE_KEY, Live, OpenLive, ask, new_client, running


def test_every_part_answers(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready", "collection": True}
    assert client.get("/count").json() == {"count": ROWS}
    assert client.post("/search", json={"text": "red mug 0", "limit": 1}).json()["hits"][0]["id"] == "a0"
    assert "image-embedding" in client.get("/api/tasks").json()
    assert client.get("/").headers["content-type"].startswith("text/html")
    assert 'route="/search",status="200"' in client.get("/metrics").text


def test_the_document_is_whole_and_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert document["info"]["title"] == "connector"
    assert {"/search", "/records/{id}", "/ingest", "/count", "/health", "/ready", "/metrics"} <= set(
        document["paths"]
    )
    assert client.get("/docs").status_code == 404
    assert client.get("/redoc").status_code == 404
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["operationId"]
            assert operation.get("summary") or operation.get("description")
            assert MEDIA_TYPE in operation["responses"]["503"]["content"]


def test_a_slash_too_many_in_the_jobs_api_is_redirected(client: httpx.Client) -> None:
    answer = client.get("/api/tasks/")
    assert (answer.status_code, httpx.URL(answer.headers["location"]).path) == (307, "/api/tasks")


@pytest.fixture
def guarded(open_live: OpenLive) -> Live:
    """A server with keys."""
    return open_live(read_keys=(READ_KEY,), write_keys=(WRITE_KEY,))


def test_keys_guard_all_but_the_page_and_health(guarded: Live) -> None:
    with new_client(guarded.url) as stranger:
        for path in ("/", "/page.js", "/page.css", "/health", "/ready"):
            assert stranger.get(path).status_code == 200
        for path in (
            "/count",
            "/schema",
            "/records/a1",
            "/images/a1",
            "/metrics",
            "/openapi.json",
            "/api/models",
        ):
            answer = stranger.get(path)
            assert (answer.status_code, answer.json()["code"]) == (401, "key_missing")
        reader = {"Authorization": f"Bearer {READ_KEY}"}
        assert stranger.get("/count", headers=reader).json() == {"count": ROWS}
        assert stranger.post("/search", json={"text": "mug"}, headers=reader).status_code == 200
        assert stranger.delete("/records/a1", headers=reader).status_code == 403
        assert stranger.post("/ingest", content=b"", headers=reader).status_code == 403
        assert stranger.post("/api/models/stand-in/stop", headers=reader).status_code == 403
    assert guarded.client.delete("/records/a1").json() == {"removed": 1}


def test_a_server_that_has_stopped_has_closed_its_store() -> None:
    connector = Connector(SPACE)
    closed: list[bool] = []
    close = connector.close

    def noted() -> None:
        closed.append(True)
        close()

    connector.close = noted  # type: ignore[method-assign]
    with running(create_app(connector)) as url:
        assert ask(f"{url}/health").status_code == 200
        assert closed == []
    assert closed == [True]
