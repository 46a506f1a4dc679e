"""One job: its inputs, its state, and in the end its rows or why there are none."""

from __future__ import annotations

import dataclasses
import enum
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from connector.engine.fusion import unit
from connector.errors import ConnectorError, EmbeddingError
from connector.logs import redacted
from connector.server.jobs.catalogue import QUERY, ZERO_SHOT, JobModel
from connector.server.jobs.pictures import Encoded
from connector.server.problems import LONGEST, problem_of

Kind: TypeAlias = Literal["picture", "text"]
Rows: TypeAlias = NDArray[np.float32]

OVERHEAD = 1024
"""Bytes that a job takes beside its inputs and rows, about."""


class JobState(enum.Enum):
    """The words of the wire: queued or its model loading, in hand, done, failed."""

    STARTING = "starting"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a job has no rows: a sentence, a stable word, and the status that a blocking route answers."""

    reason: str
    code: str
    status: int

    @classmethod
    def of(cls, error: ConnectorError, name: str = "") -> Failure:
        """Of an error of the house; `name` is the input it is about, where the message does not say so itself."""
        said = f"{name}: {error}" if isinstance(error, EmbeddingError) and name else str(error)
        return cls(redacted(said, LONGEST), error.code, problem_of(error).status)


@dataclasses.dataclass(eq=False, slots=True)
class Item:
    """One input of a job: a picture's bytes or a text, and None once it was taken out or is not needed any more."""

    job: Job
    kind: Kind
    index: int
    name: str
    content: bytes | str | None
    pixels: int = 0

    def take(self) -> bytes | str | None:
        """The content, which the job does not hold any longer."""
        content, self.content = self.content, None
        return content


class Job:
    """Inputs of one request on their way through one model. Safe to use from several threads.

    It ends once: with rows, or with the first failure of any of its inputs.

    Args:
        model: what embeds it.
        task: one of `TASKS`.
        batched: whether it is read at the batched route.
        pictures: encoded, in order.
        texts: to embed, in order; the classes where pictures are classified.
        deadline: when it fails at the latest, on its service's clock.
    """

    def __init__(
        self,
        model: JobModel,
        task: str,
        *,
        batched: bool,
        pictures: Sequence[Encoded] = (),
        texts: Sequence[str] = (),
        deadline: float,
    ) -> None:
        self.id = str(uuid.uuid4())
        self.model, self.task, self.batched, self.deadline = model, task, batched, deadline
        self.items = [*self._pictures(pictures), *self._texts(texts)]
        self.held = sum(_bytes(item.content) for item in self.items) + OVERHEAD * (1 + len(self.items))
        self.rows: Rows | None = None
        self.failure: Failure | None = None
        self._vectors: dict[Kind, list[Rows | None]] = {
            "picture": [None] * len(pictures),
            "text": [None] * len(texts),
        }
        self._open = len(self.items)
        self._state = JobState.STARTING
        self._waiting: list[Callable[[Job], None]] = []
        self._lock = threading.Lock()
        if not self.items:
            self.rows, self._state = np.zeros((0, 0), np.float32), JobState.COMPLETE

    @property
    def state(self) -> JobState:
        """Where it stands."""
        return self._state

    @property
    def ended(self) -> bool:
        """Whether its rows or its failure are there."""
        return self._state in (JobState.COMPLETE, JobState.FAILED)

    @property
    def kept(self) -> int:
        """Bytes that remembering its end takes."""
        return OVERHEAD + (0 if self.rows is None else self.rows.nbytes)

    def begin(self) -> None:
        """Its first input is in hand."""
        with self._lock:
            if self._state is JobState.STARTING:
                self._state = JobState.RUNNING

    def settle(self, item: Item, vector: Rows) -> None:
        """Take the vector of one of its inputs; with the last one it is complete."""
        with self._lock:
            if self.ended:
                return
            self._vectors[item.kind][item.index] = vector
            self._open -= 1
            if self._open:
                return
            self.rows = self._made()
            self._end(JobState.COMPLETE)
        self._tell()

    def fail(self, failure: Failure) -> None:
        """End it without rows, unless it has ended already."""
        with self._lock:
            if self.ended:
                return
            self.failure = failure
            self._end(JobState.FAILED)
        self._tell()

    def when_ended(self, tell: Callable[[Job], None]) -> None:
        """Call `tell` with this job once it has ended, in whichever thread ends it; at once if it has."""
        with self._lock:
            if not self.ended:
                self._waiting.append(tell)
                return
        tell(self)

    def _end(self, state: JobState) -> None:
        self._state = state
        self._vectors = {"picture": [], "text": []}
        for item in self.items:
            item.content = None
        self.items = []

    def _tell(self) -> None:
        # Not under the lock: those who are told take locks of their own.
        waiting, self._waiting = self._waiting, []
        for tell in waiting:
            tell(self)

    def _made(self) -> Rows:
        pictures, texts = (_stack(self._vectors[kind]) for kind in ("picture", "text"))
        if self.task == ZERO_SHOT:
            return _softmax(unit(pictures) @ unit(texts).T)
        rows = pictures if len(pictures) else texts
        return unit(rows) if self.model.normalised else rows

    def _pictures(self, pictures: Sequence[Encoded]) -> Iterator[Item]:
        for index, picture in enumerate(pictures):
            name = input_name("image", index, batched=self.batched)
            yield Item(self, "picture", index, name, picture.data, picture.pixels)

    def _texts(self, texts: Sequence[str]) -> Iterator[Item]:
        for index, text in enumerate(texts):
            if self.task == ZERO_SHOT:
                name = input_name("classes", index, batched=True)
            else:
                name = input_name("query" if self.task == QUERY else "text", index, batched=self.batched)
            yield Item(self, "text", index, name, text)


def input_name(field: str, index: int, *, batched: bool) -> str:
    """How messages call an input: by its field, and by its 0-based place where there are several."""
    return f"'{field}[{index}]'" if batched else f"'{field}'"


def _stack(vectors: Sequence[Rows | None]) -> Rows:
    there = [vector for vector in vectors if vector is not None]
    return np.stack(there) if there else np.zeros((0, 0), np.float32)


def _softmax(cosines: Rows) -> Rows:
    """Over classes, of the bare cosines: the service applies no logit scale, so its probabilities are nearly equal."""
    powers = np.exp(cosines.astype(np.float64) - cosines.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _bytes(content: bytes | str | None) -> int:
    return len(content or b"")
