"""The three models of vitrivr's feature-extraction service by its names, and what here gives the same vectors."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from connector.transformation import EmbeddingEngineConfig, ImageEmbeddingConfig, ModelHandler, PictureFrame

_PICTURES = frozenset({"image-embedding"})
_BOTH = _PICTURES | {"text-embedding", "text-query-embedding", "zero-shot-image-classification"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServiceModel:
    """One of the service's models. Its pictures are taken as `blobs.as_sent` decodes them, and not turned upright.

    Attributes:
        name: the service's name of it, in kebab-case.
        handler: what runs it here.
        model: its weights.
        tasks: what it can be asked for, in kebab-case. An instruction (text-query-embedding) means nothing to it.
        length: values in a vector.
        normalised: whether the service brings its vectors to length one.
        as_sent: whether pictures are decoded as the service decodes them (true of all three).
        frame: what the service resizes pictures to with Pillow; None where it resizes numbers, not pictures, so that
            they must come whole.
        resized_first: whether it resizes in the file's own mode and converts to RGB afterwards.
    """

    name: str
    handler: ModelHandler
    model: str
    tasks: frozenset[str]
    length: int
    normalised: bool
    as_sent: bool = True
    frame: PictureFrame | None = None
    resized_first: bool = False

    def embedding_config(
        self, model_cache_dir: Path | None = None, engine: EmbeddingEngineConfig | None = None
    ) -> ImageEmbeddingConfig:
        """What to load; in float32, as the service runs it, unless `engine` names another precision."""
        engine = engine or EmbeddingEngineConfig()
        if engine.precision == "auto":
            engine = dataclasses.replace(engine, precision="float32")
        # The revision of the space's own model says nothing about this one.
        return ImageEmbeddingConfig(
            self.model, self.handler, model_cache_dir, dataclasses.replace(engine, revision=None)
        )


SERVICE_MODELS: Mapping[str, ServiceModel] = MappingProxyType(
    {
        each.name: each
        for each in (
            ServiceModel(
                name="clip-vit-large-patch14",
                handler=ModelHandler.SENTENCE_TRANSFORMERS,
                model="openai/clip-vit-large-patch14",
                tasks=_BOTH,
                length=768,
                normalised=True,
                frame=PictureFrame(224),
            ),
            ServiceModel(
                name="open-clip-vit-b32",  # the multilingual one, and neither OpenAI's nor LAION-2B's ViT-B/32
                handler=ModelHandler.OPEN_CLIP,
                model="xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k",
                tasks=_BOTH,
                length=512,
                normalised=True,
                frame=PictureFrame(224),
                resized_first=True,
            ),
            ServiceModel(
                name="dino-v2-vits14",
                handler=ModelHandler.VITRIVR_DINOV2,
                model="facebook/dinov2-small",
                tasks=_PICTURES,
                length=384,
                normalised=False,
            ),
        )
    }
)
"""By their kebab-case names."""
