"""Who may read, who may write, and what is open to everybody."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from connector.server.keys import Right, needed
from tests.server.conftest import READ_KEY, WRITE_KEY, new_client, shell


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("GET", "/", Right.NONE),
        ("GET", "/health", Right.NONE),
        ("HEAD", "/ready", Right.NONE),
        ("GET", "/page.js", Right.NONE),
        ("POST", "/", Right.WRITE),
        ("POST", "/health", Right.WRITE),
        ("GET", "/metrics", Right.READ),
        ("GET", "/openapi.json", Right.READ),
        ("GET", "/search", Right.READ),
        ("GET", "/records/a1", Right.READ),
        ("GET", "/nothing", Right.READ),
        ("POST", "/search", Right.READ),
        ("POST", "/search/", Right.READ),
        ("POST", "/api/tasks/image-embedding/demo/jobs", Right.READ),
        ("POST", "/api/tasks/text-embedding/batched/demo/jobs", Right.READ),
        ("POST", "/api/legacy/tasks/text-embedding/demo/jobs", Right.READ),
        ("POST", "/api/models/demo/stop", Right.WRITE),
        ("POST", "/ingest", Right.WRITE),
        ("DELETE", "/records/a1", Right.WRITE),
        ("DELETE", "/search", Right.WRITE),
        ("PUT", "/search", Right.WRITE),
        ("POST", "/searching", Right.WRITE),
        ("POST", "//search", Right.WRITE),
    ],
)
def test_what_a_request_needs(method: str, path: str, right: Right) -> None:
    assert needed(method, path) is right


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of a server with a key of each kind."""
    made = shell(read_keys=("another-key-to-read", READ_KEY), write_keys=(WRITE_KEY,))

    @made.app.get("/health")
    async def health() -> str:
        return "ok"

    @made.app.post("/search")
    async def search() -> str:
        return "found"

    @made.app.post("/ingest")
    async def ingest() -> str:
        return "stored"

    with made.running() as url, new_client(url) as client:
        yield client


BEARER = {"Authorization": f"Bearer {READ_KEY}"}
PLAIN = {"X-API-Key": READ_KEY}
WRITES = {"X-API-Key": WRITE_KEY}


@pytest.mark.parametrize("headers", [BEARER, PLAIN, WRITES, {"authorization": f"bearer  {READ_KEY}"}])
def test_a_key_comes_in_either_header(client: httpx.Client, headers: dict[str, str]) -> None:
    assert client.post("/search", headers=headers).json() == "found"


def test_the_stronger_of_two_keys_counts(client: httpx.Client) -> None:
    assert client.post("/ingest", headers=BEARER | WRITES).json() == "stored"
    assert client.post("/ingest", headers={"Authorization": "Bearer unknown-key"} | WRITES).json() == "stored"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "key_missing"),
        ({"X-API-Key": ""}, "key_missing"),
        ({"Authorization": "Bearer"}, "key_missing"),
        ({"Authorization": f"Basic {READ_KEY}"}, "key_missing"),
        ({"X-API-Key": READ_KEY[:-1]}, "key_unknown"),
        ({"X-API-Key": READ_KEY + "x"}, "key_unknown"),
        ({"X-API-Key": READ_KEY.upper()}, "key_unknown"),
        ({"X-API-Key": "a" * 10_000}, "key_unknown"),
        ({"X-API-Key": "schlüssel"}, "key_unknown"),
    ],
)
def test_without_a_known_key_the_answer_is_401(
    client: httpx.Client, headers: dict[str, str], code: str
) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = client.post("/search", headers=encoded)  # type: ignore[arg-type, unused-ignore]
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer.headers["www-authenticate"] == 'Bearer realm="connector"'
    assert READ_KEY[:-1] not in answer.text


def test_a_key_that_reads_does_not_write(client: httpx.Client) -> None:
    answer = client.post("/ingest", headers=PLAIN)
    assert (answer.status_code, answer.json()["code"]) == (403, "key_reads_only")


def test_health_needs_no_key_and_the_rest_does_even_where_there_is_nothing(client: httpx.Client) -> None:
    assert client.get("/health").json() == "ok"
    assert client.get("/nothing").status_code == 401
    assert client.get("/openapi.json").status_code == 401


def test_the_document_says_how_to_send_a_key(client: httpx.Client) -> None:
    document = client.get("/openapi.json", headers=PLAIN).json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "key"}
    assert document["security"] == [{"bearer": []}, {"key": []}]
    assert document["paths"]["/health"]["get"]["security"] == []


def test_a_server_without_keys_asks_for_none() -> None:
    made = shell()

    @made.app.delete("/records/{id}")
    async def remove(id: str) -> str:
        return id

    with made.running() as url, new_client(url) as client:
        assert client.delete("/records/a1").json() == "a1"
        assert "security" not in client.get("/openapi.json").json()
