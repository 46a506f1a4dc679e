"""Their side: what a careful user writes after an hour with the manuals of the libraries alone."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.material import describe

BATCH = 32

Vectors = dict[str, NDArray[np.float32]]


def naive_loop(model: Any, paths: list[Path]) -> Vectors:
    """sentence-transformers and qdrant-client: batches of 32, unit vectors, their mean, points in `:memory:`.

    That is the fastest store it could have: nothing is kept on a disk.
    """
    from PIL import Image
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    client.create_collection("photos", models.VectorParams(size=512, distance=models.Distance.COSINE))
    made: list[tuple[Any, Any, Any]] = []
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]
        pictures = [Image.open(path).convert("RGB") for path in batch]
        texts = [{"text": describe(start + at)} for at in range(len(batch))]
        images = encode(model, pictures)
        words = encode(model, texts)
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
        made.append((images, words, fused))
    client.close()
    return _stacked(made)


def encode(model: Any, things: Sequence[Any]) -> NDArray[np.float32]:
    """`SentenceTransformer.encode` of pictures or texts: unit vectors (n, length)."""
    vectors: NDArray[np.float32] = model.encode(
        list(things), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
    )
    return vectors


def open_clip_loop(model: Any, transform: Callable[..., Any], tokenizer: Any, paths: list[Path]) -> Vectors:
    """open_clip as its own page shows it, in batches of 32: unit vectors of pictures and of words, stored nowhere."""
    import torch
    from PIL import Image

    made: list[tuple[Any, Any, Any]] = []
    with torch.inference_mode():
        for start in range(0, len(paths), BATCH):
            batch = paths[start : start + BATCH]
            pixels = torch.stack([transform(Image.open(path)) for path in batch])
            words = tokenizer([describe(start + at) for at in range(len(batch))])
            image = model.encode_image(pixels, normalize=True).numpy()
            text = model.encode_text(words, normalize=True).numpy()
            made.append((image, text, (image + text) / 2))
    return _stacked(made)


def _stacked(made: list[tuple[Any, Any, Any]]) -> Vectors:
    names = ("image", "text", "fused")
    return {name: np.concatenate(each) for name, each in zip(names, zip(*made, strict=True), strict=True)}
