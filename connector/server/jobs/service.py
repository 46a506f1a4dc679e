"""Jobs from their arrival to the moment their result is forgotten: who may come in, where they wait, how they end."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from connector.errors import BlobError
from connector.server.config import ServerConfig
from connector.server.jobs.ask import Ask, check
from connector.server.jobs.catalogue import ZERO_SHOT, Catalogue, JobModel
from connector.server.jobs.job import Failure, Job, input_name
from connector.server.jobs.keys import Key, Keys
from connector.server.jobs.pictures import Encoded, encoded
from connector.server.jobs.shelf import Shelf
from connector.server.jobs.worker import ModelState, Worker
from connector.server.problems import Problem, problem_of
from connector.space import ImageSpace

if TYPE_CHECKING:
    from connector.engine.engine import Engine
    from connector.server.metrics import Metrics

HELD_BYTES = 256 * 2**20
"""Of the inputs of all unfinished jobs; beyond it a job is put off."""
LOAD_PATIENCE = 5.0
"""Seconds that a question about a model waits for it to be loaded."""
_SWEEP = 0.25  # seconds between looks at the clock
_SHOWN = 60

log = logging.getLogger("connector")
_DRAINED = Failure(
    "The server is going down before this job's turn. Send the job again later.", "unavailable", 503
)
_ABANDONED = Failure("Whoever waited for this job has gone.", "abandoned", 503)


class JobService:
    """All jobs and the workers of their models. Safe to use from several threads.

    Every job ends: with its rows, or failed with a reason by its input, its model, its deadline or the drain.

    Args:
        space: its own model is on offer beside the service's.
        folders: where the weights of a service's model are, by its name, if not at the hub.
        clock: seconds that only grow; tests pass their own.

    Raises:
        DataError: the configuration offers a model that does not exist.
    """

    def __init__(
        self,
        space: ImageSpace[Any],
        config: ServerConfig,
        metrics: Metrics,
        *,
        folders: Mapping[str, str] = MappingProxyType({}),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.catalogue = Catalogue(space, config.models, folders)
        self._config, self._metrics, self._clock = config, metrics, clock
        self._decoders = ThreadPoolExecutor(min(8, os.cpu_count() or 1), "jobs decode")
        self._workers = {
            model.name: Worker(model, config.blob_policy, self._decoders, metrics) for model in self.catalogue
        }
        self._unfinished: dict[str, Job] = {}
        self._shelf = Shelf(config.keep_seconds, config.keep_bytes)
        self._keys = Keys()
        self._key_of: dict[str, Key] = {}
        self._held = 0
        self._draining = False
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep_on, name="jobs clock", daemon=True)

    def start(self) -> None:
        """Begin to watch the clock; models are loaded when they are first asked for."""
        self._sweeper.start()

    def drain(self, seconds: float) -> None:
        """Take no more jobs, wait up to `seconds` for those in hand, and fail the rest with a reason."""
        end = time.monotonic() + seconds
        with self._changed:
            self._draining = True
            while self._unfinished and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            rest = list(self._unfinished.values())
        for job in rest:
            job.fail(_DRAINED)
        for worker in self._workers.values():
            worker.close()
        for worker in self._workers.values():
            worker.join(max(0.0, end - time.monotonic()))
        self._over.set()
        self._decoders.shutdown(wait=False, cancel_futures=True)

    # --- jobs

    def submit(self, ask: Ask, key: Key | None = None, *, keep: bool = True) -> Job:
        """Take a job in: what is wrong with it and can be seen at once is refused, its pictures are not decoded.

        Args:
            key: the same key with the same request gives the same job, as long as that is remembered.
            keep: whether its end is remembered for those who read it by its id.

        Raises:
            Problem: 404 unknown model; 409 or 422 about the key; 413 or 422 about the inputs; 429 too many jobs or
                bytes wait; 503 the server is going down.
        """
        model = self.catalogue.find(ask.model)
        check(ask, model, self._config.max_batch)
        if key is None:
            return self._admit(ask, model, keep=keep)
        job = self._keys.claim(key, ask.digest())
        if job is not None:
            return job
        try:
            return self._admit(ask, model, key)
        except BaseException:
            self._keys.free(key)
            raise

    def get(self, job_id: str, *, batched: bool, zero_shot: bool) -> Job:
        """A job that is unfinished or still kept; `Problem` 404 if there is none of this id and of this kind of result."""
        with self._changed:
            job = self._unfinished.get(job_id) or self._shelf.get(job_id)
        if job is None or job.batched != batched or (job.task == ZERO_SHOT) != zero_shot:
            raise Problem(
                404,
                "job_unknown",
                f"Job {job_id[:_SHOWN]!r} not found. Results are kept for {self._config.keep_seconds:g} seconds, not "
                "beyond a restart, and are read where the job was made: of its task, batched or not.",
            )
        return job

    async def ended(self, ask: Ask, key: Key | None = None) -> Job:
        """Take a job in and wait for its end without holding a thread; without a key nobody can read it afterwards."""
        loop = asyncio.get_running_loop()
        job = await run_in_threadpool(self.submit, ask, key, keep=key is not None)
        done = asyncio.Event()

        def tell(_: Job) -> None:
            # A loop that is closed has nobody left who waits.
            if not loop.is_closed():
                loop.call_soon_threadsafe(done.set)

        job.when_ended(tell)
        try:
            await done.wait()
        finally:
            if key is None:
                job.fail(_ABANDONED)
        return job

    # --- models

    def status(self, name: str) -> tuple[ModelState, list[Job]]:
        """A model's state and the jobs that wait for it."""
        worker = self._worker(name)
        return worker.state, worker.queued()

    def start_model(self, name: str) -> None:
        """Load a model in the background, if it is not loaded."""
        if self._draining:
            raise _going_down()
        self._worker(name).start()

    def stop_model(self, name: str) -> None:
        """Unload a model once its jobs are done; a later job loads it again."""
        self._worker(name).stop()

    async def loaded(self, name: str) -> tuple[JobModel, Engine]:
        """A model with its engine, loaded if it is not.

        Raises:
            Problem: 503 where that takes longer than `LOAD_PATIENCE`, or fails.
        """
        worker = self._worker(name)
        self.start_model(name)
        for _ in range(int(LOAD_PATIENCE / 0.02)):
            engine = worker.engine
            if engine is not None:
                return worker.model, engine
            if worker.state is ModelState.FAILED and worker.failure is not None:
                raise Problem(503, worker.failure.code, worker.failure.reason, headers={"Retry-After": "10"})
            await asyncio.sleep(0.02)
        raise Problem(
            503,
            "model_loading",
            f"Model {worker.model.name!r} is still loading. Ask again in a moment.",
            headers={"Retry-After": "1"},
        )

    # --- inside

    def sweep(self) -> None:
        """Look at the clock: fail jobs that are late, forget results whose time is over, bury dead workers."""
        now = self._clock()
        with self._changed:
            late = [job for job in self._unfinished.values() if job.deadline <= now]
            gone = self._shelf.expire(now)
        for job in late:
            job.fail(
                Failure(
                    f"The job was not done after {self._config.job_seconds:g} seconds, which is its deadline. Send it "
                    "again when the server has less to do, or fewer inputs in one job.",
                    "deadline",
                    504,
                )
            )
        self._free(gone)
        for worker in self._workers.values():
            worker.bury()

    def _sweep_on(self) -> None:
        while not self._over.wait(_SWEEP):
            try:
                self.sweep()
            # A border: deadlines hold as long as this thread lives, so nothing unforeseen may end it.
            except Exception:
                log.exception("looking at the jobs' clock failed")

    def _admit(self, ask: Ask, model: JobModel, key: Key | None = None, *, keep: bool = True) -> Job:
        with self._changed:
            self._check_room(0)
        job = Job(
            model,
            ask.task,
            batched=ask.batched,
            pictures=[self._encoded(ask, at) for at in range(len(ask.pictures))],
            texts=ask.texts,
            deadline=self._clock() + self._config.job_seconds,
        )
        with self._changed:
            self._check_room(job.held)
            self._unfinished[job.id] = job
            self._held += job.held
            if key is not None:
                self._key_of[job.id] = key
        if key is not None:
            self._keys.hold(key, job)
        job.when_ended(self._keep if keep else self._ended)
        if not job.ended:
            self._workers[model.name].submit(job)
        return job

    def _encoded(self, ask: Ask, at: int) -> Encoded:
        try:
            return encoded(
                ask.pictures[at], self._config.blob_policy, input_name("image", at, batched=ask.batched)
            )
        except BlobError as error:
            self._metrics.rejection(error.code)
            raise problem_of(error) from error

    def _check_room(self, more: int) -> None:
        if self._draining:
            raise _going_down()
        if len(self._unfinished) >= self._config.max_jobs or self._held + more > HELD_BYTES:
            raise Problem(
                429,
                "queue_full",
                f"{len(self._unfinished)} jobs of {self._held // 2**20} MiB wait already. Send the job again in a "
                "moment.",
                headers={"Retry-After": "1"},
            )

    def _keep(self, job: Job) -> None:
        self._ended(job, keep=True)

    def _ended(self, job: Job, *, keep: bool = False) -> None:
        if job.failure is not None:
            self._metrics.rejection(job.failure.code)
        with self._changed:
            del self._unfinished[job.id]
            self._held -= job.held
            gone = self._shelf.put(job, self._clock()) if keep else []
            self._changed.notify_all()
        self._free(gone)

    def _free(self, gone: list[Job]) -> None:
        for job in gone:
            with self._changed:
                key = self._key_of.pop(job.id, None)
            if key is not None:
                self._keys.free(key)

    def _worker(self, name: str) -> Worker:
        return self._workers[self.catalogue.find(name).name]


def _going_down() -> Problem:
    return Problem(
        503,
        "unavailable",
        "The server is going down. Send the job again later.",
        headers={"Retry-After": "5"},
    )
