"""Bodies of the jobs API, with the names and shapes of the service's own OpenAPI document."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any, Protocol, runtime_checkable

from pydantic import BaseModel, Field, WithJsonSchema

from connector.server.jobs.ask import Ask
from connector.server.jobs.catalogue import IMAGE, QUERY, TEXT, ZERO_SHOT
from connector.server.jobs.job import Job, JobState
from connector.server.jobs.worker import ModelState

# A plain object: a schema that says what may be in it becomes a map of anything, which some generated clients cannot
# write.
Config = Annotated[
    dict[str, Any],
    Field(default_factory=dict),
    WithJsonSchema({"type": "object", "title": "Config", "description": "Accepted; no model has options."}),
]
_PNG = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR42mM8oSHHgA0wMeAAg1MCANiGAR6q5LRIAAAAAElF"
    "TkSuQmCC"
)
Picture = Annotated[
    str,
    Field(
        description="The picture itself, as a data: URL or base64. Nothing is fetched.",
        examples=[_PNG],
    ),
]
Pictures = Annotated[list[str], Field(description="As for one, in order.", examples=[[_PNG, _PNG]])]
Words = Annotated[str, Field(examples=["a red canvas shoe"])]
ManyWords = Annotated[list[str], Field(examples=[["a red canvas shoe", "a hat"]])]
Instruction = Annotated[
    str,
    Field(
        description="Accepted; the models on offer have no use for one, and embed the query alone.",
        examples=["Find pictures of this"],
    ),
]
Classes = Annotated[
    list[str],
    Field(
        default_factory=list,
        description="What a picture may be. Needed, though clients of the service may leave it out of their types.",
        examples=[["a shoe", "a hat"]],
    ),
]
Numbers = Annotated[list[float], Field(examples=[[0.12, -0.5, 0.86]])]
Reason = Annotated[str | None, Field(description="Why it failed; there only when it did.")]
Code = Annotated[str | None, Field(description="A stable word for the reason.", examples=["blob_unreadable"])]


class JobStatus(BaseModel):
    """A job that was taken in."""

    id: str = Field(examples=["3f2c9d0e-4a43-4a8e-9d58-2f0b3c1f7a11"])
    status: JobState


class ModelStatus(BaseModel):
    """A model, and the jobs that wait for it."""

    status: ModelState
    jobs: list[JobStatus]


class Frame(BaseModel):
    """What pictures may be resized to before they are sent, if that is done exactly so."""

    size: int
    fit: str
    resample: str


class ModelDescription(BaseModel):
    """What a client must know to use a model as if it ran at home."""

    name: str
    tasks: list[str]
    length: int = Field(description="Values in a vector.")
    frame: Frame | None = Field(description="null: pictures must come as they are.")
    identity: dict[str, str] = Field(description="What makes the vectors.")
    normalised: bool = Field(
        description="Whether vectors come at length one, instead of as the model made them."
    )


class ImageEmbeddingInput(BaseModel):
    """One picture."""

    image: Picture
    config: Config

    def ask(self, model: str) -> Ask:
        """What it asks of a model."""
        return Ask(task=IMAGE, model=model, pictures=(self.image,))


class BatchedImageEmbeddingInput(BaseModel):
    """Several pictures."""

    image: Pictures
    config: Config

    def ask(self, model: str) -> Ask:
        """What it asks of a model."""
        return Ask(task=IMAGE, model=model, batched=True, pictures=tuple(self.image))


class TextEmbeddingInput(BaseModel):
    """One text."""

    text: Words
    config: Config

    def ask(self, model: str) -> Ask:
        """What it asks of a model."""
        return Ask(task=TEXT, model=model, texts=(self.text,))


class BatchedTextEmbeddingInput(BaseModel):
    """Several texts."""

    text: ManyWords
    config: Config

    def ask(self, model: str) -> Ask:
        """What it asks of a model."""
        return Ask(task=TEXT, model=model, batched=True, texts=tuple(self.text))


class TextQueryEmbeddingInput(BaseModel):
    """One text to search with."""

    query: Words
    instruction: Instruction
    config: Config

    def ask(self, model: str) -> Ask:
        """What it asks of a model."""
        return Ask(task=QUERY, model=model, texts=(self.query,))


class BatchedTextQueryEmbeddingInput(BaseModel):
    """Several texts to search with, under one instruction."""

    query: ManyWords
    instruction: Instruction
    config: Config

    def ask(self, model: str) -> Ask:
        """What it asks of a model."""
        return Ask(task=QUERY, model=model, batched=True, texts=tuple(self.query))


class ZeroShotImageClassificationInput(BaseModel):
    """One picture, and what it may be."""

    image: Picture
    classes: Classes
    config: Config

    def ask(self, model: str) -> Ask:
        """What it asks of a model."""
        return Ask(task=ZERO_SHOT, model=model, pictures=(self.image,), texts=tuple(self.classes))


class BatchedZeroShotImageClassificationInput(BaseModel):
    """Several pictures, and what each may be."""

    image: Pictures
    classes: Classes
    config: Config

    def ask(self, model: str) -> Ask:
        """What it asks of a model."""
        return Ask(
            task=ZERO_SHOT, model=model, batched=True, pictures=tuple(self.image), texts=tuple(self.classes)
        )


class ImageEmbeddingOutput(BaseModel):
    """A picture's vector."""

    embedding: Numbers


