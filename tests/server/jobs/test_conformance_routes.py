"""Every route of the service's API, on a real socket: jobs of one and of many, listings, the life of a model."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest

from connector.server.jobs.catalogue import IMAGE, TASKS, TEXT, ZERO_SHOT
from connector.testing import StandInHandler
from tests.conftest import until
from tests.server.jobs.bodies import BATCHES, BODIES, MODELS
from tests.server.jobs.conftest import JOBS, Held, Live, OpenJobs, png, url

ABLE = [(model, task) for model in MODELS for task in TASKS if task == IMAGE or model != "dino-v2-vits14"]


def numbers(task: str, output: dict[str, Any]) -> list[float]:
    """The numbers of one output, which has nothing else."""
    word = "probabilities" if task == ZERO_SHOT else "embedding"
    assert set(output) == {word}
    values: list[float] = output[word]
    assert all(isinstance(value, float) for value in values)
    return values


@pytest.mark.parametrize(("model", "task"), ABLE)
def test_a_job_of_one_is_made_and_read_as_often_as_one_likes(live: Live, model: str, task: str) -> None:
    made = live.post(f"/api/tasks/{task}/{model}/jobs", BODIES[task])
    assert made.status_code == 200
    assert made.headers["content-type"] == "application/json"
    assert set(made.json()) == {"id", "status"}
    assert uuid.UUID(made.json()["id"]).version == 4
    assert made.json()["status"] in ("starting", "running", "complete")
    path = f"/api/tasks/{task}/jobs/{made.json()['id']}"
    done = live.ended(path)
    assert done["status"] == "complete"
    assert set(done) == {"status", "result"}
    assert len(numbers(task, done["result"])) > 2
    assert live.client.get(path).json() == live.client.get(path).json() == done


@pytest.mark.parametrize(("model", "task"), ABLE)
def test_a_job_of_many_answers_in_order_what_jobs_of_one_answer(live: Live, model: str, task: str) -> None:
    done = live.made(f"/api/tasks/{task}/batched/{model}/jobs", BATCHES[task])
    assert done["status"] == "complete"
    rows = [numbers(task, output) for output in done["result"]]
    assert len(rows) == 3
    single = live.made(f"/api/tasks/{task}/{model}/jobs", BODIES[task])["result"]
    np.testing.assert_allclose(rows[0], numbers(task, single), atol=1e-5)
    assert rows[0] != rows[1] != rows[2]


@pytest.mark.parametrize(("model", "task"), ABLE)
def test_the_legacy_route_answers_the_output_itself(live: Live, model: str, task: str) -> None:
    answer = live.post(f"/api/legacy/tasks/{task}/{model}/jobs", BODIES[task])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    done = live.made(f"/api/tasks/{task}/{model}/jobs", BODIES[task])
    assert answer.json() == done["result"]


def test_names_may_be_in_snake_case_where_they_are_parameters(live: Live) -> None:
    assert live.made("/api/tasks/image-embedding/dino_v2_vits14/jobs", BODIES[IMAGE])["status"] == "complete"
    assert (
        live.post("/api/legacy/tasks/text-embedding/open_clip_vit_b32/jobs", BODIES[TEXT]).status_code == 200
    )
    for path in ("/api/tasks/{}/models", "/api/models/{}/tasks", "/api/models/{}/status"):
        kebab, snake = (
            ("image-embedding", "image_embedding") if "tasks/" in path else ("stand-in", "stand_in")
        )
        assert live.client.get(path.format(snake)).json() == live.client.get(path.format(kebab)).json()


def test_tasks_and_models_are_listed(live: Live) -> None:
    get = live.client.get
    assert get("/api/tasks").json() == list(TASKS)
    assert get("/api/models").json() == list(MODELS)
    assert get("/api/tasks/image-embedding/models").json() == list(MODELS)
    assert get("/api/tasks/text-embedding/models").json() == [m for m in MODELS if m != "dino-v2-vits14"]
    assert get("/api/models/dino-v2-vits14/tasks").json() == [IMAGE]
    assert get("/api/models/demo/tasks").json() == list(TASKS)


def test_a_model_is_started_asked_and_stopped(open_jobs: OpenJobs, held: Held) -> None:
    live = open_jobs()
    status = "/api/models/stand-in/status"
    assert live.client.get(status).json() == {"status": "uninitialized", "jobs": []}
    for _ in range(2):  # starting what runs is no error here
        started = live.client.post("/api/models/stand_in/start")
        assert (started.status_code, started.content) == (200, b"")
        assert "content-type" not in started.headers
        until(lambda: live.client.get(status).json()["status"] == "running")
    held.gate.clear()
    in_hand = live.post(JOBS, BODIES[IMAGE]).json()["id"]
    until(held.inside.is_set)
    queued = live.post(JOBS, {"image": url(png(2))}).json()
    text = live.post("/api/tasks/text-embedding/stand-in/jobs", BODIES[TEXT]).json()
    told = live.client.get(status).json()
    assert told["status"] == "running"
    assert text in told["jobs"]
    assert in_hand not in [job["id"] for job in told["jobs"]]
    assert {job["status"] for job in told["jobs"]} == {"starting"}
    held.gate.set()
    assert live.ended(f"/api/tasks/image-embedding/jobs/{queued['id']}")["status"] == "complete"
    for _ in range(2):
        stopped = live.client.post("/api/models/stand-in/stop")
        assert (stopped.status_code, stopped.content) == (200, b"")
        until(lambda: live.client.get(status).json() == {"status": "stopped", "jobs": []})
    assert live.made(JOBS, BODIES[IMAGE])["status"] == "complete"


def described(live: Live, model: str) -> Any:
    """What a model says of itself once it is loaded, which may take longer than an answer waits for it."""
    until(lambda: live.client.get(f"/api/models/{model}").status_code == 200)
    return live.client.get(f"/api/models/{model}").json()


def test_a_model_says_what_makes_its_vectors(live: Live) -> None:
    assert described(live, "stand_in") == {
        "name": "stand-in",
        "tasks": list(TASKS),
        "length": 64,
        "frame": {"size": 64, "fit": "shortest", "resample": "bicubic"},
        "identity": StandInHandler().identity,
        "normalised": False,
    }
    dino = described(live, "dino-v2-vits14")
    assert (dino["frame"], dino["normalised"], dino["tasks"]) == (None, False, [IMAGE])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/legacy/tasks/image-embedding/batched/demo/jobs", 404),
        ("POST", "/api/tasks/face-embedding/demo/jobs", 404),
        ("POST", "/api/tasks/image_embedding/demo/jobs", 404),
        ("GET", "/api/tasks/face-embedding/jobs/1", 404),
        ("GET", "/api/nothing", 404),
        ("PUT", JOBS, 405),
        ("GET", JOBS, 405),
        ("DELETE", "/api/tasks/image-embedding/jobs/1", 405),
        ("POST", "/api/tasks", 405),
        ("POST", JOBS + "/", 307),
        ("GET", "/api/models/", 307),
    ],
)
def test_what_is_no_route_is_told_as_at_home(live: Live, method: str, path: str, status: int) -> None:
    body = b"{}" if method in ("POST", "PUT") else b""
    answer = live.client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    if status == 307:
        assert answer.headers["location"].endswith(path.rstrip("/"))
    else:
        assert answer.json()["detail"] == {404: "Not Found", 405: "Method Not Allowed"}[status]
