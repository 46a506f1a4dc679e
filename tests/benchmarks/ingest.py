"""Files → searchable points with descriptions, against the loop a user writes with sentence-transformers and qdrant-client.

Both run in this process on the same pictures and weights, in turn (A B A B …); the ratio is the median of the pairs.
The loop keeps its points in `:memory:`, the fastest store it could have; ours go to a folder on disk.
"""

from __future__ import annotations

import dataclasses
import gc
import statistics
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from connector import Blob, Connector, Id, ImageSpace, Schema, Text
from tests.benchmarks.material import describe, draw_photos, random_vit_b32


class Photo(Schema):
    """What both sides store."""

    id: Id
    image: Blob
    description: Text


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One row of the table: seconds of each side by round, and how alike their vectors are."""

    name: str
    count: int
    ours: list[float]
    theirs: list[float]
    cosine: float

    @property
    def ratio(self) -> float:
        """How many times as fast as the loop, median of the pairs."""
        return statistics.median(b / a for a, b in zip(self.ours, self.theirs, strict=True))


def naive_loop(model: Any, paths: list[Path]) -> dict[str, Any]:
    """What a careful user writes after an hour with both manuals: batches of 32, unit vectors, their mean."""
    from PIL import Image
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    client.create_collection("photos", models.VectorParams(size=512, distance=models.Distance.COSINE))
    for start in range(0, len(paths), 32):
        batch = paths[start : start + 32]
        pictures = [Image.open(path).convert("RGB") for path in batch]
        texts = [{"text": describe(start + at)} for at in range(len(batch))]
        images = model.encode(pictures, batch_size=32, normalize_embeddings=True, show_progress_bar=False)
        words = model.encode(texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False)
        fused = (images + words) / 2
        client.upsert(
            "photos",
            [
                models.PointStruct(
                    id=str(uuid.uuid5(uuid.NAMESPACE_URL, path.name)),
                    vector=vector.tolist(),
                    payload={"id": path.name, "description": text["text"]},
                )
                for path, vector, text in zip(batch, fused, texts, strict=True)
            ],
        )
    points, _ = client.scroll("photos", limit=len(paths), with_vectors=True)
    vectors = {str((point.payload or {})["id"]): np.array(point.vector) for point in points}
    client.close()
    return vectors


def ours(space: ImageSpace[Photo], paths: list[Path], folder: Path) -> None:
    """The same with this package: checks, digests, three vectors a point, and a folder that survives the process."""
    rows = [
        {"id": path.name, "image": path.name, "description": describe(at)} for at, path in enumerate(paths)
    ]
    with Connector(space, folder) as connector:
        report = connector.ingest(rows, base=paths[0].parent)
    assert report.new == len(paths), report


def compare(work: Path, name: str, size: tuple[int, int], count: int, rounds: int) -> Comparison:
    """Run both sides in turn."""
    from sentence_transformers import SentenceTransformer

    folder = random_vit_b32(work / "vit-b-32")
    paths = draw_photos(work / name, count, size)
    space = ImageSpace(Photo.image + Photo.description, model=str(folder))
    model = SentenceTransformer(str(folder), local_files_only=True)
    ours(space, paths[:8], work / f"{name}-warm.qdrant")
    naive_loop(model, paths[:8])
    seconds: tuple[list[float], list[float]] = ([], [])
    vectors: dict[str, Any] = {}
    for turn in range(rounds):
        gc.collect()
        start = time.perf_counter()
        ours(space, paths, work / f"{name}-{turn}.qdrant")
        middle = time.perf_counter()
        vectors = naive_loop(model, paths)
        seconds[0].append(middle - start)
        seconds[1].append(time.perf_counter() - middle)
    with Connector(space, work / f"{name}-0.qdrant") as connector:
        hits = connector.search("a", limit=count, with_vectors=True)
    cosine = min(float(np.array(hit.vectors["fused"]) @ vectors[str(hit.id)]) for hit in hits if hit.vectors)
    return Comparison(name, count, *seconds, cosine)
