"""Limits, deadlines, retention, keys and the drain: every job ends, and nothing grows without bound."""

from __future__ import annotations

import threading

import pytest

from connector import BlobPolicy
from connector.server.jobs import service as module
from connector.server.jobs.ask import Ask
from connector.server.jobs.catalogue import IMAGE, TEXT, ZERO_SHOT
from connector.server.jobs.job import OVERHEAD, Job, JobState
from connector.server.jobs.keys import Key
from connector.server.jobs.service import JobService
from connector.server.jobs.worker import ModelState
from connector.server.metrics import Metrics
from connector.server.problems import Problem
from tests.conftest import PATIENCE, until
from tests.server.jobs.conftest import Clock, Held, OpenService, idle, png, raw, url
from tests.server.jobs.test_worker import busy, many, one, words

KEY = Key("caller", "word")


def refused(service: JobService, ask: Ask, key: Key | None = None) -> Problem:
    with pytest.raises(Problem) as raised:
        service.submit(ask, key)
    return raised.value


def got(service: JobService, job: Job) -> Job:
    return service.get(job.id, batched=job.batched, zero_shot=job.task == ZERO_SHOT)


# --- what is refused at once


@pytest.mark.parametrize(
    ("ask", "status", "code"),
    [
        (Ask(task=IMAGE, model="none"), 404, "model_unknown"),
        (Ask(task=TEXT, model="dino-v2-vits14", texts=("a",)), 422, "task_unsupported"),
        (Ask(task=ZERO_SHOT, model="stand-in", pictures=(raw(png()),)), 422, "classes_missing"),
        (
            Ask(task=ZERO_SHOT, model="stand-in", pictures=(raw(png()),), texts=("a",) * 4097),
            422,
            "batch_too_large",
        ),
        (many(5), 422, "batch_too_large"),
        (words(*"abcde"), 422, "batch_too_large"),
        (words("a" * 1_000_001), 422, "text_too_long"),
        (Ask(task=IMAGE, model="stand-in", pictures=("https://x.example/a.png",)), 422, "blob_forbidden"),
        (Ask(task=IMAGE, model="stand-in", pictures=("shoe.jpg",)), 422, "blob_unreadable"),
        (Ask(task=IMAGE, model="stand-in", pictures=("",)), 422, "blob_unreadable"),
        (Ask(task=IMAGE, model="stand-in", pictures=(url(png()[:20]),)), 422, "blob_unreadable"),
        (Ask(task=IMAGE, model="stand-in", pictures=(url(png(1, (200, 200))),)), 413, "blob_too_large"),
    ],
)
def test_what_can_be_seen_at_once_is_refused_at_once(
    open_service: OpenService, ask: Ask, status: int, code: str
) -> None:
    service = open_service(max_batch=4, blob_policy=BlobPolicy(allow_files=False, max_pixels=10_000))
    problem = refused(service, ask)
    assert (problem.status, problem.code) == (status, code)
    assert service.status("stand-in") == (ModelState.UNINITIALIZED, [])


def test_a_refusal_says_which_picture(open_service: OpenService) -> None:
    ask = Ask(task=IMAGE, model="stand-in", batched=True, pictures=(raw(png()), "shoe.jpg"))
    assert refused(open_service(), ask).detail.startswith("'image[1]' is neither a data: URL nor base64")


def test_as_many_jobs_as_allowed_wait_and_no_more(open_service: OpenService, held: Held) -> None:
    service = open_service(max_jobs=3)
    busy(service, held)
    jobs = [service.submit(one(number)) for number in range(2)]
    problem = refused(service, one(5))
    assert (problem.status, problem.code, problem.headers) == (429, "queue_full", {"Retry-After": "1"})
    held.gate.set()
    until(lambda: all(job.ended for job in jobs))
    assert not service.submit(one(6)).failure


