"""Batches over the jobs of many clients, one bad input alone, and a thread whose end ends its jobs."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from connector import ModelUnavailable
from connector.server.jobs.ask import Ask
from connector.server.jobs.catalogue import IMAGE, TEXT, ZERO_SHOT
from connector.server.jobs.job import Failure, Job, JobState
from connector.server.jobs.service import JobService
from connector.server.jobs.worker import ModelState
from connector.server.metrics import Metrics
from connector.space import PictureFrame
from connector.testing import StandInHandler
from tests.conftest import PATIENCE, until
from tests.server.jobs.conftest import MAGENTA, Held, OpenService, own_space, png, raw


def one(seed: int = 0, data: bytes | None = None) -> Ask:
    return Ask(task=IMAGE, model="stand-in", pictures=(raw(data or png(seed)),))


def many(count: int, start: int = 0) -> Ask:
    pictures = tuple(raw(png(start + number)) for number in range(count))
    return Ask(task=IMAGE, model="stand-in", batched=True, pictures=pictures)


def words(*texts: str) -> Ask:
    return Ask(task=TEXT, model="stand-in", batched=True, texts=texts)


def busy(service: JobService, held: Held) -> Job:
    """A job that is in the handler's hands, which it does not leave before the gate is opened."""
    held.gate.clear()
    job = service.submit(one(999))
    until(held.inside.is_set)
    return job


def wait_for(*jobs: Job) -> None:
    until(lambda: all(job.ended for job in jobs))


def state(service: JobService) -> ModelState:
    return service.status("stand-in")[0]


def test_jobs_of_many_clients_go_through_the_model_together(open_service: OpenService, held: Held) -> None:
    metrics = Metrics()
    service = open_service(metrics=metrics)
    first = busy(service, held)
    jobs = [service.submit(one(number)) for number in range(64)]
    assert {job.state for job in jobs} <= {JobState.STARTING, JobState.RUNNING}
    assert b'connector_queue_waiting{model="stand-in"} 64.0' in metrics.render()
    held.gate.set()
    until(lambda: all(job.ended for job in [first, *jobs]))
    assert {job.state for job in jobs} == {JobState.COMPLETE}
    assert held.pictures == [1, 32, 32]
    text = metrics.render().decode()
    assert 'connector_batch_size_sum{model="stand-in"} 65.0' in text
    assert 'connector_batch_size_count{model="stand-in"} 3.0' in text
    assert 'connector_queue_waiting{model="stand-in"} 0.0' in text


def test_each_gets_its_own_vector(open_service: OpenService, held: Held) -> None:
    service = open_service()
    busy(service, held)
    jobs = [service.submit(one(number)) for number in range(5)]
    batch = service.submit(many(5))
    held.gate.set()
    until(lambda: batch.ended and all(job.ended for job in jobs))
    assert batch.rows is not None
    for job, row in zip(jobs, batch.rows, strict=True):
        assert job.rows is not None
        np.testing.assert_array_equal(job.rows[0], row)
    assert len(np.unique(batch.rows, axis=0)) == 5


def test_the_same_picture_is_embedded_once_and_remembered(open_service: OpenService, held: Held) -> None:
    service = open_service()
    busy(service, held)
    jobs = [service.submit(one(7)) for _ in range(10)]
    held.gate.set()
    until(lambda: all(job.ended for job in jobs))
    later = service.submit(one(7))
    until(lambda: later.ended)
    assert sum(held.pictures) == 2  # the one that kept it busy, and this


def test_a_job_of_many_does_not_make_a_job_of_one_wait_for_all_of_it(
    open_service: OpenService, held: Held
) -> None:
    service = open_service()
    busy(service, held)
    large = service.submit(many(100))
    small = service.submit(one(1000))
    ended: list[Job] = []
    for job in (large, small):
        job.when_ended(ended.append)
    held.gate.set()
    until(lambda: len(ended) == 2)
    assert ended == [small, large]
    assert large.rows is not None
    assert len(large.rows) == 100
    assert max(held.pictures) <= 32


def test_a_picture_that_the_model_refuses_fails_its_own_job_alone(
    open_service: OpenService, held: Held
) -> None:
    metrics = Metrics()
    service = open_service(metrics=metrics)
    busy(service, held)
    good = [service.submit(one(number)) for number in range(6)]
    bad = service.submit(one(data=MAGENTA))
    mixed = service.submit(
        Ask(task=IMAGE, model="stand-in", batched=True, pictures=(raw(png(50)), raw(MAGENTA), raw(png(51))))
    )
    held.gate.set()
    until(lambda: all(job.ended for job in [*good, bad, mixed]))
    assert {job.state for job in good} == {JobState.COMPLETE}
    assert bad.failure is not None
    assert bad.failure.code == "not_embeddable"
    assert bad.failure.reason.startswith(
        "'image': The model cannot embed this picture (ValueError: a magenta"
    )
    assert mixed.failure is not None
    assert mixed.failure.reason.startswith("'image[1]': The model cannot")
    assert b'connector_rejections_total{code="not_embeddable"} 2.0' in metrics.render()


