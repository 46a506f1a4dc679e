"""Queues, deadlines and keys, on a real socket: where this is better than the service, and a client cannot mind."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from connector.server.jobs.catalogue import IMAGE
from tests.conftest import PATIENCE, until
from tests.server.jobs.bodies import BODIES
from tests.server.jobs.conftest import JOBS, Held, OpenJobs, idle, png, url


def test_a_job_is_taken_in_before_its_model_is_loaded_and_says_starting(
    open_jobs: OpenJobs, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    come = threading.Event()

    def load(config: object) -> Held:
        assert come.wait(PATIENCE)
        return held

    monkeypatch.setattr("connector.testing.load", load)
    live = open_jobs()
    made = live.post(JOBS, BODIES[IMAGE]).json()
    path = f"/api/tasks/image-embedding/jobs/{made['id']}"
    assert made["status"] == "starting"
    assert live.client.get(path).json() == {"status": "starting", "result": None}
    until(lambda: live.client.get("/api/models/stand-in/status").json()["status"] == "loading")
    assert live.client.get("/api/models/stand-in/status").json()["jobs"] == [made]
    come.set()
    assert live.ended(path)["status"] == "complete"


def test_a_model_that_is_still_loading_is_described_later(
    open_jobs: OpenJobs, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    come = threading.Event()

    def load(config: object) -> Held:
        assert come.wait(PATIENCE)
        return held

    monkeypatch.setattr("connector.testing.load", load)
    monkeypatch.setattr("connector.server.jobs.service.LOAD_PATIENCE", 0.1)
    live = open_jobs()
    answer = live.client.get("/api/models/stand-in")
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
        503,
        "model_loading",
        "1",
    )
    come.set()
    until(lambda: live.client.get("/api/models/stand-in").status_code == 200)


def test_a_legacy_call_keeps_nobody_else_waiting(open_jobs: OpenJobs, held: Held) -> None:
    live = open_jobs()
    held.gate.clear()
    answers: list[Any] = []
    calls = [
        threading.Thread(
            target=lambda: answers.append(
                live.post("/api/legacy/tasks/image-embedding/stand-in/jobs", BODIES[IMAGE])
            )
        )
        for _ in range(50)
    ]
    for call in calls:
        call.start()
    until(held.inside.is_set)
    until(lambda: len(live.service._unfinished) == 50)
    assert live.client.get("/api/tasks").status_code == 200
    assert live.post(JOBS, BODIES[IMAGE]).json()["status"] in ("starting", "running")
    assert answers == []
    held.gate.set()
    for call in calls:
        call.join(PATIENCE)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1


def test_jobs_beyond_the_limit_are_put_off(open_jobs: OpenJobs, held: Held) -> None:
    live = open_jobs(max_jobs=2)
    held.gate.clear()
    paths = [
        f"/api/tasks/image-embedding/jobs/{live.post(JOBS, {'image': url(png(number))}).json()['id']}"
        for number in range(2)
    ]
    for path in (JOBS, "/api/legacy/tasks/image-embedding/stand-in/jobs"):
        answer = live.post(path, BODIES[IMAGE])
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
            429,
            "queue_full",
            "1",
        )
    held.gate.set()
    assert [live.ended(path)["status"] for path in paths] == ["complete"] * 2
    assert live.post(JOBS, BODIES[IMAGE]).status_code == 200


def test_jobs_of_many_clients_share_a_forward_pass(open_jobs: OpenJobs, held: Held) -> None:
    live = open_jobs()
    held.gate.clear()
    first = live.post(JOBS, {"image": url(png(999))}).json()["id"]
    until(held.inside.is_set)
    jobs = [live.post(JOBS, {"image": url(png(number))}).json()["id"] for number in range(32)]
    held.gate.set()
    for job in [first, *jobs]:
        assert live.ended(f"/api/tasks/image-embedding/jobs/{job}")["status"] == "complete"
    assert held.pictures == [1, 32]


def test_results_go_when_their_time_is_over(open_jobs: OpenJobs, held: Held) -> None:
    now = [0.0]
    live = open_jobs(clock=lambda: now[0], keep_seconds=60)
    job = live.post(JOBS, BODIES[IMAGE]).json()["id"]
    path = f"/api/tasks/image-embedding/jobs/{job}"
    assert live.ended(path) == live.ended(path)
    until(lambda: idle(live.service))
    now[0] = 61.0
    until(lambda: live.client.get(path).status_code == 404)


def test_a_job_that_is_late_fails(open_jobs: OpenJobs, held: Held) -> None:
    now = [0.0]
    live = open_jobs(clock=lambda: now[0], job_seconds=60)
    held.gate.clear()
    job = live.post(JOBS, BODIES[IMAGE]).json()["id"]
    legacy: list[Any] = []
    call = threading.Thread(
        target=lambda: legacy.append(
            live.post("/api/legacy/tasks/image-embedding/stand-in/jobs", BODIES[IMAGE])
        )
    )
    call.start()
    until(lambda: len(live.service._unfinished) == 2)
    now[0] = 61.0
    done = live.ended(f"/api/tasks/image-embedding/jobs/{job}")
    assert (done["status"], done["code"]) == ("failed", "deadline")
    call.join(PATIENCE)
    assert (legacy[0].status_code, legacy[0].json()["code"]) == (504, "deadline")


def test_the_same_idempotency_key_makes_one_job(open_jobs: OpenJobs, held: Held) -> None:
    live = open_jobs()
    held.gate.clear()
    sent = {"Idempotency-Key": "7c2d"}
    first = live.post(JOBS, BODIES[IMAGE], **sent).json()
    again = live.post(JOBS, BODIES[IMAGE], **sent)  # in flight
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    other = live.post(JOBS, {"image": url(png(2))}, **sent)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert live.post(JOBS, BODIES[IMAGE], **sent, Authorization="Bearer another").json()["id"] != first["id"]
    held.gate.set()
    done = live.ended(f"/api/tasks/image-embedding/jobs/{first['id']}")
    after = live.post(JOBS, BODIES[IMAGE], **sent).json()
    assert after == {"id": first["id"], "status": "complete"}
    legacy = live.post("/api/legacy/tasks/image-embedding/stand-in/jobs", BODIES[IMAGE], **sent)
    assert legacy.json() == done["result"]
    assert sum(held.pictures) == 1
    for bad in ("", "a" * 256, "tab\there"):
        answer = live.post(JOBS, BODIES[IMAGE], **{"Idempotency-Key": bad})
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["header", "idempotency-key"])
