"""One thread for each model: loads it, and embeds what waits for it in batches over the jobs of all clients."""

from __future__ import annotations

import dataclasses
import enum
import logging
import threading
import time
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING

from connector.blobs.picture import Picture
from connector.blobs.policy import BlobPolicy
from connector.errors import ConnectorError, DataError, EmbeddingError
from connector.server.heap import settle
from connector.server.jobs import pictures
from connector.server.jobs.catalogue import JobModel
from connector.server.jobs.job import Failure, Item, Job, JobState, Kind
from connector.server.jobs.lanes import Lanes

if TYPE_CHECKING:
    from connector.engine.batches import Outcome
    from connector.engine.engine import Engine
    from connector.server.metrics import Metrics

LINGER = 0.002
"""Seconds that a batch waits to become fuller: as good as nothing to one client, enough for many that come at once."""
PIXELS = 64_000_000
"""Of the pictures that are decoded at one moment for a model that takes them whole: 200 MB of RGB."""

log = logging.getLogger("connector")
_DIED = Failure(
    "The model's worker stopped unexpectedly. Send the job again; the model is loaded anew.",
    "unavailable",
    503,
)


class ModelState(enum.Enum):
    """The words of the wire: never asked for, its thread begun, loading, ready, unloaded, not to be loaded."""

    UNINITIALIZED = "uninitialized"
    STARTING = "starting"
    LOADING = "loading"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class _Decoding:
    """A picture that is being decoded."""

    item: Item
    picture: Future[Picture | Failure | None]


