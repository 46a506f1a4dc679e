"""Our side: files and descriptions to searchable points in a folder, in a precision that may not be there."""

from __future__ import annotations

import functools
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from connector import Blob, Connector, Id, ImageSpace, InvalidSpaceParamException, ModelHandler, Schema, Text
from connector.errors import ModelUnavailable
from connector.space import EmbeddingEngineConfig
from tests.benchmarks.material import describe
from tests.benchmarks.measure import Side
from tests.benchmarks.rivals import Vectors

SENTENCE_TRANSFORMERS = ModelHandler.SENTENCE_TRANSFORMERS


class Photo(Schema):
    """What both sides store."""

    id: Id
    image: Blob
    description: Text


def photo_space(
    model: Path,
    precision: str,
    handler: ModelHandler = SENTENCE_TRANSFORMERS,
    *,
    keep_parts: bool = True,
) -> ImageSpace[Photo]:
    """A space of photos; a precision that this version does not know raises `InvalidSpaceParamException`."""
    options: dict[str, Any] = {"precision": precision}
    config = EmbeddingEngineConfig(**options)
    return ImageSpace(
        Photo.image + Photo.description, str(model), handler, None, config, keep_parts=keep_parts
    )


def ingest(space: ImageSpace[Photo], paths: list[Path], folder: Path) -> Path:
    """Digests, three vectors a point, a folder that survives the process; returns that folder."""
    rows = [
        {"id": path.name, "image": path.name, "description": describe(at)} for at, path in enumerate(paths)
    ]
    with Connector(space, folder) as connector:
        report = connector.ingest(rows, base=paths[0].parent)
    assert report.new == report.embedded_images == report.embedded_texts == len(paths), report
    return folder


def stored(space: ImageSpace[Photo], folder: Path, paths: list[Path]) -> Vectors:
    """The vectors that `ingest` left in a folder, in the order of the paths."""
    with Connector(space, folder) as connector:
        points = {str(point.payload["id"]): point for point in connector.store.scan(vectors=True)}
    return {
        name: np.stack([points[path.name].vectors[name] for path in paths])
        for name in ("image", "text", "fused")
    }


class Ingests:
    """Our sides of a comparison by precision, warm; `refused` says why others are not among them.

    Args:
        model: the model's folder.
        paths: the pictures.
        work: a folder to store in; each round has a new folder within, and the last one stays.
        precisions: as `EmbeddingEngineConfig` takes them.

    Attributes:
        took: the precision that each one ran in; two that ran in the same share a side.
    """

    def __init__(
        self,
        model: Path,
        paths: list[Path],
        work: Path,
        precisions: tuple[str, ...],
        handler: ModelHandler = SENTENCE_TRANSFORMERS,
    ) -> None:
        self.spaces: dict[str, ImageSpace[Photo]] = {}
        self.sides: dict[str, Side[Path]] = {}
        self.took: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        for precision in precisions:
            try:
                space = photo_space(model, precision, handler)
                ingest(space, paths[:8], work / f"warm-{precision}")
            except (InvalidSpaceParamException, ModelUnavailable) as error:
                self.refused[precision] = str(error)
                continue
            self.took[precision] = _precision(space)
            twin = next((each for each in self.sides if self.took[each] == self.took[precision]), None)
            self.spaces[precision] = space
            self.sides[precision] = (
                Side(_each_in_a_new_folder(space, paths, work / precision))
                if twin is None
                else self.sides[twin]
            )

    def distinct(self) -> dict[str, Side[Path]]:
        """The sides that must run: one for each precision that was taken."""
        return {f"ours, {self.took[name]}": side for name, side in self.sides.items()}


def _each_in_a_new_folder(space: ImageSpace[Photo], paths: list[Path], work: Path) -> Callable[[], Path]:
    numbers = itertools.count()

    def run() -> Path:
        number = next(numbers)
        shutil.rmtree(work / f"{number - 1}.qdrant", ignore_errors=True)
        return ingest(space, paths, work / f"{number}.qdrant")

    return run


@functools.cache
def _precision(space: ImageSpace[Photo]) -> str:
    from connector.engine.handlers import load_handler

    return load_handler(space.transformation_config.embedding_config).identity["precision"]
