"""Models that open_clip reads: hub names, architectures with a pretrained tag, and folders."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image

from connector.engine import device, frames, models
from connector.engine.fusion import unit
from connector.space import ImageEmbeddingConfig, ModelHandler, PictureFrame

_PRECISION = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


class OpenClipModel:
    """Embeds pictures and words; each vector is of length one, as open_clip's users store them."""

    def __init__(
        self,
        model: Any,
        transform: Callable[[Image.Image], torch.Tensor],
        tokenizer: Callable[[list[str]], torch.Tensor],
        where: device.Device,
        identity: dict[str, str],
    ) -> None:
        self._model, self._transform, self._tokenizer = model, transform, tokenizer
        self._where = where
        self.identity = identity
        self.frame: PictureFrame | None = frames.from_open_clip(model.visual.preprocess_cfg, transform)
        self.length = self.embed_images([Image.new("RGB", (32, 32))]).shape[1]

    def embed_images(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Embed RGB pictures: float32 (n, length)."""
        pixels = torch.stack([self._transform(picture) for picture in pictures])
        return self._run(self._model.encode_image, pixels.to(self._where.name, self._where.dtype))

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: float32 (n, length). Longer texts than the model reads are cut."""
        return self._run(self._model.encode_text, self._tokenizer(list(texts)).to(self._where.name))

    @torch.inference_mode()
    def _run(
        self, encode: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor
    ) -> NDArray[np.float32]:
        return unit(encode(inputs).float().cpu().numpy())


def load(config: ImageEmbeddingConfig) -> OpenClipModel:
    """Load a model from the folder that its name leads to."""
    files, where = models.find(config), device.choose(config.embedding_engine_config)
    name = f"local-dir:{files.folder}"
    with device.quietly(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Its siblings go on without weights, from random numbers; this one refuses.
        create: Any = open_clip.create_model_from_pretrained
        model, transform = create(
            name,
            precision=_PRECISION[where.precision],
            device=where.name,
            force_quick_gelu=_quick_gelu(config.model),
        )
        # The same name, or a tokenizer of another vocabulary would be chosen in silence.
        tokenizer = open_clip.get_tokenizer(name)
    identity = files.identity(
        ModelHandler.OPEN_CLIP,
        precision=where.precision,
        preprocess=frames.summary(model.visual.preprocess_cfg),
        library=f"open_clip {'.'.join(open_clip.__version__.split('.')[:2])}",
    )
    return OpenClipModel(model.eval(), transform, tokenizer, where, identity)


def _quick_gelu(name: str) -> bool:
    """Whether a tag's weights were trained with QuickGELU; 'ViT-B-32/openai' was, its architecture is not."""
    architecture, _, tag = name.partition("/")
    return bool(open_clip.get_pretrained_cfg(architecture, tag).get("quick_gelu", False))
