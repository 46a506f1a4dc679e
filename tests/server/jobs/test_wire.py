"""The OpenAPI document: names, shapes and operations that clients were generated from, and JSON as it is sent."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI

from connector import BlobPolicy
from connector.server.config import ServerConfig
from connector.server.guard import Standing
from connector.server.jobs import wire
from connector.server.jobs.ask import check
from connector.server.jobs.catalogue import IMAGE, QUERY, TASKS, TEXT, ZERO_SHOT, Catalogue
from connector.server.jobs.job import Failure
from connector.server.jobs.pictures import encoded
from connector.server.jobs.routes import jobs_router
from connector.server.jobs.service import JobService
from connector.server.metrics import Metrics
from connector.server.shell import new_app
from tests.server.jobs.conftest import SPACE
from tests.server.jobs.jobs import job

NAMES = {
    IMAGE: "ImageEmbedding",
    TEXT: "TextEmbedding",
    QUERY: "TextQueryEmbedding",
    ZERO_SHOT: "ZeroShotImageClassification",
}
INPUTS = {
    IMAGE: ({"image"}, {"image"}),
    TEXT: ({"text"}, {"text"}),
    QUERY: ({"query", "instruction"}, {"query"}),
    ZERO_SHOT: ({"image"}, {"image"}),
}
"""For each task: members that must be there, and those that are lists in a batch."""
OTHERS = {
    ("get", "/api/tasks"): "list_all_tasks_api_tasks_get",
    ("get", "/api/tasks/{task}/models"): "list_all_models_for_task_api_tasks__task__models_get",
    ("get", "/api/models"): "list_all_models_api_models_get",
    ("get", "/api/models/{model}/tasks"): "list_all_tasks_for_model_api_models__model__tasks_get",
    ("post", "/api/models/{model}/start"): "start_model_api_models__model__start_post",
    ("post", "/api/models/{model}/stop"): "stop_model_api_models__model__stop_post",
    ("get", "/api/models/{model}/status"): "get_model_status_api_models__model__status_get",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield

    config, metrics = ServerConfig(), Metrics()
    app = new_app(config, metrics, Standing(), lifespan)
    app.include_router(jobs_router(JobService(SPACE, config, metrics)))
    return app.openapi()


@pytest.fixture
def schemas(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"]
    return found


def body(operation: dict[str, Any]) -> str:
    return str(operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]).rsplit("/", 1)[-1]


def answered(operation: dict[str, Any]) -> str:
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    return str(schema["$ref"]).rsplit("/", 1)[-1]


@pytest.mark.parametrize("task", TASKS)
def test_the_routes_of_a_task_have_the_services_operations_and_bodies(
    document: dict[str, Any], task: str
) -> None:
    paths, name, word = document["paths"], NAMES[task], task.replace("-", "_")
    expected = {
        ("post", f"/api/tasks/{task}/{{model}}/jobs"): (
            f"new_job_api_tasks_{word}__model__jobs_post",
            f"{name}Input",
            "JobStatus",
        ),
        ("get", f"/api/tasks/{task}/jobs/{{job}}"): (
            f"get_job_results_api_tasks_{word}_jobs__job__get",
            None,
            f"JobResponse{name}Output",
        ),
        ("post", f"/api/tasks/{task}/batched/{{model}}/jobs"): (
            f"new_batched_job_api_tasks_{word}_batched__model__jobs_post",
            f"Batched{name}Input",
            "JobStatus",
        ),
        ("get", f"/api/tasks/{task}/batched/jobs/{{job}}"): (
            f"get_batched_job_results_api_tasks_{word}_batched_jobs__job__get",
            None,
            f"BatchedJobResponse{name}Output",
        ),
        ("post", f"/api/legacy/tasks/{task}/{{model}}/jobs"): (
            f"new_job_results_api_legacy_tasks_{word}__model__jobs_post",
            f"{name}Input",
            f"{name}Output",
        ),
    }
    for (method, path), (operation_id, sent, answer) in expected.items():
        operation = paths[path][method]
        assert operation["operationId"] == operation_id
        assert operation["tags"] == [task]
        assert answered(operation) == answer
        if sent is not None:
            assert body(operation) == sent
        (in_path,) = [each for each in operation["parameters"] if each["in"] == "path"]
        assert (in_path["schema"]["type"], in_path["required"]) == ("string", True)
        assert "HTTPValidationError" in json.dumps(operation["responses"]["422"])


def test_the_other_routes_have_the_services_operations(document: dict[str, Any]) -> None:
    found = {
        (method, path): operation["operationId"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "/jobs" not in path
    }
    assert found.pop(("get", "/api/models/{model}")) == "describe_model_api_models__model__get"
    assert found == OTHERS
    assert len(document["paths"]) == 5 * len(TASKS) + len(OTHERS) + 1


@pytest.mark.parametrize("task", TASKS)
def test_requests_have_the_services_members(schemas: dict[str, Any], task: str) -> None:
    required, listed = INPUTS[task]
    for prefix in ("", "Batched"):
        schema = schemas[f"{prefix}{NAMES[task]}Input"]
        more = {"config", "classes"} if task == ZERO_SHOT else {"config"}
        assert set(schema["properties"]) == required | more
        assert set(schema["required"]) == required
        for member in required:
            kind = "array" if prefix and member in listed else "string"
            assert schema["properties"][member]["type"] == kind
        config = schema["properties"]["config"]
        assert config["type"] == "object"
        assert "additionalProperties" not in config  # generators make a map of anything of it
        assert "default" not in config


@pytest.mark.parametrize("task", TASKS)
def test_answers_have_the_services_members(schemas: dict[str, Any], task: str) -> None:
    word = "probabilities" if task == ZERO_SHOT else "embedding"
    output = schemas[f"{NAMES[task]}Output"]
    assert set(output["properties"]) == {word} == set(output["required"])
    assert output["properties"][word]["items"] == {"type": "number"}
    ref = {"$ref": f"#/components/schemas/{NAMES[task]}Output"}
    for prefix, result in (("", ref), ("Batched", {"type": "array", "items": ref})):
        response = schemas[f"{prefix}JobResponse{NAMES[task]}Output"]
        assert set(response["required"]) == {"status"}
        assert response["properties"]["status"] == {"$ref": "#/components/schemas/JobState"}
        assert response["properties"]["result"]["anyOf"] == [result, {"type": "null"}]


def test_the_words_of_jobs_and_models_are_the_services(schemas: dict[str, Any]) -> None:
    assert schemas["JobState"]["enum"] == ["starting", "running", "complete", "failed"]
    assert set(schemas["ModelState"]["enum"]) == {
        "loading", "running", "stopped", "failed", "uninitialized", "starting",
    }  # fmt: skip
    assert set(schemas["JobStatus"]["required"]) == {"id", "status"}
    assert set(schemas["ModelStatus"]["required"]) == {"status", "jobs"}
    assert set(schemas["ValidationError"]["required"]) == {"loc", "msg", "type"}
    assert "detail" in schemas["HTTPValidationError"]["properties"]


def test_every_example_is_taken(schemas: dict[str, Any]) -> None:
    for bodies in wire.BODIES.values():
        for kind in (bodies.single, bodies.batched):
            members = schemas[kind.__name__]["properties"]
            examples = {name: each["examples"][0] for name, each in members.items() if "examples" in each}
            sent = kind.model_validate(examples)
            assert isinstance(sent, wire.Input)
            ask = sent.ask("demo")
            check(ask, Catalogue(SPACE).find("demo"), 256)
            for picture in ask.pictures:
                assert encoded(picture, BlobPolicy(), "'image'").pixels == 64


def test_a_job_as_json() -> None:
    one = job(1, batched=False)
    assert wire.job_json(one) == b'{"status":"starting","result":null}'
    one.begin()
    assert wire.job_json(one) == b'{"status":"running","result":null}'
    one.settle(one.items[0], np.array([0.5, -1, 0.1], np.float32))
    # The nearest double of each float32: read back, it is the same number.
    assert wire.job_json(one) == (
        b'{"status":"complete","result":{"embedding":[0.5,-1.0,0.10000000149011612]}}'
    )
    assert wire.output_json(one) == b'{"embedding":[0.5,-1.0,0.10000000149011612]}'


def test_a_failed_job_as_json() -> None:
    one = job(1)
    one.fail(Failure("»no« \ud800", "unavailable", 503))
    assert json.loads(wire.job_json(one)) == {
        "status": "failed",
        "result": None,
        "reason": "»no« \ud800",
        "code": "unavailable",
    }