class Worker:
    """A model and the jobs that wait for it. Its thread lives from the first job, or `start`, to `stop`.

    Whatever ends the thread ends its jobs: none waits for a model that is not coming. A job after that begins anew.

    Args:
        decoders: where pictures are decoded, while the batch before them is embedded.
    """

    def __init__(self, model: JobModel, policy: BlobPolicy, decoders: Executor, metrics: Metrics) -> None:
        self.model = model
        self._policy, self._decoders, self._metrics = policy, decoders, metrics
        self._changed = threading.Condition()
        self._lanes = Lanes()
        self._jobs: dict[str, Job] = {}
        self._ahead: list[_Decoding] = []
        self._thread: threading.Thread | None = None
        self._stopping = self._closed = False
        self._whole = False
        self.state = ModelState.UNINITIALIZED
        self.engine: Engine | None = None
        self.failure: Failure | None = None

    def submit(self, job: Job) -> None:
        """Let a job wait for its turn; the model is loaded if it is not."""
        with self._changed:
            closed = self._closed
            if not closed:
                self._jobs[job.id] = job
                self._lanes.add(job)
                self._awake()
                self._tell_queue()
        if closed:
            job.fail(Failure("The server is going down. Send the job to it again later.", "unavailable", 503))
        job.when_ended(self._forget)

    def start(self) -> None:
        """Load the model in the background, if it is not loaded."""
        with self._changed:
            self._awake()

    def stop(self) -> None:
        """Unload the model once the jobs that wait are done; a job that comes before that keeps it."""
        with self._changed:
            self._stopping = self._thread is not None
            self._changed.notify_all()

    def close(self) -> None:
        """Take no more jobs and end the thread, which goes when the batch in hand is done."""
        with self._changed:
            self._closed = self._stopping = True
            self._changed.notify_all()

    def join(self, seconds: float) -> None:
        """Wait for the thread to end."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def queued(self) -> list[Job]:
        """The jobs none of whose inputs are in hand yet."""
        with self._changed:
            return [job for job in self._jobs.values() if job.state is JobState.STARTING]

    def bury(self) -> None:
        """End the jobs of a thread that is gone without having said so."""
        with self._changed:
            if self._thread is None or self._thread.is_alive():
                return
        self._leave(ModelState.FAILED, _DIED)

    def _awake(self) -> None:
        if self._closed:
            return
        self._stopping = False
        if self._thread is None:
            self.state = ModelState.STARTING
            self._thread = threading.Thread(target=self._run, name=f"jobs {self.model.name}", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _forget(self, job: Job) -> None:
        with self._changed:
            self._jobs.pop(job.id, None)

    def _tell_queue(self) -> None:
        self._metrics.queue(self.model.name, len(self._lanes))

    # --- the thread

    def _run(self) -> None:
        state, failure = ModelState.FAILED, _DIED
        try:
            self._serve(self._load())
            state = ModelState.STOPPED
        except ConnectorError as error:
            failure = Failure.of(error)
            log.warning("model %s: %s", self.model.name, failure.reason)
        # A border: a model's library may end a thread in any way, even by SystemExit. Its jobs must not wait for ever.
        except BaseException:
            log.exception("model %s: its worker stopped unexpectedly", self.model.name)
        finally:
            self._leave(state, failure)

    def _load(self) -> Engine:
        from connector.engine.engine import Engine
        from connector.engine.handlers import load_handler

        self.state = ModelState.LOADING
        config, began = self.model.config, time.perf_counter()
        try:
            engine = Engine(load_handler(config), config.embedding_engine_config)
        except ConnectorError:
            self._metrics.model_load(self.model.name, "failed", time.perf_counter() - began)
            raise
        seconds = time.perf_counter() - began
        self._metrics.model_load(self.model.name, "loaded", seconds)
        self._metrics.stage("load", seconds)
        self._whole = pictures.stays_whole(self.model, engine.frame)
        settle()
        self.engine, self.failure = engine, None
        self.state = ModelState.RUNNING
        return engine

    def _leave(self, state: ModelState, failure: Failure) -> None:
        """End this thread's jobs and let go of the model; a job or `start` that came too late begins a new one."""
        from connector.engine.handlers import release_handler

        with self._changed:
            self.engine, self._ahead = None, []
            self.state = state
            left: list[Job] = []
            if state is ModelState.FAILED:
                # What was to be started has failed. One that has stopped may have been started again by now.
                self._stopping = True
                self.failure = failure
                left = list(self._jobs.values())
                self._lanes.clear()
                self._tell_queue()
        for job in left:
            job.fail(failure)
        release_handler(self.model.config)
        settle()  # models are full of cycles, and memory is what they are stopped for
        with self._changed:
            self._thread = None
            if len(self._lanes) or not self._stopping:
                self._awake()

    def _serve(self, engine: Engine) -> None:
        while (kind := self._next()) is not None:
            if kind == "picture":
                self._embed_pictures(engine)
            else:
                self._embed_texts(engine)

    def _next(self) -> Kind | None:
        """Wait until something waits, and a moment longer for more of it; None when the thread shall end."""
        with self._changed:
            while True:
                if self._closed:
                    return None
                kind = self._lanes.next_kind() or ("picture" if self._ahead else None)
                if kind is not None:
                    break
                if self._stopping:
                    return None
                self._changed.wait()
            size = self._size(kind)
            self._changed.wait_for(lambda: self._lanes.count(kind) >= size or self._closed, LINGER)
            return kind

    def _size(self, kind: Kind) -> int:
        engine = self.model.config.embedding_engine_config
        return engine.images_together if kind == "picture" else engine.text_batch_size

    def _take(self, kind: Kind, room: int, pixels: float = 0, *, needed: bool) -> list[Item]:
        with self._changed:
            items = self._lanes.take(kind, room, pixels, needed=needed)
            self._tell_queue()
        for item in items:
            item.job.begin()
        return items

    # --- pictures

    def _embed_pictures(self, engine: Engine) -> None:
        # What was begun ahead goes first; the batch is filled up with what has come since.
        batch = self._ahead
        batch = batch + self._begin(engine, batch, needed=not batch)
        ready: list[tuple[Item, Picture]] = []
        self._ahead = []
        for each in batch:
            picture = each.picture.result()
            if isinstance(picture, Failure):
                each.item.job.fail(picture)
            elif picture is not None and not each.item.job.ended:
                ready.append((each.item, picture))
        self._ahead = self._begin(engine, [], needed=False)
        if ready:
            began = time.perf_counter()
            outcomes = engine.embed_images([(picture.digest, picture.image) for _, picture in ready])
            self._settle([item for item, _ in ready], outcomes, began)

    def _begin(self, engine: Engine, begun: list[_Decoding], *, needed: bool) -> list[_Decoding]:
        """Take more pictures, as many as fit beside those begun, and begin to decode them."""
        room = self._size("picture") - len(begun)
        pixels = PIXELS - sum(each.item.pixels for each in begun) if self._whole else float("inf")
        items = self._take("picture", room, pixels, needed=needed)
        return [_Decoding(item, self._decoders.submit(self._decode, engine, item)) for item in items]

    def _decode(self, engine: Engine, item: Item) -> Picture | Failure | None:
        data = item.take()
        if not isinstance(data, bytes):
            return None  # its job has ended meanwhile
        began = time.perf_counter()
        try:
            return pictures.decoded(self.model, data, self._policy, engine.frame, item.name)
        except ConnectorError as error:
            return Failure.of(error)
        finally:
            self._metrics.stage("decode", time.perf_counter() - began)

    # --- texts

    def _embed_texts(self, engine: Engine) -> None:
        items = self._take("text", self._size("text"), needed=True)
        texts = [item.take() for item in items]
        ready = [(item, text) for item, text in zip(items, texts, strict=True) if isinstance(text, str)]
        if not ready:
            return
        began = time.perf_counter()
        try:
            outcomes = engine.embed_texts([text for _, text in ready])
        except DataError as error:  # this model turns out to read no texts
            for item, _ in ready:
                item.job.fail(Failure.of(error))
            return
        self._settle([item for item, _ in ready], outcomes, began)

    def _settle(self, items: list[Item], outcomes: list[Outcome], began: float) -> None:
        self._metrics.stage("embed", time.perf_counter() - began)
        self._metrics.batch(self.model.name, len(items))
        for item, outcome in zip(items, outcomes, strict=True):
            if isinstance(outcome, EmbeddingError):
                item.job.fail(Failure.of(outcome, item.name))
            else:
                item.job.settle(item, outcome)
