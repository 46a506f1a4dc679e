"""The shipped model, loaded in three ways: by each of the two libraries alone, and by the connector."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Rows = NDArray[np.float32]


class Embedder(Protocol):
    """A loaded model; both methods give (n, length) rows of length one. Pictures come as the bytes of their files."""

    def images(self, files: Sequence[bytes]) -> Rows: ...

    def texts(self, texts: Sequence[str]) -> Rows: ...


class OpenClip:
    """The model through open_clip."""

    def __init__(self, folder: Path) -> None:
        import open_clip
        import torch

        name = f"local-dir:{folder}"
        loaded = open_clip.create_model_from_pretrained(name)  # raises where weights are missing
        model, self._prepare = cast("tuple[open_clip.CLIP, Callable[[Image.Image], torch.Tensor]]", loaded)
        self._model = model.eval()
        self._tokenize = open_clip.get_tokenizer(name)

    def images(self, files: Sequence[bytes]) -> Rows:
        import torch

        pictures = _opened(files)
        with torch.inference_mode():
            batches = [
                self._model.encode_image(
                    torch.stack([self._prepare(p) for p in pictures[i : i + 64]]), normalize=True
                )
                for i in range(0, len(pictures), 64)
            ]
        rows: Rows = torch.cat(batches).numpy()
        return rows

    def texts(self, texts: Sequence[str]) -> Rows:
        import torch

        with torch.inference_mode():
            rows: Rows = self._model.encode_text(self._tokenize(list(texts)), normalize=True).numpy()
        return rows


class SentenceTransformers:
    """The model through sentence-transformers."""

    def __init__(self, folder: Path) -> None:
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(str(folder), device="cpu")

    def images(self, files: Sequence[bytes]) -> Rows:
        rows: Rows = self._model.encode(_opened(files), normalize_embeddings=True, show_progress_bar=False)
        return rows

    def texts(self, texts: Sequence[str]) -> Rows:
        # As a mapping: a bare string that looks like a path would be opened as a picture.
        inputs = [{"text": text} for text in texts]
        rows: Rows = self._model.encode(inputs, normalize_embeddings=True, show_progress_bar=False)
        return rows


class ThroughConnector:
    """The model as a user of the connector meets it: its decoding at reduced size, its engine, its fusion."""

    def __init__(self, folder: Path) -> None:
        from connector.engine.engine import Engine
        from connector.engine.handlers import load_handler
        from connector.space import EmbeddingEngineConfig, ImageEmbeddingConfig, ModelHandler

        running = EmbeddingEngineConfig(device="cpu", precision="float32")
        config = ImageEmbeddingConfig(str(folder), ModelHandler.SENTENCE_TRANSFORMERS, None, running)
        self._engine = Engine(load_handler(config), running)

    def images(self, files: Sequence[bytes]) -> Rows:
        from connector.blobs.fetch import BlobFetcher
        from connector.blobs.picture import decode
        from connector.blobs.policy import BlobPolicy

        policy = BlobPolicy()
        with BlobFetcher(policy) as fetcher:
            pictures = [decode(fetcher.fetch(file), policy, self._engine.frame) for file in files]
        return _unit(self._engine.embed_images([(p.digest, p.image) for p in pictures]))

    def texts(self, texts: Sequence[str]) -> Rows:
        return _unit(self._engine.embed_texts(texts))


LIBRARIES: dict[str, Callable[[Path], Embedder]] = {
    "connector": ThroughConnector,
    "open_clip": OpenClip,
    "sentence_transformers": SentenceTransformers,
}


def _opened(files: Sequence[bytes]) -> list[Image.Image]:
    return [Image.open(io.BytesIO(file)).convert("RGB") for file in files]


def _unit(outcomes: Sequence[Rows | Exception]) -> Rows:
    from connector.engine.fusion import unit

    rows = []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        rows.append(outcome)
    return unit(np.stack(rows))
