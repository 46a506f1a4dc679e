"""Models on disk, once a session."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from connector.engine import ImageHandler, remote_wire
from connector.engine.remote_wire import Pace
from connector.space import EmbeddingEngineConfig, ImageEmbeddingConfig, ModelHandler
from connector.testing import StandInHandler
from tests.engine.jobs_server import JobsServer, served


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every tiny model: its family's name to its folder."""
    from tests.engine.models import build_all

    return build_all(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def configured() -> Callable[..., ImageEmbeddingConfig]:
    """Make an `ImageEmbeddingConfig` of a model's name; further keywords configure the engine."""

    def make(
        model: str | Path,
        handler: ModelHandler = ModelHandler.SENTENCE_TRANSFORMERS,
        *,
        cache: Path | None = None,
        **engine: Any,
    ) -> ImageEmbeddingConfig:
        return ImageEmbeddingConfig(
            str(model),
            handler,
            cache,
            EmbeddingEngineConfig(**{"device": "cpu", "precision": "float32", **engine}),
        )

    return make


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Pictures of several sizes and proportions, with large areas and fine detail."""
    noise = np.random.default_rng(1).integers(0, 256, (33, 47, 3), np.uint8)
    drawn = Image.new("RGB", (640, 480), (240, 230, 210))
    pen = ImageDraw.Draw(drawn)
    pen.ellipse((120, 60, 460, 420), fill=(200, 40, 30), outline=(20, 20, 20), width=9)
    for step in range(0, 640, 37):
        pen.line((step, 0, 640 - step, 479), fill=(30, 60, 200), width=3)
    return [
        drawn,
        drawn.rotate(90, expand=True),
        Image.linear_gradient("L").resize((301, 517)).convert("RGB"),
        Image.fromarray(noise),
        Image.fromarray(noise).resize((900, 700), Image.Resampling.BICUBIC),
    ]


Serve = Callable[..., JobsServer]


class Sleeps:
    """Time that passes only where somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Wait without waiting."""
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> Sleeps:
    """No test waits."""
    sleeps = Sleeps()
    monkeypatch.setattr(remote_wire, "PACE", Pace(clock=sleeps.clock, sleep=sleeps.sleep))
    return sleeps


@pytest.fixture
def serve(sleeps: Sleeps) -> Iterator[Serve]:
    """Start servers, and stop them in the end."""
    with ExitStack() as stack:

        def start(kind: Literal["ours", "original"], **models: ImageHandler) -> JobsServer:
            return stack.enter_context(served(JobsServer(kind, **models or {"stand_in": StandInHandler()})))

        yield start
        gc.collect()  # handlers close their sockets when they go


def cosines(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """The cosine of each row of one array with the same row of another."""
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(axis=1) / norms, np.float64)
