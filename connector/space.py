"""What becomes a vector: `ImageSpace`, its model and its fusion. Declarative: no torch, no disk, no network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from connector.errors import InvalidSpaceParamException
from connector.schema.fields import Blob, DescribedBlob, Text
from connector.schema.schema import Schema, definition_of
from connector.transformation import (
    EmbeddingEngineConfig,
    ImageData,
    ImageEmbeddingConfig,
    ModelHandler,
    Parts,
    PictureFrame,
    TransformationConfig,
    Vector,
    VectorAggregationConfig,
    Weights,
)

# What a space is declared with comes with it.
__all__ = [
    "EmbeddingEngineConfig",
    "ImageData",
    "ImageEmbeddingConfig",
    "ImageSpace",
    "ModelHandler",
    "Parts",
    "PictureFrame",
    "SpaceEntry",
    "SpaceImage",
    "TransformationConfig",
    "Vector",
    "VectorAggregationConfig",
    "Weights",
]

S = TypeVar("S", bound=Schema)


@dataclasses.dataclass(frozen=True)
class SpaceEntry:
    """What one schema gives to a space: its blob, and the description that goes with it, if any."""

    schema: type[Schema]
    blob: Blob[Any, Any]
    description: Text[Any, Any] | None


SpaceImage: TypeAlias = Blob[Any, S] | DescribedBlob[S] | None


class ImageSpace(Generic[S]):
    """One vector space: which pictures and descriptions become vectors, by which model, and how they are fused.

    Args:
        image: a Blob field (`Photo.image`), a described blob (`Photo.image + Photo.description`), or a sequence of
            them over several schemas, which then share one vector space and one collection. None entries are skipped.
        model: a name on the hub, a folder, or "demo" (the tiny model that ships with this package).
        model_handler: the library that runs it.
        model_cache_dir: where hub models are kept; None is the library's own cache.
        embedding_engine_config: device, precision, batch sizes, offline, revision.
        weights: how much picture and description count in the fused vector.
        parts: "unit" fuses vectors of length one; "raw" adds the model's raw outputs, as Superlinked does
            (the weights must then be equal: it has none).
        keep_parts: store the picture's and the description's own vectors beside the fused one, so that weights can
            change later without embedding again; False stores `fused` alone.

    Raises:
        InvalidSpaceParamException: anything that cannot work, with what to write instead.

    Declaring a space imports no model library and touches no disk.
    """

    def __init__(
        self,
        image: SpaceImage[S] | Sequence[SpaceImage[S]],
        model: str = "clip-ViT-B-32",
        model_handler: ModelHandler = ModelHandler.SENTENCE_TRANSFORMERS,
        model_cache_dir: Path | str | None = None,
        embedding_engine_config: EmbeddingEngineConfig | None = None,
        *,
        weights: tuple[float, float] | Mapping[str, float] = Weights(),
        parts: Parts = "unit",
        keep_parts: bool = True,
    ) -> None:
        embedding = ImageEmbeddingConfig(
            model,
            model_handler,
            None if model_cache_dir is None else Path(model_cache_dir),
            EmbeddingEngineConfig() if embedding_engine_config is None else embedding_engine_config,
        )
        self.entries = _entries(image)
        aggregation = VectorAggregationConfig.of(weights, parts)
        self.transformation_config = TransformationConfig(embedding, aggregation)
        self.keep_parts = keep_parts
        self._check_text_tower()

    @property
    def model(self) -> str:
        """The model's name, as given."""
        return self.transformation_config.embedding_config.model

    @property
    def model_handler(self) -> ModelHandler:
        """The library that runs the model."""
        return self.transformation_config.embedding_config.model_handler

    @property
    def model_cache_dir(self) -> Path | None:
        """Where hub models are kept; None is the library's own cache."""
        return self.transformation_config.embedding_config.model_cache_dir

    @property
    def embedding_engine_config(self) -> EmbeddingEngineConfig:
        """How the engine runs the model."""
        return self.transformation_config.embedding_config.embedding_engine_config

    @property
    def weights(self) -> Weights:
        """How much picture and description count in the fused vector."""
        return self.transformation_config.aggregation_config.weights

    @property
    def parts(self) -> Parts:
        """Whether unit vectors or the model's raw outputs are fused."""
        return self.transformation_config.aggregation_config.parts

    @property
    def schemas(self) -> tuple[type[Schema], ...]:
        """The schemas whose records live in this space, in the order they were given."""
        return tuple(entry.schema for entry in self.entries)

    @property
    def described(self) -> bool:
        """Whether any of its schemas has a description to fuse."""
        return any(entry.description is not None for entry in self.entries)

    @property
    def length(self) -> int:
        """The vector's length: from the model's configuration where that tells, else by loading the model.

        Raises:
            ModelUnavailable: the model is not on this machine and cannot be fetched.
        """
        # Here, because a space is declared without the engine: its length is asked of the model, if ever.
        from connector.engine.lengths import vector_length

        return vector_length(self.transformation_config.embedding_config)

    def schema_named(self, name: str) -> type[Schema] | None:
        """The schema of this space that has this name, if any."""
        return next((schema for schema in self.schemas if schema.__name__ == name), None)

    def entry(self, schema: type[Schema]) -> SpaceEntry:
        """The part of this space that belongs to `schema`."""
        for entry in self.entries:
            if entry.schema is schema:
                return entry
        known = ", ".join(s.__name__ for s in self.schemas)
        raise InvalidSpaceParamException(f"{schema.__name__} is not in this space. It holds {known}.")

    def with_model(
        self,
        model: str | None = None,
        model_handler: ModelHandler | None = None,
        embedding_engine_config: EmbeddingEngineConfig | None = None,
    ) -> ImageSpace[S]:
        """The same space over another model, handler or engine; this one is unchanged."""
        images = [e.blob if e.description is None else e.blob + e.description for e in self.entries]
        return ImageSpace(
            images,
            model or self.model,
            model_handler or self.model_handler,
            self.model_cache_dir,
            embedding_engine_config or self.embedding_engine_config,
            weights=self.weights,
            parts=self.parts,
            keep_parts=self.keep_parts,
        )

    def with_remote_key(self, key: str) -> ImageSpace[S]:
        """The same space, its remote model asked for with this key; a space of a local model, or with a key, as it is."""
        config = self.embedding_engine_config
        if self.model_handler is not ModelHandler.REMOTE or config.remote_key is not None:
            return self
        return self.with_model(embedding_engine_config=dataclasses.replace(config, remote_key=key))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImageSpace):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        names = tuple(
            (e.schema, e.blob.name, None if e.description is None else e.description.name)
            for e in self.entries
        )
        return (names, self.transformation_config, self.keep_parts)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{e.schema.__name__}.{e.blob.name}"
            + (f" + {e.schema.__name__}.{e.description.name}" if e.description is not None else "")
            for e in self.entries
        )
        return f"ImageSpace({shown}, model={self.model!r}, model_handler={self.model_handler})"

    def _check_text_tower(self) -> None:
        if self.described and not self.model_handler.reads_text:
            entry = next(e for e in self.entries if e.description is not None)
            raise InvalidSpaceParamException(
                f"{self.model_handler} embeds pictures only, so {entry.schema.__name__}.{entry.description.name} "  # type: ignore[union-attr]
                f"cannot be fused. Use ImageSpace({entry.schema.__name__}.{entry.blob.name}, …), or a model with a text "
                "tower through ModelHandler.SENTENCE_TRANSFORMERS or ModelHandler.OPEN_CLIP."
            )


