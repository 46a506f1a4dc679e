"""Every way a request or a job can go wrong, on a real socket: who is told what, and that nothing waits for ever."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from connector.server.jobs.catalogue import IMAGE, QUERY, TASKS, TEXT, ZERO_SHOT
from tests.server.jobs.bodies import BATCHES, BODIES, file
from tests.server.jobs.conftest import JOBS, MAGENTA, Held, Live, OpenJobs, png, url


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        (JOBS, {}, ["body", "image"]),
        (JOBS, {"image": 7}, ["body", "image"]),
        (JOBS, {"image": [url(png())]}, ["body", "image"]),
        (JOBS, {"image": url(png()), "config": None}, ["body", "config"]),
        (JOBS, {"image": url(png()), "config": []}, ["body", "config"]),
        ("/api/tasks/image-embedding/batched/demo/jobs", {"image": url(png())}, ["body", "image"]),
        ("/api/tasks/text-embedding/demo/jobs", {"text": None}, ["body", "text"]),
        ("/api/tasks/text-query-embedding/demo/jobs", {"query": "a"}, ["body", "instruction"]),
        (
            "/api/tasks/text-query-embedding/batched/demo/jobs",
            {"query": ["a"], "instruction": ["b"]},
            ["body", "instruction"],
        ),
        (
            "/api/tasks/zero-shot-image-classification/demo/jobs",
            {"image": "", "classes": "a"},
            ["body", "classes"],
        ),
        ("/api/legacy/tasks/image-embedding/demo/jobs", {}, ["body", "image"]),
        # What does not fit comes before a model that does not exist.
        ("/api/tasks/image-embedding/no_such_model/jobs", {}, ["body", "image"]),
    ],
)
def test_a_body_that_does_not_fit_is_told_as_fastapi_does(
    live: Live, path: str, body: dict[str, Any], where: list[str]
) -> None:
    answer = live.post(path, body)
    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["detail"]] == [where]
    assert all({"type", "loc", "msg"} == set(error) for error in answer.json()["detail"])
    assert "base64" not in answer.text  # a picture is not sent back


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b'"\xff"', "application/json"),
        (json.dumps(BODIES[IMAGE]).encode(), "text/plain"),
        (b'{"image": "\\ud800"}', "application/json"),
    ],
)
def test_what_is_no_json_is_refused(live: Live, content: bytes, media_type: str) -> None:
    answer = live.client.post(JOBS, content=content, headers={"Content-Type": media_type})
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("prefix", ["/api/tasks/{}/", "/api/tasks/{}/batched/", "/api/legacy/tasks/{}/"])
def test_a_model_that_is_not_there_is_404(live: Live, task: str, prefix: str) -> None:
    body = BATCHES[task] if "batched" in prefix else BODIES[task]
    answer = live.post(f"{prefix.format(task)}no_such_model/jobs", body)
    assert (answer.status_code, answer.json()["code"]) == (404, "model_unknown")
    assert answer.json()["detail"].startswith("There is no model 'no_such_model' here. There are clip-")


@pytest.mark.parametrize("method_path", ["GET tasks", "GET status", "GET ", "POST start", "POST stop"])
def test_listings_of_what_is_not_there_are_404(live: Live, method_path: str) -> None:
    method, _, last = method_path.partition(" ")
    answer = live.client.request(method, f"/api/models/no_such_model/{last}".rstrip("/"))
    assert (answer.status_code, answer.json()["code"]) == (404, "model_unknown")
    answer = live.client.get("/api/tasks/no_such_task/models")
    assert (answer.status_code, answer.json()["code"]) == (404, "task_unknown")


@pytest.mark.parametrize("task", TASKS)
def test_a_job_that_is_not_there_is_404_and_one_read_elsewhere_is_not_lost(live: Live, task: str) -> None:
    for kind in ("", "batched/"):
        answer = live.client.get(f"/api/tasks/{task}/{kind}jobs/{uuid.uuid4()}")
        assert (answer.status_code, answer.json()["code"]) == (404, "job_unknown")
        assert "not found" in answer.json()["detail"]
    job = live.post(f"/api/tasks/{task}/demo/jobs", BODIES[task]).json()["id"]
    assert live.client.get(f"/api/tasks/{task}/batched/jobs/{job}").status_code == 404
    done = live.ended(f"/api/tasks/{task}/jobs/{job}")
    assert done["status"] == "complete"
    others = {IMAGE: TEXT, TEXT: QUERY, QUERY: IMAGE}
    if task in others:  # ids belong to no task, as at home
        assert live.ended(f"/api/tasks/{others[task]}/jobs/{job}") == done
    assert live.client.get(f"/api/tasks/{task}/jobs/{job}").json() == done


@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [
        (
            {"image": url(MAGENTA)},
            "not_embeddable",
            "'image': The model cannot embed this picture (ValueError: a ",
        ),
        ({"image": url(file("PNG")[:-40])}, "blob_unreadable", "'image' cannot be decoded as PNG"),
    ],
)
def test_a_job_that_fails_says_so_and_why(live: Live, body: dict[str, Any], code: str, reason: str) -> None:
    path = f"/api/tasks/image-embedding/jobs/{live.post(JOBS, body).json()['id']}"
    done = live.ended(path)
    assert done["status"] == "failed"
    assert done["result"] is None
    assert done["code"] == code
    assert done["reason"].startswith(reason)
    assert live.client.get(path).json() == done
    legacy = live.post("/api/legacy/tasks/image-embedding/stand-in/jobs", body)
    assert (legacy.status_code, legacy.json()["code"]) == (422, code)
    assert legacy.json()["detail"] == done["reason"]


def test_one_bad_picture_fails_its_batch_and_says_which(live: Live) -> None:
    body = {"image": [url(png(1)), url(MAGENTA), url(png(2))]}
    done = live.made("/api/tasks/image-embedding/batched/stand-in/jobs", body)
    assert (done["status"], done["result"]) == ("failed", None)
    assert done["reason"].startswith("'image[1]': The model cannot embed this picture")


@pytest.mark.parametrize("task", [TEXT, QUERY, ZERO_SHOT])
@pytest.mark.parametrize("prefix", ["/api/tasks/{}/", "/api/legacy/tasks/{}/"])
def test_a_task_that_the_model_cannot_do_is_refused_at_once(live: Live, task: str, prefix: str) -> None:
    answer = live.post(f"{prefix.format(task)}dino-v2-vits14/jobs", BODIES[task])
    assert (answer.status_code, answer.json()["code"]) == (422, "task_unsupported")
    assert answer.json()["detail"] == f"Model 'dino-v2-vits14' cannot do {task}. It does image-embedding."


def test_classes_may_be_absent_for_the_schema_but_not_for_the_job(live: Live) -> None:
    for body in ({"image": url(png())}, {"image": url(png()), "classes": []}):
        answer = live.post("/api/tasks/zero-shot-image-classification/demo/jobs", body)
        assert (answer.status_code, answer.json()["code"]) == (422, "classes_missing")


def test_a_job_of_too_many_inputs_is_refused(live: Live) -> None:
    answer = live.post("/api/tasks/text-embedding/batched/demo/jobs", {"text": ["a"] * 17})
    assert (answer.status_code, answer.json()["code"]) == (422, "batch_too_large")


def test_weights_that_cannot_be_loaded_fail_the_job_and_nothing_waits_for_ever(
    open_jobs: OpenJobs, tmp_path: Any
) -> None:
    live = open_jobs(folders={"open-clip-vit-b32": str(tmp_path)})
    done = live.made("/api/tasks/text-embedding/open-clip-vit-b32/jobs", BODIES[TEXT])
    assert (done["status"], done["code"]) == ("failed", "model_unavailable")
    assert "open_clip_config.json" in done["reason"]
    assert live.client.get("/api/models/open-clip-vit-b32/status").json() == {"status": "failed", "jobs": []}
    legacy = live.post("/api/legacy/tasks/text-embedding/open-clip-vit-b32/jobs", BODIES[TEXT])
    assert (legacy.status_code, legacy.json()["code"]) == (503, "model_unavailable")
    assert legacy.headers["retry-after"]
    described = live.client.get("/api/models/open-clip-vit-b32")
    assert (described.status_code, described.json()["code"]) == (503, "model_unavailable")


def test_a_worker_that_dies_fails_its_jobs(open_jobs: OpenJobs, held: Held) -> None:
    live = open_jobs()
    held.failing = SystemExit(1)
    done = live.made(JOBS, BODIES[IMAGE])
    assert (done["status"], done["code"]) == ("failed", "unavailable")
    assert live.made(JOBS, BODIES[IMAGE])["status"] == "complete"
