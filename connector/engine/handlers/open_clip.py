"""Models that open_clip reads: hub names, architectures with a pretrained tag, and folders."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
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
    settings = models.open_clip_settings(files, config)
    name, options = _source(files, settings, config)
    text = settings["model_cfg"]["text_cfg"]
    tower = None
    if "hf_model_name" in text:
        # By its name the library would ask the hub for the tower's settings, offline or not.
        tower = models.companion(text["hf_model_name"], files, config)
        options["text_cfg"] = {**text, "hf_model_name": str(tower), "hf_model_pretrained": False}
    with device.quietly(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Its siblings go on without weights, from random numbers; this one refuses.
        create: Any = open_clip.create_model_from_pretrained
        model, transform = create(
            name,
            precision=_PRECISION[where.precision],
            device=where.name,
            force_quick_gelu=_quick_gelu(config.model),
            **options,
        )
        tokenizer = _tokenizer(name, text, files, tower)
    identity = files.identity(
        ModelHandler.OPEN_CLIP,
        precision=where.precision,
        preprocess=frames.summary(model.visual.preprocess_cfg),
        library=f"open_clip {'.'.join(open_clip.__version__.split('.')[:2])}",
    )
    return OpenClipModel(model.eval(), transform, tokenizer, where, identity)


def _source(
    files: models.ModelFiles, settings: dict[str, Any], config: ImageEmbeddingConfig
) -> tuple[str, dict[str, Any]]:
    """How open_clip is told of a model, and with which options."""
    if (files.folder / "open_clip_config.json").is_file():
        return f"local-dir:{files.folder}", {}
    # Weights without settings: those of the tag. A file's path instead of the tag would lose its preprocessing.
    given = settings["preprocess_cfg"]
    names = ("mean", "std", "interpolation", "resize_mode")
    options = {f"image_{name}": given[name] for name in names if given.get(name)}
    return config.model.partition("/")[0], {"pretrained": str(files.weights[0]), **options}


def _tokenizer(
    name: str, text: dict[str, Any], files: models.ModelFiles, tower: Path | None
) -> Callable[[list[str]], torch.Tensor]:
    chosen: Callable[[list[str]], torch.Tensor]
    if tower is None:
        # The same name, or a tokenizer of another vocabulary would be chosen in silence.
        chosen = open_clip.get_tokenizer(name)
        return chosen
    own = (files.folder / "tokenizer_config.json").is_file()
    chosen = open_clip.tokenizer.HFTokenizer(
        str(files.folder if own else tower),
        context_length=text.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH),
        tokenizer_mode=text.get("tokenizer_mode"),
        **text.get("tokenizer_kwargs", {}),
    )
    return chosen


def _quick_gelu(name: str) -> bool:
    """Whether a tag's weights were trained with QuickGELU; 'ViT-B-32/openai' was, its architecture is not."""
    architecture, _, tag = name.partition("/")
    return bool(open_clip.get_pretrained_cfg(architecture, tag).get("quick_gelu", False))
