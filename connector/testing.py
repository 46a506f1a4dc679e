"""A model that is none: deterministic vectors for tests, dry runs and fault drills, without torch.

    ImageSpace(Product.photo, model_handler=ModelHandler.STAND_IN)

The same picture always gets the same vector, and another picture another one.
A text's vector is the mean of its words' vectors, so texts that share words lie closer together.
Pictures and words have nothing to do with each other.
Two drills make it fail on purpose: a text with the word "unembeddable", and a picture that is magenta throughout.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from connector.engine.fusion import unit
from connector.schema.schema import Schema
from connector.space import ImageSpace
from connector.transformation import ImageEmbeddingConfig, ModelHandler, PictureFrame

if TYPE_CHECKING:
    from PIL.Image import Image

    from connector.connector import Connector

S = TypeVar("S", bound=Schema)

__all__ = ["StandInHandler", "memory_connector"]

_LENGTH = 64
_WORD = re.compile(r"[^\W_]+")
_MAGENTA = ((255, 255), (0, 0), (255, 255))


class StandInHandler:
    """Embeds pictures by their pixels and texts by their words, without a model.

    The vectors are the same on every machine, in every process and with every version of numpy.
    """

    length = _LENGTH
    frame = PictureFrame(64)

    def __init__(self) -> None:
        self.identity = {
            "handler": "stand_in",
            "name": "stand-in",
            "revision": "",
            "weights": "stand-in 1",
            "precision": "float32",
            "preprocess": "size=64",
            "library": "connector",
        }

    def embed_images(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Embed RGB pictures: float32 (n, 64), of length one.

        Raises:
            ValueError: a picture is magenta (255, 0, 255) throughout; a drill.
        """
        return np.stack([_of_picture(picture) for picture in pictures])

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts, whatever the case of their letters: float32 (n, 64), of length one.

        Raises:
            ValueError: a text has the word "unembeddable"; a drill.
        """
        return np.stack([_of_text(text) for text in texts])


def memory_connector(space: ImageSpace[S]) -> Connector[S]:
    """The space's connector without its model and without a disk: the stand-in, and `:memory:`."""
    from connector.connector import Connector

    return Connector(space.with_model(model_handler=ModelHandler.STAND_IN), ":memory:")


def load(config: ImageEmbeddingConfig) -> StandInHandler:
    """Return the stand-in, whatever the model's name."""
    return StandInHandler()


def _of_picture(picture: Image) -> NDArray[np.float32]:
    if picture.getextrema() == _MAGENTA:
        raise ValueError("a magenta picture, which the stand-in refuses")
    return _seeded(f"picture {picture.width} {picture.height} ".encode() + picture.tobytes())


def _of_text(text: str) -> NDArray[np.float32]:
    words = _WORD.findall(text.casefold()) or [""]
    if "unembeddable" in words:
        raise ValueError("the word 'unembeddable', which the stand-in refuses")
    return unit(np.mean([_seeded(f"word {word}".encode()) for word in words], axis=0))


def _seeded(key: bytes) -> NDArray[np.float32]:
    # Not numpy's generators: their streams may change between versions, and stored vectors must not.
    numbers = np.frombuffer(hashlib.shake_128(key).digest(4 * _LENGTH), "<u4")
    return unit(numbers / 2.0**31 - 1.0)
