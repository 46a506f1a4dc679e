"""One model on several cards: a batch is cut into as many parts as there are cards, which run at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from connector.engine.handlers.handler import ImageHandler, ResizingHandler, TextHandler

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from connector.transformation import PictureFrame

T = TypeVar("T")
Embed = Callable[[Sequence[T]], "NDArray[np.float32]"]


class PictureReplicas:
    """The same model, loaded once for each card.

    Args:
        handlers: one for each card, at least one, all of the same weights.
    """

    def __init__(self, handlers: Sequence[ImageHandler]) -> None:
        self._handlers = handlers
        first = handlers[0]
        self._resize = first.resize if isinstance(first, ResizingHandler) else None
        self._threads = ThreadPoolExecutor(len(handlers), thread_name_prefix="connector-card")

    @property
    def length(self) -> int:
        """The number of values in each vector."""
        return self._handlers[0].length

    @property
    def frame(self) -> PictureFrame | None:
        """What pictures may be resized to beforehand; None if they must come as they are."""
        return self._handlers[0].frame

    @property
    def identity(self) -> dict[str, str]:
        """What makes the vectors, the same on every card."""
        return self._handlers[0].identity

    @property
    def device(self) -> str:
        """The first of the cards."""
        return getattr(self._handlers[0], "device", "cpu")

    def resize(self, picture: Image) -> Image:
        """Resize an RGB picture where the model does so itself."""
        return picture if self._resize is None else self._resize(picture)

    def embed_images(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Embed RGB pictures: float32 (n, length), in order."""
        return self._shared([handler.embed_images for handler in self._handlers], pictures)

    def _shared(self, embeds: Sequence[Embed[T]], items: Sequence[T]) -> NDArray[np.float32]:
        size = -(-len(items) // len(embeds))
        parts = [items[start : start + size] for start in range(0, len(items), size)]
        if len(parts) == 1:
            return embeds[0](items)
        running = [self._threads.submit(embed, part) for embed, part in zip(embeds, parts, strict=False)]
        return np.concatenate([each.result() for each in running])


class PictureAndTextReplicas(PictureReplicas):
    """Likewise, of a model that reads words, too."""

    def __init__(self, handlers: Sequence[TextHandler]) -> None:
        super().__init__(handlers)
        self._readers = handlers

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: float32 (n, length), in order."""
        return self._shared([handler.embed_texts for handler in self._readers], texts)


def replicated(handlers: Sequence[ImageHandler]) -> ImageHandler:
    """One handler for all cards; a single one stays as it is."""
    if len(handlers) == 1:
        return handlers[0]
    readers = [handler for handler in handlers if isinstance(handler, TextHandler)]
    return PictureAndTextReplicas(readers) if len(readers) == len(handlers) else PictureReplicas(handlers)
