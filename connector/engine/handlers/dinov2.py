"""DINOv2: pictures only, so there is no `embed_texts` here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoImageProcessor, AutoModel

from connector.engine import device, frames, models
from connector.engine.layers import replace_layers
from connector.engine.streams import spread
from connector.errors import ModelUnavailable
from connector.transformation import ImageEmbeddingConfig, ModelHandler


class DinoModel:
    """Embeds pictures; a vector is the model's `pooler_output`: its class token after the last layer norm."""

    def __init__(self, model: Any, processor: Any, where: device.Device, identity: dict[str, str]) -> None:
        self._model, self._processor, self._where = model, processor, where
        self.device = where.name
        self.identity = identity
        self.frame = frames.from_processor(processor)
        self.length = self.embed_images([Image.new("RGB", (32, 32))]).shape[1]

    def embed_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Embed RGB pictures: float32 (n, length), not brought to length one."""
        return spread(self._embed, pictures, self._where.name)

    @torch.inference_mode()
    def _embed(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        pixels = self._processor(images=list(pictures), return_tensors="pt")["pixel_values"]
        outputs = self._model(pixel_values=pixels.to(self._where.name, self._where.dtype))
        rows: NDArray[np.float32] = outputs.pooler_output.float().cpu().numpy()
        return rows


def load(config: ImageEmbeddingConfig) -> DinoModel:
    """Load a model from the folder that its name leads to."""
    engine = config.embedding_engine_config
    files, where = models.find(config), device.choose(engine)
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": engine.trust_remote_code}
    safe = None if engine.unsafe_weights else True
    with device.quietly():
        model = AutoModel.from_pretrained(files.folder, dtype=where.dtype, use_safetensors=safe, **options)
        read: Any = AutoImageProcessor.from_pretrained
        processor = read(files.folder, **options)
    if not model.config.model_type.startswith("dinov2"):
        raise ModelUnavailable(
            f"Model {config.model!r} is of the family {model.config.model_type!r}, not a DINOv2. Use "
            "ModelHandler.SENTENCE_TRANSFORMERS for CLIP-like models, or 'facebook/dinov2-small' here."
        )
    identity = files.identity(
        ModelHandler.DINOV2,
        precision=where.precision,
        preprocess=frames.summary(processor),
        library=f"transformers {'.'.join(transformers.__version__.split('.')[:2])}",
    )
    model = model.to(where.name).eval()
    replace_layers(model, where)
    return DinoModel(model, processor, where, identity)