class TextEmbeddingOutput(BaseModel):
    """A text's vector."""

    embedding: Numbers


class TextQueryEmbeddingOutput(BaseModel):
    """A text's vector, to search with."""

    embedding: Numbers


class ZeroShotImageClassificationOutput(BaseModel):
    """For each class how likely it is: the softmax of bare cosines, so the numbers lie close together."""

    probabilities: Numbers


class _Response(BaseModel):
    status: JobState
    reason: Reason = None
    code: Code = None


class JobResponseImageEmbeddingOutput(_Response):
    """A job; `result` is null until it is complete."""

    result: ImageEmbeddingOutput | None = None


class JobResponseTextEmbeddingOutput(_Response):
    """A job; `result` is null until it is complete."""

    result: TextEmbeddingOutput | None = None


class JobResponseTextQueryEmbeddingOutput(_Response):
    """A job; `result` is null until it is complete."""

    result: TextQueryEmbeddingOutput | None = None


class JobResponseZeroShotImageClassificationOutput(_Response):
    """A job; `result` is null until it is complete."""

    result: ZeroShotImageClassificationOutput | None = None


class BatchedJobResponseImageEmbeddingOutput(_Response):
    """A job of several inputs; `result` is in their order, and null until it is complete."""

    result: list[ImageEmbeddingOutput] | None = None


class BatchedJobResponseTextEmbeddingOutput(_Response):
    """A job of several inputs; `result` is in their order, and null until it is complete."""

    result: list[TextEmbeddingOutput] | None = None


class BatchedJobResponseTextQueryEmbeddingOutput(_Response):
    """A job of several inputs; `result` is in their order, and null until it is complete."""

    result: list[TextQueryEmbeddingOutput] | None = None


class BatchedJobResponseZeroShotImageClassificationOutput(_Response):
    """A job of several inputs; `result` is in their order, and null until it is complete."""

    result: list[ZeroShotImageClassificationOutput] | None = None


@runtime_checkable
class Input(Protocol):
    """A request's body."""

    def ask(self, model: str) -> Ask:
        """What it asks of a model."""
        ...


@dataclasses.dataclass(frozen=True)
class Bodies:
    """The bodies of one task's routes."""

    single: type[BaseModel]
    batched: type[BaseModel]
    output: type[BaseModel]
    response: type[BaseModel]
    batched_response: type[BaseModel]


BODIES = {
    IMAGE: Bodies(
        ImageEmbeddingInput,
        BatchedImageEmbeddingInput,
        ImageEmbeddingOutput,
        JobResponseImageEmbeddingOutput,
        BatchedJobResponseImageEmbeddingOutput,
    ),
    TEXT: Bodies(
        TextEmbeddingInput,
        BatchedTextEmbeddingInput,
        TextEmbeddingOutput,
        JobResponseTextEmbeddingOutput,
        BatchedJobResponseTextEmbeddingOutput,
    ),
    QUERY: Bodies(
        TextQueryEmbeddingInput,
        BatchedTextQueryEmbeddingInput,
        TextQueryEmbeddingOutput,
        JobResponseTextQueryEmbeddingOutput,
        BatchedJobResponseTextQueryEmbeddingOutput,
    ),
    ZERO_SHOT: Bodies(
        ZeroShotImageClassificationInput,
        BatchedZeroShotImageClassificationInput,
        ZeroShotImageClassificationOutput,
        JobResponseZeroShotImageClassificationOutput,
        BatchedJobResponseZeroShotImageClassificationOutput,
    ),
}
"""Each task's bodies."""


def job_json(job: Job) -> bytes:
    """A job as its GET answers it: with its result, or why there is none."""
    body: dict[str, object] = {"status": job.state.value, "result": None}
    if job.failure is not None:
        body |= {"reason": job.failure.reason, "code": job.failure.code}
    elif job.rows is not None:
        outputs = _outputs(job)
        body["result"] = outputs if job.batched else outputs[0]
    return _json(body)


def output_json(job: Job) -> bytes:
    """The bare output of a complete job of one input, as the legacy route answers it."""
    return _json(_outputs(job)[0])


def _outputs(job: Job) -> list[dict[str, list[float]]]:
    assert job.rows is not None
    word = "probabilities" if job.task == ZERO_SHOT else "embedding"
    return [{word: row.tolist()} for row in job.rows]


def _json(body: object) -> bytes:
    # ASCII, so that nothing a client sent and a reason tells back can break the answer; no number in it is NaN.
    return json.dumps(body, allow_nan=False, separators=(",", ":")).encode("ascii")
