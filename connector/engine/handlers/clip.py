"""CLIP without its library: what `clip_folder` recognises, run by `clip`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from connector.engine import clip_folder, device, frames, models
from connector.engine.streams import spread
from connector.transformation import ImageEmbeddingConfig, ModelHandler

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")

TEXTS = 16
"""Texts embedded at once: they are padded to the longest of them, so more would be padded more."""


class ClipModel:
    """Embeds pictures and words; vectors are what `SentenceTransformer.encode` returns, not brought to length one."""

    def __init__(self, parts: clip_folder.ClipParts, where: device.Device, identity: dict[str, str]) -> None:
        self.identity = identity
        self.frame = parts.pixels.frame
        self.length = parts.length
        self.device = where.name
        self._words, self._pixels, self._where = parts.words, parts.pixels, where
        self._picture = _Once(lambda: parts.picture.build(parts.tensors, where, parts.pixels))
        self._text = _Once(lambda: parts.text.build(parts.tensors, where))
        if where.name != "cpu":
            # On a card a tower that does not fit must be told before pictures are blamed for it.
            self._picture(), self._text()

    def resize(self, picture: Image) -> Image:
        """Resize an RGB picture as `embed_images` would, which then finds it done. Safe from several threads."""
        return self._pixels.resized(picture)

    def embed_images(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Embed RGB pictures: float32 (n, length)."""
        return spread(self._embed_images, pictures, self._where.name)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: float32 (n, length). Longer texts than the model reads are cut."""
        ids = self._words.ids(texts)
        order = sorted(range(len(ids)), key=lambda at: len(ids[at]))
        rows = np.empty((len(ids), self.length), np.float32)
        rows[order] = spread(self._embed_ids, [ids[at] for at in order], self._where.name, TEXTS)
        return rows

    def _embed_images(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        squares = self._pixels.cut(pictures)
        if self.device.startswith("cuda"):
            squares = squares.pin_memory()  # so that the copy needs nobody to wait for it
        squares = squares.to(self.device, non_blocking=True)
        return _rows(self._picture().embed(squares))

    def _embed_ids(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        return _rows(self._text().embed(texts))


def load(files: models.ModelFiles, config: ImageEmbeddingConfig) -> ClipModel | None:
    """Load a model of which `files` are the files; None where it is not plainly a CLIP.

    Raises:
        ModelUnavailable: the device is not there.
    """
    parts = clip_folder.read(files.folder, files.weights)
    if parts is None:
        return None
    where = device.choose(config.embedding_engine_config)
    identity = files.identity(
        ModelHandler.SENTENCE_TRANSFORMERS,
        precision=where.precision,
        preprocess=frames.summary(parts.pixels.settings),
        library=f"torch {'.'.join(torch.__version__.split('.')[:2])}",
    )
    return ClipModel(parts, where, identity)


class _Once(Generic[T]):
    """Makes a thing when it is first asked for: a search by words needs no picture tower. Safe from several threads."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make: Callable[[], T] | None = make
        self._made: T | None = None
        self._lock = threading.Lock()

    def __call__(self) -> T:
        with self._lock:
            if self._make is not None:
                self._made, self._make = self._make(), None  # what makes it holds the model's files open
            assert self._made is not None
            return self._made


def _rows(made: torch.Tensor) -> NDArray[np.float32]:
    rows: NDArray[np.float32] = made.cpu().numpy()
    return rows