def _entries(image: object) -> tuple[SpaceEntry, ...]:
    """Validate the `image` parameter into one entry per schema."""
    given = list(image) if isinstance(image, (list, tuple)) else [image]
    entries = tuple(_entry(item) for item in given if item is not None)
    if not entries:
        raise InvalidSpaceParamException(
            "An ImageSpace needs at least one picture, got none. "
            "Give it a Blob field, as in ImageSpace(Product.photo) or ImageSpace(Product.photo + Product.title)."
        )
    names = [entry.schema.__name__ for entry in entries]
    for entry in entries:
        if names.count(entry.schema.__name__) > 1:
            raise InvalidSpaceParamException(
                f"Duplicates of {entry.schema.__name__} in one space are not allowed: each schema gives one picture. "
                "Make a second ImageSpace for its other Blob."
            )
    _check_shared_names(entries)
    return entries


def _entry(item: object) -> SpaceEntry:
    if isinstance(item, DescribedBlob):
        return SpaceEntry(item.blob.schema, item.blob, item.description)
    if isinstance(item, Blob):
        return SpaceEntry(item.schema, item, None)
    if isinstance(item, Text):
        owner = item.schema.__name__
        cure = f"Text {item.name!r} describes a picture; add it to one: {owner}.<blob> + {owner}.{item.name}."
    else:
        cure = f"Got {type(item).__name__}."
    raise InvalidSpaceParamException(
        f"The image of an ImageSpace must be a Blob field, a Blob + Text, or a sequence of them. {cure}"
    )


def _check_shared_names(entries: tuple[SpaceEntry, ...]) -> None:
    """Schemas of one space share a collection, so a name they share must mean the same kind of value in each."""
    seen: dict[str, tuple[str, object]] = {}
    for entry in entries:
        for name, field in definition_of(entry.schema).all.items():
            kind = (type(field), getattr(field, "value_type", None))
            first = seen.setdefault(name, (entry.schema.__name__, kind))
            if first[1] != kind:
                raise InvalidSpaceParamException(
                    f"{first[0]}.{name} and {entry.schema.__name__}.{name} are of different kinds, but the schemas of one "
                    "space share one collection. Rename one of them."
                )
