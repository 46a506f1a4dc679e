"""What becomes a vector: `ImageSpace`, its model and its fusion. Declarative: no torch, no disk, no network."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from connector.errors import InvalidSpaceParamException
from connector.schema.fields import Blob, DescribedBlob, Text
from connector.schema.schema import Schema, definition_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

S = TypeVar("S", bound=Schema)

Parts: TypeAlias = Literal["unit", "raw"]


class ModelHandler(enum.Enum):
    """The library that loads the model and runs it.

    `VITRIVR_DINOV2` is DINOv2 with the preprocessing of vitrivr's feature-extraction service, which is not the model's
    own: vectors of the two are not comparable. `REMOTE` has a server run the model, ours or that service: `model` is
    then a URL that ends with the model's name there, as in "http://gpu.example:8888/demo".
    """

    SENTENCE_TRANSFORMERS = "sentence_transformers"
    OPEN_CLIP = "open_clip"
    DINOV2 = "dinov2"
    VITRIVR_DINOV2 = "vitrivr_dinov2"
    REMOTE = "remote"
    STAND_IN = "stand_in"

    @property
    def reads_text(self) -> bool:
        """Whether models of this handler can embed words (DINOv2 has no text tower; of a remote one its server knows)."""
        return self not in (ModelHandler.DINOV2, ModelHandler.VITRIVR_DINOV2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddingEngineConfig:
    """How the engine runs a model. Nothing here changes what is embedded, but `precision` and `revision` change vectors.

    Attributes:
        device: "auto" (cuda, then mps, then cpu) or a torch device such as "cpu", "cuda:1".
        precision: "auto" is float16 on a GPU, and on a CPU bfloat16 where that is much faster, else float32.
            "int8" is the fastest on a CPU (at a cosine of about 0.9998 to float32), and never chosen unasked.
        image_batch_size: pictures in one forward pass; None is 32 on a CPU, and on a GPU found by trial.
        text_batch_size: descriptions in one forward pass.
        threads: how many cores of a CPU to use; None leaves torch's own choice.
        offline: never look further than this machine for a model's files.
        revision: the commit, tag or branch of a hub model.
        trust_remote_code: run Python code that comes with a hub model.
        unsafe_weights: accept weight files that are not safetensors (they are unpickled).
        remote_key: the API key of the server that runs a `ModelHandler.REMOTE` model.
    """

    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto"
    image_batch_size: int | None = None
    text_batch_size: int = 128
    threads: int | None = None
    offline: bool = False
    revision: str | None = None
    trust_remote_code: bool = False
    unsafe_weights: bool = False
    remote_key: str | None = dataclasses.field(default=None, repr=False)

    @property
    def images_together(self) -> int:
        """Pictures in one forward pass where no card is tried for it; on a CPU more than 32 gain nothing."""
        return self.image_batch_size or 32

    def __post_init__(self) -> None:
        if self.precision not in ("auto", "float32", "bfloat16", "float16", "int8"):
            raise InvalidSpaceParamException(
                f"precision {self.precision!r} is unknown. Use 'auto', 'float32', 'bfloat16', 'float16' or 'int8'."
            )
        sizes: dict[str, object] = {
            "image_batch_size": 1 if self.image_batch_size is None else self.image_batch_size,
            "text_batch_size": self.text_batch_size,
            "threads": 1 if self.threads is None else self.threads,
        }
        for name, value in sizes.items():
            if not isinstance(value, int) or value < 1:
                raise InvalidSpaceParamException(f"{name} is {value!r}. Use a whole number from 1.")


class Weights(NamedTuple):
    """How much the picture and the words count. Only their ratio matters, and their signs."""

    image: float = 0.5
    text: float = 0.5

    @classmethod
    def of(cls, value: tuple[float, float] | Mapping[str, float]) -> Weights:
        """Read `(0.7, 0.3)` or `{"image": 0.7, "text": 0.3}`; refuse what is not finite, or zero throughout."""
        if isinstance(value, Mapping):
            if unknown := set(value) - {"image", "text"}:
                raise InvalidSpaceParamException(
                    f"weights name {sorted(unknown)}. Use 'image' and 'text', as in {{'image': 0.7, 'text': 0.3}}."
                )
            pair: Sequence[object] = (value.get("image", 0.0), value.get("text", 0.0))
        else:
            pair = value
        numbers = [float(w) for w in pair if isinstance(w, (int, float)) and math.isfinite(w)]
        if len(pair) != 2 or len(numbers) != 2:
            raise InvalidSpaceParamException(
                f"weights are {value!r}. Give two finite numbers, picture first: weights=(0.7, 0.3)."
            )
        if not any(numbers):
            raise InvalidSpaceParamException(
                "weights are both 0, so nothing would count. Make one of them non-zero."
            )
        return cls(*numbers)


@dataclasses.dataclass(frozen=True)
class PictureFrame:
    """How a model wants its pictures: what to resize to before the centre crop, and with which filter.

    `fit="shortest"` keeps proportions and makes the shorter side `size` pixels (long side rounded down, as torchvision
    and transformers do); `fit="squash"` makes both sides `size`. Declared by a handler, obeyed by `blobs`.

    `leave`: pictures may come as they are up to a square of so many times `size`, twice, because the model resizes them
    itself, quicker. A permission that says nothing of how pictures look: frames that differ in it alone are equal.
    """

    size: int
    fit: Literal["shortest", "squash"] = "shortest"
    resample: Literal["bicubic", "bilinear", "lanczos"] = "bicubic"
    leave: int = dataclasses.field(default=0, compare=False)


@dataclasses.dataclass(frozen=True)
class ImageData:
    """What one record offers to a space: an RGB picture, a description, or both."""

    image: Image | None = None
    description: str | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Vector:
    """One float32 vector of length one (or of all zeros where nothing was given)."""

    values: NDArray[np.float32]

    @property
    def length(self) -> int:
        """The number of its values."""
        return int(self.values.shape[0])


@dataclasses.dataclass(frozen=True)
class L2NormConfig:
    """The last step: divide by the Euclidean norm."""


@dataclasses.dataclass(frozen=True)
class VectorAggregationConfig:
    """The middle step: how the picture's and the description's vectors become one.

    `parts="unit"`: each is brought to length one, then weighted and added.
    `parts="raw"`: the handler's raw outputs are added as they are (what Superlinked stores).
    """

    weights: Weights = Weights()
    parts: Parts = "unit"


@dataclasses.dataclass(frozen=True)
class ImageEmbeddingConfig:
    """The first step: the model, and what loads and runs it."""

    model: str
    model_handler: ModelHandler
    model_cache_dir: Path | None
    embedding_engine_config: EmbeddingEngineConfig


@dataclasses.dataclass(frozen=True)
class TransformationConfig:
    """How an `ImageData` becomes a `Vector`: embed, aggregate, normalise. `engine.transform` carries it out."""

    embedding_config: ImageEmbeddingConfig
    aggregation_config: VectorAggregationConfig = VectorAggregationConfig()
    normalization_config: L2NormConfig = L2NormConfig()


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
        _check_model(model, model_handler, embedding_engine_config)
        self.entries = _entries(image)
        self.transformation_config = TransformationConfig(
            ImageEmbeddingConfig(
                model=model,
                model_handler=model_handler,
                model_cache_dir=None if model_cache_dir is None else Path(model_cache_dir),
                embedding_engine_config=embedding_engine_config or EmbeddingEngineConfig(),
            ),
            VectorAggregationConfig(_fusion_weights(weights, parts), parts),
        )
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
        # The one upward look in this module: a space knows its length only through its model, and only when asked.
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


def _check_model(model: object, handler: object, config: object) -> None:
    if not isinstance(model, str) or not model.strip():
        raise InvalidSpaceParamException(
            f"model is {model!r}. Give the name of a model, such as 'clip-ViT-B-32', a folder, or 'demo'."
        )
    if not isinstance(handler, ModelHandler):
        choices = ", ".join(f"ModelHandler.{h.name}" for h in ModelHandler)
        raise InvalidSpaceParamException(f"model_handler is {handler!r}. Use one of {choices}.")
    if config is not None and not isinstance(config, EmbeddingEngineConfig):
        raise InvalidSpaceParamException(
            f"embedding_engine_config is a {type(config).__name__}. Use EmbeddingEngineConfig(device=…, precision=…)."
        )


def _fusion_weights(weights: tuple[float, float] | Mapping[str, float], parts: object) -> Weights:
    if parts not in ("unit", "raw"):
        raise InvalidSpaceParamException(f"parts is {parts!r}. Use 'unit' or 'raw'.")
    read = Weights.of(weights)
    if min(read) < 0:
        raise InvalidSpaceParamException(
            f"weights are {tuple(read)}. A stored vector cannot count a part negatively; "
            "a search can: search(…, weights=(1, -0.5))."
        )
    if parts == "raw" and read.image != read.text:
        raise InvalidSpaceParamException(
            "parts='raw' is a plain sum without weights. Leave weights out, or use parts='unit'."
        )
    return read
