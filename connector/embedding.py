"""From a record's picture and words to its named vectors, and from a query's to one: engine and fusion, in a space's terms."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from connector.errors import EmbeddingError
from connector.space import ImageSpace
from connector.transformation import Weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from connector.blobs.fetch import Fetched
    from connector.blobs.picture import Picture
    from connector.blobs.policy import BlobPolicy
    from connector.engine.engine import Engine

FUSED, IMAGE, TEXT = "fused", "image", "text"

FloatVector: TypeAlias = "NDArray[np.float32]"
Vectors: TypeAlias = "dict[str, FloatVector]"


@dataclasses.dataclass(frozen=True)
class Unembeddable:
    """Which part of a record ("image", "text") the model refused, and why; None where it is about both together."""

    part: str | None
    error: EmbeddingError


@dataclasses.dataclass(frozen=True)
class Parts:
    """What one record's vectors are made of: a picture, words, and unit vectors of parts that are stored already."""

    picture: Picture | None = None
    text: str | None = None
    stored: Mapping[str, FloatVector] = dataclasses.field(default_factory=dict)


class Embedder:
    """A space's model, loaded when first needed, and its fusion. Safe to use from several threads.

    `check` is called with the engine once, before its first use; what it raises is raised to whoever needed it.
    """

    def __init__(self, space: ImageSpace[Any], check: Callable[[Engine], None]) -> None:
        self._space = space
        self._check = check
        self._loaded: Engine | None = None
        self._loading = threading.Lock()

    @property
    def engine(self) -> Engine:
        """The engine, loaded on the first call.

        Raises:
            ModelUnavailable: the model is not on this machine and cannot be fetched.
        """
        with self._loading:
            if self._loaded is None:
                from connector.engine.engine import Engine
                from connector.engine.handlers import load_handler

                config = self._space.transformation_config.embedding_config
                engine = Engine(load_handler(config), config.embedding_engine_config)
                self._check(engine)
                self._loaded = engine
            return self._loaded

    @property
    def counts(self) -> tuple[int, int]:
        """How many pictures and texts the model has seen so far."""
        engine = self._loaded
        return (0, 0) if engine is None else (engine.embedded_images, engine.embedded_texts)

    def decoded(self, fetched: Fetched, policy: BlobPolicy) -> Picture:
        """Decode a picture, at the size that the model sees; several threads may do so at once.

        Raises:
            BlobError: it is no picture that can be read, or a larger one than the policy takes.
        """
        from connector.blobs.picture import decode

        picture = decode(fetched, policy, self.engine.frame)
        return dataclasses.replace(picture, image=self.engine.resize(picture.image))

    @property
    def batch_size(self) -> int:
        """Records that are best embedded at once, as far as is known: the model is not loaded to ask it."""
        engine = self._loaded
        return self._space.embedding_engine_config.images_together if engine is None else engine.batch_size

    @property
    def keeps_parts(self) -> bool:
        """Whether stored parts can be fused again: they are kept, and unit vectors are what is fused."""
        return len(self.names) > 1 and self._space.parts == "unit"

    @property
    def names(self) -> tuple[str, ...]:
        """The vectors a point of this space may carry."""
        return (FUSED, IMAGE, TEXT) if self._space.described and self._space.keep_parts else (FUSED,)

    def embed(self, records: Sequence[Parts]) -> list[Vectors | Unembeddable]:
        """Named unit vectors of each record, of which at least one part is there; stored parts are not embedded.

        A record of which the model refuses a part is an `Unembeddable`; the others are unaffected.
        """
        pictures = [
            (at, each.picture) for at, each in enumerate(records) if each.picture and IMAGE not in each.stored
        ]
        texts = [(at, each.text) for at, each in enumerate(records) if each.text and TEXT not in each.stored]
        images = (
            self.engine.embed_images([(each.digest, each.image) for _, each in pictures]) if pictures else []
        )
        words = self.engine.embed_texts([text for _, text in texts]) if texts else []
        made: list[dict[str, FloatVector]] = [dict(each.stored) for each in records]
        failed: dict[int, Unembeddable] = {}
        for part, places, outcomes in (("image", pictures, images), ("text", texts, words)):
            for (at, _), outcome in zip(places, outcomes, strict=True):
                if isinstance(outcome, EmbeddingError):
                    failed.setdefault(at, Unembeddable(part, outcome))
                else:
                    made[at][part] = outcome
        fused = self._fused(made)
        return [failed.get(at) or vectors for at, vectors in enumerate(fused)]

    def _fused(self, made: Sequence[Vectors]) -> list[Vectors | Unembeddable]:
        """Each record's named unit vectors of its raw parts; of all at once, for one by one takes three times as long."""
        import numpy as np

        from connector.engine.fusion import fuse, is_empty, unit

        length = max((len(vector) for parts in made for vector in parts.values()), default=0)
        raw = {name: np.zeros((len(made), length), np.float32) for name in (IMAGE, TEXT)}
        for at, parts in enumerate(made):
            for name, vector in parts.items():
                raw[name][at] = vector
        fused = fuse(raw[IMAGE], raw[TEXT], self._space.weights, self._space.parts)
        nothing = is_empty(fused)
        kept = {name: unit(rows) for name, rows in raw.items() if name in self.names}
        return [
            Unembeddable(
                None,
                EmbeddingError("the picture's and the description's vectors cancel out. Change one of them."),
            )
            if nothing[at]
            else {FUSED: fused[at]} | {name: kept[name][at] for name in parts if name in kept}
            for at, parts in enumerate(made)
        ]

    def ahead(self, texts: Sequence[str], pictures: Sequence[Picture]) -> None:
        """Embed parts of queries together, so that the queries themselves find their vectors made.

        What the model refuses is refused again, and told, when its query comes.
        """
        if texts:
            self.engine.embed_texts(texts)
        if pictures:
            self.engine.embed_images([(each.digest, each.image) for each in pictures])

    def query(
        self,
        text: str | None,
        picture: Picture | None,
        like: FloatVector | None,
        weights: Weights,
        unlike: Sequence[FloatVector] = (),
    ) -> FloatVector:
        """A query's unit vector: its words, and a picture or a stored vector in its place, weighted, away from `unlike`.

        Raises:
            EmbeddingError: the model refuses a part, or the parts cancel out.
        """
        from connector.engine.fusion import away_from, query_vector

        image = like
        if picture is not None:
            image = _taken(self.engine.embed_images([(picture.digest, picture.image)])[0])
        words = None if text is None else _taken(self.engine.embed_texts([text])[0])
        asked = None if image is None and words is None else query_vector(image, words, weights)
        return away_from(asked, unlike) if unlike or asked is None else asked


def _taken(outcome: FloatVector | EmbeddingError) -> FloatVector:
    if isinstance(outcome, EmbeddingError):
        raise outcome
    return outcome
