"""Models that sentence-transformers reads: CLIP, SigLIP, SigLIP 2 and the other families with two towers.

What is plainly a CLIP runs without that library, which takes longer to import than a search takes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from connector.engine import device, frames, models
from connector.engine.handlers import clip
from connector.errors import ModelUnavailable
from connector.transformation import ImageEmbeddingConfig, ModelHandler, PictureFrame

if TYPE_CHECKING:
    from PIL.Image import Image
    from sentence_transformers import SentenceTransformer


class PictureModel:
    """Embeds pictures; vectors are what `SentenceTransformer.encode` returns, not brought to length one."""

    def __init__(
        self, model: SentenceTransformer, frame: PictureFrame | None, identity: dict[str, str]
    ) -> None:
        from PIL import Image

        self._model = model
        self.device = str(model.device)
        self.frame = frame
        self.identity = identity
        self.length = self.embed_images([Image.new("RGB", (32, 32))]).shape[1]

    def embed_images(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Embed RGB pictures: float32 (n, length)."""
        return self._encode(list(pictures))

    def _encode(self, inputs: list[Any], **options: Any) -> NDArray[np.float32]:
        # show_progress_bar=None would draw a bar whenever the root logger is at INFO.
        rows = self._model.encode(inputs, batch_size=len(inputs), show_progress_bar=False, **options)
        return np.asarray(rows, np.float32)


class PictureAndTextModel(PictureModel):
    """Embeds pictures and words into one space."""

    def __init__(
        self, model: SentenceTransformer, frame: PictureFrame | None, identity: dict[str, str]
    ) -> None:
        super().__init__(model, frame, identity)
        self._options = _text_options(model)
        if self.embed_texts(["a"]).shape[1] != self.length:
            raise ModelUnavailable(
                "The model's picture and text vectors differ in length. Choose a CLIP-like model."
            )

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: float32 (n, length). Longer texts than the model reads are cut."""
        # A bare str that looks like a path or a URL would be opened, and even fetched, as a picture.
        return self._encode([{"text": text} for text in texts], **self._options)


def load(config: ImageEmbeddingConfig) -> PictureModel | clip.ClipModel:
    """Load a model from the folder that its name leads to."""
    files = models.find(config)
    _refuse_bare_dinov2(files)
    return clip.load(files, config) or library_model(files, config)


def library_model(files: models.ModelFiles, config: ImageEmbeddingConfig) -> PictureModel:
    """Load a model of which `files` are the files with sentence-transformers itself.

    Raises:
        ModelUnavailable: it reads no pictures, or its weights are incomplete.
    """
    import sentence_transformers
    from sentence_transformers import SentenceTransformer

    engine = config.embedding_engine_config
    where = device.choose(engine)
    with device.quietly():
        model = SentenceTransformer(
            str(files.folder),
            device=where.name,
            local_files_only=True,
            trust_remote_code=engine.trust_remote_code,
            model_kwargs={"dtype": where.dtype, "use_safetensors": None if engine.unsafe_weights else True},
        )
    if not model.supports("image"):
        raise ModelUnavailable(
            f"Model {config.model!r} reads no pictures (it reads {', '.join(map(str, model.modalities))}). "
            "Choose a CLIP-like model, for example 'clip-ViT-B-32'."
        )
    processor = getattr(model[0], "processor", None)
    processor = getattr(processor, "image_processor", processor)
    identity = files.identity(
        ModelHandler.SENTENCE_TRANSFORMERS,
        precision=where.precision,
        preprocess=frames.summary(processor),
        library=f"sentence-transformers {'.'.join(sentence_transformers.__version__.split('.')[:2])}",
    )
    kind = PictureAndTextModel if model.supports("text") else PictureModel
    return kind(model, frames.from_processor(processor), identity)


def _refuse_bare_dinov2(files: models.ModelFiles) -> None:
    if (files.folder / "modules.json").is_file():
        return
    settings = json.loads((files.folder / "config.json").read_text("utf-8"))
    if settings.get("model_type", "").startswith("dinov2"):
        raise ModelUnavailable(
            f"Model {files.name!r} is a bare DINOv2, which sentence-transformers would pool in another way "
            "than it was trained for. Use model_handler=ModelHandler.DINOV2."
        )


def _text_options(model: SentenceTransformer) -> Mapping[str, Any]:
    """Pad texts to a fixed length for SigLIP, which reads the last position and was trained so."""
    config = getattr(model[0], "config", None)
    text = getattr(config, "text_config", None)
    kinds = {getattr(each, "model_type", "") for each in (config, text)}
    if not any(kind.startswith("siglip") for kind in kinds):
        return {}
    length = getattr(text, "max_position_embeddings", 64)
    padded = {"padding": "max_length", "max_length": length, "truncation": True}
    return {"processing_kwargs": {"text": padded}}
