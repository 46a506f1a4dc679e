"""A model that a server runs, ours or vitrivr's feature-extraction service: batched jobs, asked for until they are done.

    model="http://gpu.example:8888/clip-vit-large-patch14", model_handler=ModelHandler.REMOTE

Our server says what its model is (`identity`, `frame`), so that one collection may be written there and here alike; the
original cannot, and its vectors are kept apart. Vectors come as the server gives them: raw of a space's own model, of
the three service models as that service normalises them.
"""

from __future__ import annotations

import base64
import io
import logging
import uuid
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from connector.engine import remote_answers, remote_wire
from connector.engine.remote_answers import IMAGES, TEXTS, Address, Description
from connector.engine.remote_wire import Answer, Wire
from connector.errors import EmbeddingError, ModelUnavailable, OperationalError
from connector.transformation import ImageEmbeddingConfig

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_INPUTS = 128
MAX_TEXT = 24 * 2**20
"""Characters of pictures in one job, unless one alone has more; our server takes bodies of 32 MiB."""
ATTEMPTS = 3
"""How often a job is posted that the server then knows nothing of."""

log = logging.getLogger("connector")


class _Lost(Exception):
    """The server does not know the job any more: it was started anew, or the result went to an answer that broke off."""


class RemoteModel:
    """Embeds pictures. One job at a time: the server fills its batches from the jobs of all clients."""

    def __init__(self, wire: Wire, address: Address, description: Description) -> None:
        self._wire, self._address, self._description = wire, address, description
        self._confirmed = wire.pace.clock()
        # Handlers are let go of without a word; a socket that nobody closed would be warned of.
        weakref.finalize(self, wire.close)
        self.identity = dict(description.identity)
        self.frame = description.frame
        self.length = description.length or self._probed()

    def embed_images(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Embed RGB pictures: float32 (n, length).

        Raises:
            EmbeddingError: the server refuses one of them; which one, the engine finds out.
            ModelUnavailable: the server is away, overloaded, runs another model now, or its answers make no sense.
        """
        sent = _portions([_data_url(picture) for picture in pictures])
        return np.concatenate([self._embedded(IMAGES, {"image": urls}, len(urls)) for urls in sent])

    def _embedded(self, task: str, body: dict[str, list[str]], count: int) -> NDArray[np.float32]:
        for attempt in range(ATTEMPTS):
            if attempt or self._wire.pace.clock() - self._confirmed >= self._wire.pace.look_again:
                self._confirm()
            try:
                return remote_answers.rows_of(self._result(task, body), count, self.length)
            except _Lost:
                log.info("a job of %s was lost by %s", self._address.model, self._address.base)
        raise ModelUnavailable(
            f"The server at {self._address.base} lost the same job {ATTEMPTS} times. It may run out of memory; or "
            "several servers stand behind one address, and do not share their jobs."
        )

    def _result(self, task: str, body: dict[str, list[str]]) -> Any:
        pace = self._wire.pace
        job = self._posted(task, body)
        until, pause = pace.clock() + pace.job, pace.first_look
        while True:
            answer = self._wire.ask("GET", f"/api/tasks/{task}/batched/jobs/{job}")
            status = self._status(answer)
            if status == "complete":
                return answer.body.get("result")
            if pace.clock() >= until:
                raise ModelUnavailable(
                    f"The server at {self._address.base} did not finish a job in {pace.job:g} s (it is {status!r}). The "
                    f"model {self._address.model!r} may be unable to load there: see the server's log."
                )
            pace.sleep(pause)
            pause = min(1.5 * pause, pace.longest_look)

    def _posted(self, task: str, body: dict[str, list[str]]) -> str:
        path = f"/api/tasks/{task}/batched/{self._address.model}/jobs"
        answer = self._wire.ask("POST", path, body, once=str(uuid.uuid4()))
        if answer.status in (400, 413, 422):
            raise EmbeddingError(f"The server refuses it ({answer.status}: {answer.said}).")
        job = answer.body.get("id") if isinstance(answer.body, dict) else None
        if answer.status not in (200, 201, 202) or not isinstance(job, str) or not _plain(job):
            raise self._odd("POST", path, answer)
        return job

    def _status(self, answer: Answer) -> str:
        """The state of a job, "starting", "running" or "complete"."""
        # vitrivr's service answers 500 both for a job it does not know and for one that failed.
        if answer.status == 404 or (answer.status == 500 and "job not found" in answer.said.lower()):
            raise _Lost
        if answer.status == 500:
            raise EmbeddingError(f"The server failed on it ({answer.said}).")
        status = answer.body.get("status") if isinstance(answer.body, dict) else None
        if answer.status == 200 and status == "failed":
            raise self._failed(answer.body)
        if answer.status != 200 or status not in ("starting", "running", "complete"):
            raise self._odd("GET", "a job's state", answer)
        return str(status)

    def _failed(self, body: dict[str, Any]) -> Exception:
        reason = self._wire.line(str(body.get("reason") or "no reason given"))
        if body.get("code") in _OPERATIONAL:
            return ModelUnavailable(f"The server at {self._address.base} could not do a job: {reason}")
        return EmbeddingError(f"The server refuses it: {reason}")

    def _confirm(self) -> None:
        """See that the server's model is the one it was: after a restart it may have other weights under its name."""
        if changed := self._description.differences(_described(self._wire, self._address)):
            raise ModelUnavailable(
                f"The model {self._address.model!r} at {self._address.base} is another one than before "
                f"({', '.join(changed)} changed). Nothing is lost: start again, and see what the collection says to it."
            )
        self._confirmed = self._wire.pace.clock()

    def _odd(self, method: str, what: str, answer: Answer) -> ModelUnavailable:
        return ModelUnavailable(
            f"The server at {self._address.base} does not answer like the jobs API ({method} {what}: "
            f"{answer.status}, {answer.said}). Check the model's URL."
        )

    def _probed(self) -> int:
        from PIL import Image

        # Not a small one: vitrivr's CLIP misreads pictures of few pixels.
        url = _data_url(Image.effect_noise((64, 64), 64).convert("RGB"))
        return int(remote_answers.rows_of(self._result(IMAGES, {"image": [url]}), 1, None).shape[1])


class RemoteTextModel(RemoteModel):
    """Embeds pictures and words."""

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: float32 (n, length); raises as `embed_images` does."""
        sent = _portions(list(texts))
        return np.concatenate([self._embedded(TEXTS, {"text": each}, len(each)) for each in sent])


_OPERATIONAL = frozenset(
    {"deadline", OperationalError.code, *(kind.code for kind in OperationalError.__subclasses__())}
)


def load(config: ImageEmbeddingConfig) -> RemoteModel:
    """Ask the server what its model is; nothing is loaded here."""
    address = remote_answers.address_of(config.model)
    wire = Wire(address.base, config.embedding_engine_config.remote_key, remote_wire.PACE)
    try:
        description = _described(wire, address)
        if IMAGES not in description.tasks:
            raise ModelUnavailable(
                f"The model {address.model!r} at {address.base} embeds no pictures (it does: "
                f"{', '.join(sorted(description.tasks)) or 'nothing'}). Choose a CLIP-like model."
            )
        kind = RemoteTextModel if TEXTS in description.tasks else RemoteModel
        return kind(wire, address, description)
    except BaseException:
        wire.close()
        raise


def _described(wire: Wire, address: Address) -> Description:
    answer = wire.ask("GET", f"/api/models/{address.model}")
    if answer.status == 200:
        return remote_answers.description_of(answer.body, address)
    if answer.status != 404:
        raise ModelUnavailable(
            f"The server at {address.base} does not say what its model {address.model!r} is ({answer.status}: "
            f"{answer.said}). Check the model's URL."
        )
    answer = wire.ask("GET", f"/api/models/{address.model}/tasks")
    if answer.status == 200 and isinstance(answer.body, list):
        return remote_answers.description_of_original(answer.body, address)
    known = wire.ask("GET", "/api/models").body
    offered = (
        ", ".join(map(str, known))[:500] if isinstance(known, list) else "nothing that is of the jobs API"
    )
    raise ModelUnavailable(
        f"The server at {address.base} has no model {address.model!r}. It offers: {offered}. Write one of those at the "
        "end of the URL."
    )


def _data_url(picture: Image) -> str:
    out = io.BytesIO()
    # Lossless, and fast rather than small: the picture is as small as the model wants it already.
    picture.save(out, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"


def _portions(inputs: list[str]) -> Iterator[list[str]]:
    portion: list[str] = []
    size = 0
    for each in inputs:
        if portion and (len(portion) == MAX_INPUTS or size + len(each) > MAX_TEXT):
            yield portion
            portion, size = [], 0
        portion.append(each)
        size += len(each)
    yield portion


def _plain(job: str) -> bool:
    """Whether an id can stand in a path as it is."""
    return 0 < len(job) <= 200 and all(c.isascii() and (c.isalnum() or c in "-_") for c in job)
