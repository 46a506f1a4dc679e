"""How a picture and words become a vector: the model and what runs it, weights, the norm. Values; they load nothing."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from connector.errors import InvalidSpaceParamException

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

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
            "int8" is the fastest on a CPU (ViT-B/32 with random weights: a cosine of 0.999 to float32 or better), and
            never chosen unasked.
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

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """The width and height that a picture of these is resized to."""
        if self.fit == "squash":
            return self.size, self.size
        long = int(self.size * max(width, height) / min(width, height))
        return (self.size, long) if width <= height else (long, self.size)


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

    @classmethod
    def of(cls, weights: tuple[float, float] | Mapping[str, float], parts: Parts) -> VectorAggregationConfig:
        """Read weights as `Weights.of` does; refuse those that no stored vector can be made with."""
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
        return cls(read, parts)


@dataclasses.dataclass(frozen=True)
class ImageEmbeddingConfig:
    """The first step: the model, and what loads and runs it."""

    model: str
    model_handler: ModelHandler
    model_cache_dir: Path | None
    embedding_engine_config: EmbeddingEngineConfig

    def __post_init__(self) -> None:
        _check_model(self.model, self.model_handler, self.embedding_engine_config)


@dataclasses.dataclass(frozen=True)
class TransformationConfig:
    """How an `ImageData` becomes a `Vector`: embed, aggregate, normalise. `engine.transform` carries it out."""

    embedding_config: ImageEmbeddingConfig
    aggregation_config: VectorAggregationConfig = VectorAggregationConfig()
    normalization_config: L2NormConfig = L2NormConfig()


def _check_model(model: object, handler: object, config: object) -> None:
    if not isinstance(model, str) or not model.strip():
        raise InvalidSpaceParamException(
            f"model is {model!r}. Give the name of a model, such as 'clip-ViT-B-32', a folder, or 'demo'."
        )
    if not isinstance(handler, ModelHandler):
        choices = ", ".join(f"ModelHandler.{h.name}" for h in ModelHandler)
        raise InvalidSpaceParamException(f"model_handler is {handler!r}. Use one of {choices}.")
    if not isinstance(config, EmbeddingEngineConfig):
        raise InvalidSpaceParamException(
            f"embedding_engine_config is a {type(config).__name__}. Use EmbeddingEngineConfig(device=…, precision=…)."
        )