def test_the_bytes_of_waiting_pictures_are_bounded(
    open_service: OpenService, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = png(0, (64, 64))
    monkeypatch.setattr(module, "HELD_BYTES", 2 * (len(data) + 2 * OVERHEAD) + len(data))
    service = open_service()
    held.gate.clear()
    jobs = [service.submit(one(data=data)) for _ in range(2)]
    assert refused(service, one(data=data)).code == "queue_full"
    held.gate.set()
    until(lambda: all(job.ended for job in jobs))
    assert not service.submit(one(data=data)).failure


def test_nothing_is_held_once_all_have_ended(open_service: OpenService, held: Held) -> None:
    service = open_service()
    jobs = [service.submit(ask) for ask in (one(), many(3), words("a", "unembeddable"), many(0))]
    until(lambda: idle(service))
    assert all(job.ended for job in jobs)
    assert service._held == 0


# --- reading


def test_a_result_can_be_read_more_than_once_until_its_time_is_over(
    open_service: OpenService, held: Held
) -> None:
    clock = Clock()
    service = open_service(clock=clock, keep_seconds=60)
    job = service.submit(one(), KEY)
    until(lambda: idle(service))
    assert got(service, job) is got(service, job) is job
    clock.now += 59
    service.sweep()
    assert got(service, job) is job
    clock.now += 1
    until(lambda: not len(service._shelf) and not len(service._keys))  # its own clock looks, too
    with pytest.raises(Problem, match=f"Job '{job.id}' not found. Results are kept for 60 seconds") as raised:
        got(service, job)
    assert (raised.value.status, raised.value.code) == (404, "job_unknown")
    assert service.submit(one(), KEY) is not job


def test_results_are_kept_within_their_bytes(open_service: OpenService, held: Held) -> None:
    service = open_service(keep_bytes=2 * (OVERHEAD + 4 * 64))
    jobs = []
    for number in range(3):
        jobs.append(service.submit(one(number)))
        until(lambda: idle(service))
    assert len(service._shelf) == 2
    with pytest.raises(Problem, match="not found"):
        got(service, jobs[0])
    assert got(service, jobs[2]) is jobs[2]


def test_a_job_is_read_where_its_kind_of_result_is_answered(open_service: OpenService, held: Held) -> None:
    service = open_service()
    job = service.submit(one())
    assert service.get(job.id, batched=False, zero_shot=False) is job
    for batched, zero_shot in ((True, False), (False, True), (True, True)):
        with pytest.raises(Problem, match="not found"):
            service.get(job.id, batched=batched, zero_shot=zero_shot)
    assert got(service, job) is job


# --- deadlines and the drain


def test_a_job_that_is_late_fails_even_while_the_model_is_stuck(
    open_service: OpenService, held: Held
) -> None:
    clock = Clock()
    service = open_service(clock=clock, job_seconds=5)
    stuck = busy(service, held)
    waiting = service.submit(one(1))
    clock.now += 5
    until(lambda: stuck.ended and waiting.ended)
    for job in (stuck, waiting):
        assert job.failure is not None
        assert (job.failure.code, job.failure.status) == ("deadline", 504)
        assert job.failure.reason.startswith("The job was not done after 5 seconds")
    held.gate.set()
    fresh = service.submit(one(2))
    until(lambda: fresh.ended)
    assert fresh.state is JobState.COMPLETE
    assert sum(held.pictures) == 2  # what was late by then is not embedded


def test_a_job_whose_model_does_not_come_fails_at_its_deadline(
    open_service: OpenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    come, loading = threading.Event(), threading.Event()

    def slow(config: object) -> Held:
        loading.set()
        assert come.wait(PATIENCE)
        return Held()

    monkeypatch.setattr("connector.testing.load", slow)
    clock = Clock()
    service = open_service(clock=clock, job_seconds=5)
    job = service.submit(one())
    until(loading.is_set)
    assert job.state is JobState.STARTING
    assert service.status("stand-in") == (ModelState.LOADING, [job])
    clock.now += 5
    until(lambda: job.ended)
    come.set()
    assert job.failure is not None
    assert job.failure.code == "deadline"
    until(lambda: service.status("stand-in")[0] is ModelState.RUNNING)


def test_a_drain_takes_nothing_more_and_finishes_what_is_in_hand(
    open_service: OpenService, held: Held
) -> None:
    service = open_service()
    jobs = [busy(service, held), service.submit(one(1))]
    draining = threading.Thread(target=service.drain, args=(PATIENCE,))
    draining.start()
    until(lambda: service._draining)
    problem = refused(service, one(2))
    assert (problem.status, problem.code, problem.headers) == (503, "unavailable", {"Retry-After": "5"})
    with pytest.raises(Problem, match="going down"):
        service.start_model("demo")
    held.gate.set()
    draining.join(PATIENCE)
    assert {job.state for job in jobs} == {JobState.COMPLETE}
    assert got(service, jobs[1]) is jobs[1]


def test_a_drain_fails_what_it_cannot_finish_in_time(open_service: OpenService, held: Held) -> None:
    service = open_service()
    jobs = [busy(service, held), service.submit(one(1))]
    service.drain(0.01)
    for job in jobs:
        assert job.failure is not None
        assert job.failure.code == "unavailable"
        assert "going down" in job.failure.reason
    held.gate.set()


# --- idempotency keys


def test_the_same_key_twice_is_one_job(open_service: OpenService, held: Held) -> None:
    service = open_service()
    held.gate.clear()
    job = service.submit(one(1), KEY)
    assert service.submit(one(1), KEY) is job
    held.gate.set()
    until(lambda: job.ended)
    assert service.submit(one(1), KEY) is job
    assert sum(held.pictures) == 1
    assert refused(service, one(2), KEY).code == "idempotency_key_reused"
    assert refused(service, words("a"), KEY).code == "idempotency_key_reused"


def test_a_request_that_was_refused_does_not_spend_its_key(open_service: OpenService, held: Held) -> None:
    service = open_service(max_jobs=1)
    held.gate.clear()
    first = service.submit(one(1))
    assert refused(service, one(2), KEY).status == 429
    held.gate.set()
    until(lambda: idle(service))
    no_picture = Ask(task=IMAGE, model="stand-in", pictures=("x",))
    assert refused(service, no_picture, KEY).status == 422
    assert service.submit(one(2), KEY) is not first
    assert len(service._keys) == 1


def test_asks_differ_by_all_that_matters() -> None:
    asks = [
        one(1),
        one(2),
        many(1),
        many(2),
        words("a"),
        words("a", "b"),
        words("ab"),
        Ask(task=TEXT, model="stand-in", texts=("a",)),
        Ask(task=TEXT, model="demo", texts=("a",)),
        Ask(task=ZERO_SHOT, model="demo", pictures=("a",), texts=("b",)),
        Ask(task=ZERO_SHOT, model="demo", pictures=(), texts=("a", "b")),
        Ask(task=ZERO_SHOT, model="demo", pictures=("a", "b"), texts=()),
    ]
    assert len({ask.digest() for ask in asks}) == len(asks)
    assert (
        Ask(task=TEXT, model="stand_in", texts=("a",)).digest()
        == Ask(task=TEXT, model="stand-in", texts=("a",)).digest()
    )


def test_refusals_are_counted_by_their_reasons(open_service: OpenService) -> None:
    metrics = Metrics()
    refused(open_service(metrics=metrics), Ask(task=IMAGE, model="demo", pictures=("shoe.jpg",)))
    assert b'connector_rejections_total{code="blob_unreadable"} 1.0' in metrics.render()
