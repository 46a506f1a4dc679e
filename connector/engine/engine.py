"""Pictures and words to vectors: each distinct one once, in batches, and one that fails harms no other."""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from connector.engine.batches import Batches, Outcome
from connector.engine.cache import RecentVectors
from connector.engine.fusion import fuse
from connector.engine.handlers import DeviceHandler, ImageHandler, ResizingHandler, TextHandler, load_handler
from connector.errors import EmbeddingError, InvalidSpaceParamException
from connector.transformation import (
    EmbeddingEngineConfig,
    ImageData,
    PictureFrame,
    TransformationConfig,
    Vector,
)

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")

KeyedPicture: TypeAlias = "tuple[str, Image]"

# Models are not safe to run from several threads everywhere, and two engines may share one.
_locks: weakref.WeakKeyDictionary[ImageHandler, threading.Lock] = weakref.WeakKeyDictionary()


class Engine:
    """Runs one loaded model. Safe to use from several threads.

    Vectors are the handler's raw outputs, float32 and read-only; `fusion.unit` brings them to length one.

    Attributes:
        embedded_images: pictures that went through the model, those found in the cache not counted.
        embedded_texts: texts, likewise.
    """

    def __init__(self, handler: ImageHandler, config: EmbeddingEngineConfig | None = None) -> None:
        config = config or EmbeddingEngineConfig()
        self._handler = handler
        self._lock = _locks.setdefault(handler, threading.Lock())
        self._images = Batches[KeyedPicture](
            lambda keyed: self._run(handler.embed_images, [picture for _, picture in keyed]),
            size=config.images_together if _device(handler) == "cpu" else config.image_batch_size,
            length=handler.length,
            kind="picture",
        )
        self._texts: Batches[str] | None = None
        if isinstance(handler, TextHandler):
            embed_texts = handler.embed_texts
            self._texts = Batches[str](
                lambda texts: self._run(embed_texts, texts),
                size=config.text_batch_size,
                length=handler.length,
                kind="text",
            )
        self._resize = handler.resize if isinstance(handler, ResizingHandler) else None
        self._recent_images = RecentVectors(handler.length)
        self._recent_texts = RecentVectors(handler.length)
        self.embedded_images = 0
        self.embedded_texts = 0

    @property
    def length(self) -> int:
        """The number of values in each vector."""
        return self._handler.length

    @property
    def batch_size(self) -> int:
        """How many pictures are best embedded at once; it may grow while a card is tried."""
        return self._images.size

    @property
    def frame(self) -> PictureFrame | None:
        """What pictures may be resized to before they come here; None if they must come as they are."""
        return self._handler.frame

    @property
    def identity(self) -> dict[str, str]:
        """What makes the vectors: library, weights, precision, preprocessing; `name` is for reading only."""
        return self._handler.identity

    @property
    def reads_text(self) -> bool:
        """Whether this model embeds words, too."""
        return self._texts is not None

    def resize(self, picture: Image) -> Image:
        """Resize an RGB picture as its model would, where it does so itself; several threads may do so at once.

        One that cannot be resized comes back as it is, and is refused when it is embedded.
        """
        if self._resize is None:
            return picture
        try:
            return self._resize(picture)
        except (MemoryError, RuntimeError, ValueError):
            return picture

    def embed_images(self, pictures: Sequence[KeyedPicture]) -> list[Outcome]:
        """Embed pictures, each given with the digest of its bytes.

        Args:
            pictures: pairs of a digest and an RGB picture; pictures of the same digest are embedded once.

        Returns:
            For each picture, in order, a float32 vector (length,), or an `EmbeddingError` that says why not.

        Raises:
            OperationalError: the model itself stopped working.
        """
        distinct = {digest: (digest, picture) for digest, picture in pictures}
        known = self._known(distinct, self._recent_images)
        missing = [keyed for digest, keyed in distinct.items() if digest not in known]
        made = self._images.run(missing)
        with self._lock:
            self.embedded_images += len(missing)
        _keep(zip((digest for digest, _ in missing), made, strict=True), known, self._recent_images)
        return [known[digest] for digest, _ in pictures]

    def embed_texts(self, texts: Sequence[str]) -> list[Outcome]:
        """Embed texts; the same text is embedded once.

        Returns:
            For each text, in order, a float32 vector (length,), or an `EmbeddingError` that says why not.

        Raises:
            InvalidSpaceParamException: this model reads pictures only.
            OperationalError: the model itself stopped working.
        """
        if self._texts is None:
            raise InvalidSpaceParamException(
                f"Model {self.identity.get('name', '')!r} reads pictures only, so it cannot embed a text. "
                "Choose a CLIP-like model, or leave the description and text queries out."
            )
        keys = {text: _digest(text) for text in texts}
        known = self._known(keys.values(), self._recent_texts)
        # Models that pad to the longest text of a batch waste least on neighbours of like length.
        missing = sorted((text for text, key in keys.items() if key not in known), key=len)
        made = self._texts.run(missing)
        with self._lock:
            self.embedded_texts += len(missing)
        _keep(zip((keys[text] for text in missing), made, strict=True), known, self._recent_texts)
        return [known[keys[text]] for text in texts]

    def _run(
        self, embed: Callable[[Sequence[T]], NDArray[np.float32]], items: Sequence[T]
    ) -> NDArray[np.float32]:
        # Held for a batch and not for a whole call, so that a query can pass an ingest.
        with self._lock:
            return embed(items)

    @staticmethod
    def _known(keys: Iterable[str], recent: RecentVectors) -> dict[str, Outcome]:
        found = ((key, recent.get(key)) for key in keys)
        return {key: vector for key, vector in found if vector is not None}


def transform(config: TransformationConfig, data: ImageData) -> Vector:
    """Carry out a space's `transformation_config`: embed picture and description, fuse, normalise.

    Returns:
        A vector of length one; all zeros where `data` has neither a picture nor a description.

    Raises:
        EmbeddingError: the model refused the picture or the description, or the two cancel each other out.
        OperationalError: the model cannot be loaded or stopped working.
    """
    handler = load_handler(config.embedding_config)
    engine = Engine(handler, config.embedding_config.embedding_engine_config)
    image = None if data.image is None else _one(engine.embed_images([("", data.image)]))
    described = data.description is not None and data.description.strip() != ""
    text = _one(engine.embed_texts([data.description or ""])) if described else None
    if image is None and text is None:
        return Vector(np.zeros(engine.length, np.float32))
    aggregation = config.aggregation_config
    fused = fuse(image, text, aggregation.weights, aggregation.parts)
    if not fused.any():
        raise EmbeddingError(
            "The picture's and the description's vectors cancel each other out. Change the weights."
        )
    return Vector(fused)


def _device(handler: ImageHandler) -> str:
    return handler.device if isinstance(handler, DeviceHandler) else "cpu"


def _one(outcomes: list[Outcome]) -> NDArray[np.float32]:
    (outcome,) = outcomes
    if isinstance(outcome, EmbeddingError):
        raise outcome
    return outcome


def _keep(made: Iterable[tuple[str, Outcome]], known: dict[str, Outcome], recent: RecentVectors) -> None:
    for key, outcome in made:
        known[key] = outcome
        if not isinstance(outcome, EmbeddingError):
            recent.put(key, outcome)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