def test_a_picture_whose_pixels_are_damaged_fails_its_own_job_alone(
    open_service: OpenService, held: Held
) -> None:
    service = open_service()
    whole = png(5, (300, 300))
    bad, good = service.submit(one(data=whole[:-60])), service.submit(one(1))
    until(lambda: bad.ended and good.ended)
    assert good.state is JobState.COMPLETE
    assert bad.failure is not None
    assert (bad.failure.code, bad.failure.status) == ("blob_unreadable", 422)
    assert bad.failure.reason.startswith("'image' cannot be decoded as PNG")


def test_numbers_that_are_not_finite_fail_the_job_and_not_the_answer(
    open_service: OpenService, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        held, "embed_images", lambda pictures: np.full((len(pictures), 64), np.nan, np.float32)
    )
    job = open_service().submit(one())
    wait_for(job)
    assert job.failure is not None
    assert job.failure.code == "not_embeddable"
    assert "not finite" in job.failure.reason


def test_texts_are_batched_and_refused_likewise(open_service: OpenService, held: Held) -> None:
    service = open_service()
    busy(service, held)
    jobs = [service.submit(words(f"word {number}")) for number in range(200)]
    bad = service.submit(words("fine", "unembeddable"))
    held.gate.set()
    until(lambda: bad.ended and all(job.ended for job in jobs))
    assert {job.state for job in jobs} == {JobState.COMPLETE}
    assert bad.failure is not None
    assert bad.failure.reason.startswith("'text[1]': The model cannot embed this text")
    assert held.texts[0] == 128


def test_pictures_and_words_take_turns(open_service: OpenService, held: Held) -> None:
    service = open_service()
    busy(service, held)
    jobs = [service.submit(many(32, 100)), service.submit(many(32, 200)), service.submit(words("a"))]
    order: list[Job] = []
    for job in jobs:
        job.when_ended(order.append)
    held.gate.set()
    until(lambda: len(order) == 3)
    assert order[0] is jobs[2]


