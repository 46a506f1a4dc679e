"""The jobs API on a real socket over a handler that can be held up, and small pictures to send to it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import io
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray
from PIL import Image

from connector import EmbeddingEngineConfig, ImageSpace, ModelHandler
from connector.server.config import ServerConfig
from connector.server.guard import Standing
from connector.server.jobs.catalogue import IMAGE
from connector.server.jobs.routes import jobs_router
from connector.server.jobs.service import JobService
from connector.server.metrics import Metrics
from connector.server.shell import new_app
from connector.testing import StandInHandler
from tests.conftest import PATIENCE, Product, until
from tests.server.conftest import new_client, running

SPACE = ImageSpace(Product.photo + Product.title, model_handler=ModelHandler.STAND_IN)
_numbers = itertools.count()


def own_space(**engine: Any) -> ImageSpace[Any]:
    """A space of the stand-in that shares its loaded model with no other test."""
    return ImageSpace(
        Product.photo + Product.title,
        f"stand-in {next(_numbers)}",
        ModelHandler.STAND_IN,
        embedding_engine_config=EmbeddingEngineConfig(**engine),
    )


class Held(StandInHandler):
    """The stand-in behind a gate, and a list of how much went through it at once.

    Attributes:
        gate: closed, the handler waits in the middle of a batch.
        inside: set while it waits there.
        pictures: sizes of the batches of pictures.
        texts: likewise.
        failing: raised by the next batch, whatever it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.inside = threading.Event(), threading.Event()
        self.gate.set()
        self.pictures: list[int] = []
        self.texts: list[int] = []
        self.failing: BaseException | None = None

    def embed_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        self._pass(self.pictures, len(pictures))
        return super().embed_images(pictures)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self._pass(self.texts, len(texts))
        return super().embed_texts(texts)

    def _pass(self, sizes: list[int], size: int) -> None:
        failing, self.failing = self.failing, None
        if failing is not None:
            raise failing
        if not self.gate.is_set():
            self.inside.set()
            assert self.gate.wait(PATIENCE)
            self.inside.clear()
        sizes.append(size)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """What a space with the stand-in loads in this test."""
    handler = Held()
    monkeypatch.setattr("connector.testing.load", lambda config: handler)
    yield handler
    handler.gate.set()


@dataclasses.dataclass
class Clock:
    """Time that a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


OpenService = Callable[..., JobService]


@pytest.fixture
def open_service() -> Iterator[OpenService]:
    """Make job services that are drained in the end: `open_service(max_jobs=2)` has that limit."""
    with contextlib.ExitStack() as stack:

        def open_one(
            *, space: ImageSpace[Any] | None = None, metrics: Metrics | None = None, **options: Any
        ) -> JobService:
            own = {name: options.pop(name) for name in ("folders", "clock") if name in options}
            service = JobService(space or own_space(), ServerConfig(**options), metrics or Metrics(), **own)
            service.start()
            stack.callback(service.drain, PATIENCE)
            return service

        yield open_one


@dataclasses.dataclass(frozen=True)
class Live:
    """A server of the jobs API alone."""

    url: str
    client: httpx.Client
    service: JobService
    metrics: Metrics
    app: FastAPI

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """POST JSON."""
        return self.client.post(path, json=body, headers=headers)

    def made(self, path: str, body: Any) -> dict[str, Any]:
        """Make a job with a body that is taken, and wait for its end."""
        made = self.post(path, body)
        assert made.status_code == 200, made.text
        assert set(made.json()) == {"id", "status"}
        batched = "batched/" if "/batched/" in path else ""
        task = path.removeprefix("/api/tasks/").split("/")[0]
        return self.ended(f"/api/tasks/{task}/{batched}jobs/{made.json()['id']}")

    def ended(self, path: str) -> dict[str, Any]:
        """Ask for a job until it has ended."""
        return until(lambda: self._end_of(path))

    def _end_of(self, path: str) -> dict[str, Any] | None:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        if body["status"] in ("complete", "failed"):
            return body
        assert body == {"status": body["status"], "result": None}
        return None


OpenJobs = Callable[..., Live]


@contextlib.contextmanager
def serving_jobs(*, space: ImageSpace[Any] | None = None, **options: Any) -> Iterator[Live]:
    """A server of the jobs API: of the stand-in unless a space is given, the demo, and the service's models, in `folders`."""
    own = {name: options.pop(name) for name in ("folders", "clock") if name in options}
    config, metrics, standing = ServerConfig(port=0, **options), Metrics(), Standing()
    service = JobService(space or own_space(), config, metrics, **own)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await asyncio.to_thread(service.drain, PATIENCE)

    app = new_app(config, metrics, standing, lifespan)
    app.include_router(jobs_router(service))
    with running(app, config) as url, new_client(url) as client:
        yield Live(url, client, service, metrics, app)


@pytest.fixture
def open_jobs() -> Iterator[OpenJobs]:
    """Open servers of the jobs API: `open_jobs(max_jobs=2)` has that limit."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(serving_jobs(**options))


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Tiny random weights for the service's models: their names to folders."""
    import torch

    from tests.engine import models

    root = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    return {
        "clip-vit-large-patch14": str(models.clip(root / "clip")),
        "open-clip-vit-b32": str(models.open_clip_model(root / "open_clip")),
        "dino-v2-vits14": str(models.dinov2(root / "dinov2")),
    }


@pytest.fixture(scope="session")
def live(weights: dict[str, str]) -> Iterator[Live]:
    """A server of the stand-in, the demo, and the service's three models with tiny random weights."""
    with serving_jobs(space=own_space(device="cpu"), folders=weights, max_batch=16) as server:
        yield server


def png(seed: int = 0, size: tuple[int, int] = (48, 32), colour: tuple[int, int, int] | None = None) -> bytes:
    """A small PNG; no two seeds give the same."""
    image = Image.new("RGB", size, colour or (seed % 251, seed // 251 % 251, 7))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def raw(data: bytes) -> str:
    """As FES's own tests send a picture."""
    return base64.b64encode(data).decode()


def url(data: bytes, media_type: str = "image/png") -> str:
    """As vitrivr-engine sends one."""
    return f"data:{media_type};base64,{raw(data)}"


def idle(service: JobService) -> bool:
    """Whether all jobs have ended and are where they stay: `Job.ended` comes a moment before that."""
    with service._changed:
        return not service._unfinished


MAGENTA = png(colour=(255, 0, 255))
"""A picture that the stand-in refuses."""
JOBS = f"/api/tasks/{IMAGE}/stand-in/jobs"
