"""One shape for everything that goes wrong over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import pytest
from pydantic import BaseModel, Field

from connector import errors
from connector.server.problems import MEDIA_TYPE, Problem, problem_of, responses
from tests.server.conftest import Shell, new_client, shell

PASSWORD = "https://user:hunter2@qdrant.example:6333 does not answer. Start it."


class Body(BaseModel):
    """What the routes here take."""

    image: str
    limit: Annotated[int, Field(le=100)] = 10


def routes(made: Shell) -> None:
    """Routes that fail in every way there is."""
    app = made.app

    @app.post("/search")
    async def search(body: Body) -> int:
        return body.limit

    @app.post("/api/tasks/image-embedding/{model}/jobs")
    async def job(model: str, body: Body) -> int:
        return body.limit

    @app.get("/fails/{name}", responses=responses(404))
    async def fails(name: str) -> None:
        if name == "problem":
            raise Problem(429, "queue_full", "Too many jobs. Wait.", headers={"Retry-After": "7"})
        if name == "bug":
            raise ZeroDivisionError("secrets of the house")
        error = getattr(errors, name)
        raise error("server", "serving") if name == "MissingExtra" else error(PASSWORD)


@pytest.fixture(scope="module")
def made() -> Shell:
    """The application."""
    made = shell()
    routes(made)
    return made


@pytest.fixture(scope="module")
def client(made: Shell) -> Iterator[httpx.Client]:
    """A client of it."""
    with made.running() as url, new_client(url) as client:
        yield client


def problem(answer: httpx.Response) -> dict[str, Any]:
    """The document, which has the shape of all of them."""
    assert answer.headers["content-type"] == MEDIA_TYPE
    told: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "code", "request_id"} <= set(told)
    assert told["status"] == answer.status_code
    assert told["request_id"] == answer.headers["x-request-id"] != ""
    return told


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("DataError", 422),
        ("RecordError", 422),
        ("ConditionError", 422),
        ("BlobForbidden", 422),
        ("BlobNotFound", 422),
        ("BlobTooLarge", 413),
        ("BlobUnavailable", 422),
        ("CollectionMismatch", 409),
        ("StoreLocked", 503),
        ("StoreUnavailable", 503),
        ("ModelUnavailable", 503),
        ("MissingExtra", 503),
    ],
)
def test_the_families_of_errors_are_statuses(client: httpx.Client, name: str, status: int) -> None:
    answer = client.get(f"/fails/{name}")
    told = problem(answer)
    assert (answer.status_code, told["code"]) == (status, getattr(errors, name).code)
    assert answer.headers.get("retry-after") == ("2" if status == 503 else None)
    assert "hunter2" not in answer.text
    if name != "MissingExtra":
        assert told["detail"] == "https://***@qdrant.example:6333 does not answer. Start it."


def test_errors_of_the_house_are_counted_by_code(made: Shell, client: httpx.Client) -> None:
    client.get("/fails/SchemaError")
    assert b'connector_rejections_total{code="schema_invalid"} 1.0' in made.metrics.render()


def test_a_problem_keeps_its_code_and_headers(client: httpx.Client) -> None:
    answer = client.get("/fails/problem")
    assert problem(answer) | {"request_id": ""} == {
        "type": "about:blank",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "Too many jobs. Wait.",
        "code": "queue_full",
        "request_id": "",
    }
    assert answer.headers["retry-after"] == "7"


def test_a_bug_tells_the_log_everything_and_the_client_nothing(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="connector"):
        answer = client.get("/fails/bug", headers={"X-Request-ID": "id-of-the-bug"})
    told = problem(answer)
    assert (answer.status_code, told["code"], told["request_id"]) == (500, "internal", "id-of-the-bug")
    assert "secrets" not in answer.text
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.getMessage() == "GET /fails/{name} failed"
    assert record.__dict__["request_id"] == "id-of-the-bug"
    assert "secrets of the house" in caplog.text


def test_unknown_paths_and_wrong_methods_are_problems(client: httpx.Client) -> None:
    assert problem(client.get("/nothing"))["code"] == "not_found"
    answer = client.put("/search", json={})
    assert (answer.status_code, problem(answer)["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
    # Clients of the jobs API read `detail`.
    assert client.get("/api/nothing").json()["detail"] == "Not Found"


def test_what_does_not_fit_is_named_and_never_echoed(client: httpx.Client) -> None:
    picture = "A" * 5000
    answer = client.post("/search", json={"image": [picture], "limit": 101})
    told = problem(answer)
    assert (answer.status_code, told["code"]) == (422, "request_invalid")
    assert told["detail"] == (
        "body.image: Input should be a valid string. Correct the request; /openapi.json describes it."
    )
    assert [error["loc"] for error in told["errors"]] == [["body", "image"], ["body", "limit"]]
    assert len(answer.content) < 1000


def test_the_jobs_api_keeps_fastapis_list(client: httpx.Client) -> None:
    path = "/api/tasks/image-embedding/demo/jobs"
    answer = client.post(path, json={"image": 5})
    assert answer.status_code == 422
    assert answer.json() == {
        "detail": [{"type": "string_type", "loc": ["body", "image"], "msg": "Input should be a valid string"}]
    }
    answer = client.post(path, content=b"{x", headers={"Content-Type": "application/json"})
    assert answer.json()["detail"][0]["loc"] == ["body", 1]


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"image": "\\ud800", "limit": "\\ud800"}',
        b"\x00",
        b"NaN",
        b"{}" * 3,
        b'"',
    ],
)
def test_bodies_that_are_no_json_are_the_clients_fault(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/search", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    problem(answer)


def test_long_details_and_pictures_in_them_are_cut() -> None:
    told = problem_of(errors.BlobUnreadable(f"'{'iVBOR' * 100}' is no picture. {'x ' * 3000}"))
    assert "iVBOR" not in str(told.detail)
    assert len(str(told.detail)) <= 1000


def test_the_openapi_document_describes_problems_once_for_all_routes(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert document["components"]["schemas"]["Problem"]["required"][:2] == ["title", "status"]
    reference = {"$ref": "#/components/schemas/Problem"}
    fails = document["paths"]["/fails/{name}"]["get"]["responses"]
    assert {"200", "400", "401", "403", "404", "408", "413", "422", "429", "431", "503"} == set(fails)
    assert fails["404"]["content"][MEDIA_TYPE]["schema"] == reference
    search = document["paths"]["/search"]["post"]["responses"]["422"]["content"]
    assert set(search) == {MEDIA_TYPE}
    job = document["paths"]["/api/tasks/image-embedding/{model}/jobs"]["post"]["responses"]["422"]["content"]
    assert set(job) == {MEDIA_TYPE, "application/json"}
    assert job["application/json"]["schema"] == {"$ref": "#/components/schemas/HTTPValidationError"}