def test_a_model_that_turns_out_to_read_no_text_fails_the_job(
    open_service: OpenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pictures:
        length, frame, identity = 64, PictureFrame(64), {"name": "pictures"}

        def embed_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
            return StandInHandler().embed_images(pictures)

    monkeypatch.setattr("connector.testing.load", lambda config: Pictures())
    service = open_service()
    zero_shot = Ask(task=ZERO_SHOT, model="stand-in", pictures=(raw(png()),), texts=("a",))
    for job in (service.submit(words("a")), service.submit(zero_shot)):
        wait_for(job)
        assert job.failure is not None
        assert (job.failure.code, job.failure.status) == ("space_invalid", 422)
        assert "reads pictures only" in job.failure.reason
    assert state(service) is ModelState.RUNNING


# --- the life of a model


def test_a_model_is_loaded_by_its_first_job_and_unloaded_by_stop(
    open_service: OpenService, held: Held
) -> None:
    service = open_service()
    assert state(service) is ModelState.UNINITIALIZED
    first = service.submit(one())
    until(lambda: first.ended)
    assert state(service) is ModelState.RUNNING
    service.stop_model("stand-in")
    until(lambda: state(service) is ModelState.STOPPED)
    service.stop_model("stand-in")
    again = service.submit(one())
    until(lambda: again.ended)
    assert again.state is JobState.COMPLETE
    assert state(service) is ModelState.RUNNING
    assert sum(held.pictures) == 2  # a model that was unloaded remembers nothing


def test_start_loads_it_without_a_job(open_service: OpenService, held: Held) -> None:
    service = open_service()
    for _ in range(2):
        service.start_model("stand_in")
        until(lambda: state(service) is ModelState.RUNNING)
    assert held.pictures == []


def test_a_start_just_when_the_thread_ends_is_not_lost(
    open_service: OpenService, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, left = open_service(), threading.Event()
    worker = service._workers["stand-in"]
    leave = worker._leave

    def leave_late(state: ModelState, failure: Failure) -> None:
        monkeypatch.setattr(worker, "_leave", leave)
        worker.start()
        leave(state, failure)
        left.set()

    service.start_model("stand-in")
    until(lambda: state(service) is ModelState.RUNNING)
    monkeypatch.setattr(worker, "_leave", leave_late)
    service.stop_model("stand-in")
    assert left.wait(PATIENCE)
    assert state(service) is not ModelState.STOPPED
    until(lambda: state(service) is ModelState.RUNNING)


def test_stop_lets_the_jobs_that_wait_be_done(open_service: OpenService, held: Held) -> None:
    service = open_service()
    jobs = [busy(service, held), service.submit(many(40))]
    service.stop_model("stand-in")
    held.gate.set()
    until(lambda: all(job.ended for job in jobs))
    assert {job.state for job in jobs} == {JobState.COMPLETE}
    until(lambda: state(service) is ModelState.STOPPED)


def test_a_model_that_somebody_else_holds_is_not_loaded_twice(
    open_service: OpenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connector.engine.handlers import load_handler

    loads: list[Held] = []

    def load(config: object) -> Held:
        loads.append(Held())
        return loads[-1]

    monkeypatch.setattr("connector.testing.load", load)
    space = own_space()
    mine = load_handler(space.transformation_config.embedding_config)
    service = open_service(space=space)
    for _ in range(2):
        service.start_model("stand-in")
        until(lambda: state(service) is ModelState.RUNNING)
        service.stop_model("stand-in")
        until(lambda: state(service) is ModelState.STOPPED)
    assert loads == [mine]


def test_a_model_that_cannot_be_loaded_fails_its_jobs_with_the_reason_and_is_tried_again(
    open_service: OpenService, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics, tries = Metrics(), list[int]()

    def fail(config: object) -> Held:
        tries.append(1)
        raise ValueError("these weights are of no use")

    monkeypatch.setattr("connector.testing.load", fail)
    service = open_service(metrics=metrics)
    job = service.submit(one())
    until(lambda: job.ended)
    assert job.failure is not None
    assert (job.failure.code, job.failure.status) == ("model_unavailable", 503)
    assert "these weights are of no use" in job.failure.reason
    until(lambda: state(service) is ModelState.FAILED)
    assert len(tries) == 1  # and not twenty times a second
    assert b'connector_model_loads_total{model="stand-in",outcome="failed"} 1.0' in metrics.render()

    monkeypatch.setattr("connector.testing.load", lambda config: held)
    again = service.submit(one())
    until(lambda: again.ended)
    assert again.state is JobState.COMPLETE
    assert b'connector_model_loads_total{model="stand-in",outcome="loaded"} 1.0' in metrics.render()


def test_weights_that_are_not_there_fail_the_job(open_service: OpenService, tmp_path: Path) -> None:
    service = open_service(folders={"dino-v2-vits14": str(tmp_path / "nowhere")})
    job = service.submit(dataclasses.replace(one(), model="dino-v2-vits14"))
    until(lambda: job.ended)
    assert job.failure is not None
    assert job.failure.code == "model_unavailable"


@pytest.mark.parametrize("failing", [SystemExit(3), ModelUnavailable("the device is gone")])
def test_a_worker_that_dies_fails_what_waits_and_the_next_job_begins_anew(
    open_service: OpenService, held: Held, failing: BaseException
) -> None:
    service = open_service()
    first = busy(service, held)
    waiting = [service.submit(one(1)), service.submit(words("a")), service.submit(many(70, 5))]
    held.failing = failing
    held.gate.set()
    until(lambda: all(job.ended for job in waiting))
    assert first.state is JobState.COMPLETE
    for job in waiting:
        assert job.failure is not None
        assert job.failure.code in ("unavailable", "model_unavailable")
        assert job.failure.status == 503
    until(lambda: state(service) is ModelState.FAILED)
    again = service.submit(one(2))
    until(lambda: again.ended)
    assert again.state is JobState.COMPLETE


def test_a_thread_that_is_gone_without_a_word_is_buried(
    open_service: OpenService, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = open_service()
    worker = service._workers["stand-in"]
    monkeypatch.setattr(worker, "_run", lambda: None)
    job = service.submit(one())
    until(lambda: job.ended)
    assert job.failure is not None
    assert "stopped unexpectedly" in job.failure.reason
    monkeypatch.undo()
    monkeypatch.setattr("connector.testing.load", lambda config: held)
    again = service.submit(one())
    until(lambda: again.ended)
    assert again.state is JobState.COMPLETE


# --- memory


def test_pictures_of_waiting_jobs_are_not_decoded(
    open_service: OpenService, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connector.server.jobs import pictures

    decoded: list[str] = []
    decode = pictures.decoded

    def counted(*args: object, **kwargs: object) -> object:
        decoded.append("")
        return decode(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(pictures, "decoded", counted)
    service = open_service()
    busy(service, held)
    jobs = [service.submit(one(number)) for number in range(100)]
    assert len(decoded) == 1
    held.gate.set()
    until(lambda: all(job.ended for job in jobs))
    assert len(decoded) == 101


def test_large_pictures_that_stay_whole_come_a_few_at_a_time(
    open_service: OpenService, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.server.jobs.worker.PIXELS", 3 * 48 * 32)
    monkeypatch.setattr(held, "frame", None, raising=False)
    service = open_service()
    busy(service, held)
    job = service.submit(many(8))
    held.gate.set()
    until(lambda: job.ended)
    assert job.state is JobState.COMPLETE
    assert held.pictures == [1, 3, 3, 2]


def test_batches_are_as_large_as_the_space_says(open_service: OpenService, held: Held) -> None:
    service = open_service(space=own_space(image_batch_size=4))
    busy(service, held)
    job = service.submit(many(10))
    held.gate.set()
    until(lambda: job.ended)
    assert held.pictures == [1, 4, 4, 2]
